"""Shops in one database know nothing of each other, and several changes of one can be one transaction."""

import pytest

from petstore.shop import (
    Change,
    CustomerNotFound,
    Fulfilment,
    OrderNotFound,
    OrderStatus,
    PetFilter,
    PetNotFound,
    Shop,
    all_pets,
    cancel_order,
    change_inventory,
    demo_ids,
    get_customer,
    get_order,
    get_pet,
    inventory_topic,
    list_orders,
    list_pets,
    order_topic,
    pay_order,
    place_order,
    read_inventory,
    remove_pet,
)
from petstore.sse import EventLog
from tests.conftest import TENANT

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"


@pytest.fixture
def shop(log: EventLog) -> Shop:
    return Shop(log)


def test_an_empty_shop_has_nothing_of_another_s(shop: Shop, log: EventLog):
    empty = Shop(log, TENANT)
    assert all_pets(empty) == list_pets(empty, PetFilter(), 1, 10).items == read_inventory(empty, 1, 10).page.items == []
    assert read_inventory(empty, 1, 10).summary["total"] == 0
    for read in (lambda: get_pet(empty, BUDDY), lambda: change_inventory(empty, [Change(BUDDY, stock=1)])):
        with pytest.raises(PetNotFound):
            read()
    with pytest.raises(CustomerNotFound):
        get_customer(empty, "user-456")
    with pytest.raises(PetNotFound):
        place_order(empty, BUDDY, 1)
    assert len(all_pets(shop)) == 72


def test_equal_ids_are_different_pets(shop: Shop, other: Shop):
    change_inventory(other, [Change(BUDDY, stock=99, price_cents=1)])
    assert (get_pet(shop, BUDDY).stock, get_pet(other, BUDDY).stock) == (4, 99)
    remove_pet(other, BUDDY)
    assert get_pet(shop, BUDDY).name == "Buddy"


def test_each_shop_has_its_own_example_and_its_own_orders(shop: Shop, other: Shop):
    ids = demo_ids(shop), demo_ids(other)
    assert ids[0].order_id != ids[1].order_id
    for own, foreign in ((shop, ids[1]), (other, ids[0])):
        for act in (
            lambda own=own, id=foreign.order_id: get_order(own, id),
            lambda own=own, id=foreign.order_id: pay_order(own, id, 0),
            lambda own=own, id=foreign.order_id: cancel_order(own, id, ""),
        ):
            with pytest.raises(OrderNotFound):
                act()
    place_order(other, BUDDY, 1, "user-456")
    assert [list_orders(own, "user-456", 1, 10).total_items for own in (shop, other)] == [1, 2]


def test_fulfilment_serves_every_shop_and_puts_back_where_it_was_taken(shop: Shop, other: Shop, log: EventLog):
    orders = [(own, place_order(own, BUDDY, 2)) for own in (shop, other)]
    for own, order in orders:
        pay_order(own, order.id, 0)
    Fulfilment(log, 0).advance()
    assert [get_order(own, order.id).status for own, order in orders] == [OrderStatus.DELIVERED] * 2
    assert all(len(log.read([order_topic(order.id)], 0, 10)) == 4 for _, order in orders)
    third = place_order(other, BUDDY, 1)
    cancel_order(other, third.id, "no")
    assert (get_pet(shop, BUDDY).stock, get_pet(other, BUDDY).stock) == (2, 2)


def test_what_happens_in_a_shop_is_told_in_its_own_topic(shop: Shop, other: Shop, log: EventLog):
    assert (inventory_topic(shop), inventory_topic(other)) == ("inventory", f"inventory/{TENANT}")
    head = log.head()
    change_inventory(other, [Change(BUDDY, stock=1)])
    change_inventory(shop, [Change(BUDDY, stock=2)])
    assert [(event.topic, event.value()["newStock"]) for event in log.read(None, head, 10)] == [
        (f"inventory/{TENANT}", 1),
        ("inventory", 2),
    ]


def test_together_is_all_or_nothing(shop: Shop, log: EventLog):
    head, before = log.head(), get_pet(shop, BUDDY)

    def order_and_fail(shop: Shop) -> None:
        order = place_order(shop, BUDDY, 1)
        assert get_order(shop, order.id) == order, "what was done so far is seen inside"
        assert get_pet(shop, BUDDY).stock == before.stock - 1
        change_inventory(shop, [Change(BUDDY, price_cents=1)])
        raise KeyError("cut")

    with pytest.raises(KeyError):
        shop.together(order_and_fail)
    assert (log.head(), get_pet(shop, BUDDY)) == (head, before)


def test_what_is_done_together_inside_of_together_is_one_transaction(shop: Shop):
    def twice(shop: Shop) -> int:
        shop.together(lambda shop: change_inventory(shop, [Change(BUDDY, stock=50)]))
        return shop.together(lambda shop: change_inventory(shop, [Change(BUDDY, stock=get_pet(shop, BUDDY).stock + 1)]))[0].stock

    assert shop.together(twice) == 51 == get_pet(shop, BUDDY).stock
