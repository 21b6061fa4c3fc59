"""An order, its stock and its events are one: they happen together or not at all, whoever else is buying."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import func, select, update

from petstore.shop import (
    Change,
    CustomerNotFound,
    Fulfilment,
    Order,
    OrderNotFound,
    OrderStatus,
    OutOfStock,
    PetNotFound,
    PetStatus,
    Shop,
    WrongState,
    cancel_order,
    change_inventory,
    get_order,
    get_pet,
    order_topic,
    pay_order,
    place_order,
)
from petstore.shop.orders import orders
from petstore.shop.pets import pets
from petstore.sse import COMPLETE, DEFAULT_TYPE, EventLog

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
UNKNOWN_ID = "019b4132-0000-7000-8000-000000000000"


def told(log: EventLog, order: Order, after: int = 0) -> list[tuple[str, Mapping[str, Any]]]:
    return [(event.type, event.value()) for event in log.read([order_topic(order.id)], after, 100)]


def at_once(*tasks: Callable[[], object]) -> list[object]:
    """Run the tasks in threads that start together; return what each returned or raised."""
    outcomes: list[object] = [None] * len(tasks)
    start = threading.Barrier(len(tasks))

    def run(number: int, task: Callable[[], object]) -> None:
        start.wait()
        try:
            outcomes[number] = task()
        except (OutOfStock, WrongState) as refusal:
            outcomes[number] = refusal

    threads = [threading.Thread(target=run, args=numbered) for numbered in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_an_order_takes_its_pets_out_of_stock(log: EventLog):
    head = log.head()
    order = place_order(Shop(log), BUDDY, 3, "user-456")
    assert (order.pet_id, order.customer_id, order.quantity) == (BUDDY, "user-456", 3)
    assert (order.status, order.total_cents, order.currency) == (OrderStatus.PLACED, 3 * 29999, "USD")
    assert order.tracking_number is None
    assert get_pet(Shop(log), BUDDY).stock == 1
    (event,) = log.read(None, head, 10)
    assert (event.topic, event.value()) == ("inventory", {"petId": BUDDY, "oldStock": 4, "newStock": 1})
    assert get_order(Shop(log), order.id) == order


def test_a_guest_may_order(log: EventLog):
    assert place_order(Shop(log), BUDDY, 1).customer_id is None


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ((UNKNOWN_ID, 1, None), PetNotFound),
        ((BUDDY, 1, UNKNOWN_ID), CustomerNotFound),
        ((BUDDY, 5, "user-456"), OutOfStock),
        ((BUDDY, 10**30, None), OutOfStock),
        ((BUDDY, 0, None), ValueError),
        ((BUDDY, -1, None), ValueError),
    ],
)
def test_what_is_refused_leaves_nothing_behind(log: EventLog, arguments: Any, refusal: type[Exception]):
    def count() -> object:
        return log.query(lambda connection: connection.execute(select(func.count()).select_from(orders)).scalar_one())

    before = log.head(), count(), get_pet(Shop(log), BUDDY)
    with pytest.raises(refusal):
        place_order(Shop(log), *arguments)
    assert (log.head(), count(), get_pet(Shop(log), BUDDY)) == before


def test_running_out_names_the_pet_and_what_is_left(log: EventLog):
    with pytest.raises(OutOfStock) as refusal:
        place_order(Shop(log), BUDDY, 5)
    assert (refusal.value.pet_id, refusal.value.stock, refusal.value.quantity) == (BUDDY, 4, 5)


def test_a_pet_that_staff_keep_from_sale_cannot_be_bought(log: EventLog):
    pending = update(pets).filter_by(id=BUDDY).values(status=PetStatus.PENDING)
    log.write(lambda transaction: transaction.connection.execute(pending))
    with pytest.raises(OutOfStock) as refusal:
        place_order(Shop(log), BUDDY, 1)
    assert refusal.value.stock == 0


def test_of_two_buyers_of_the_last_one_exactly_one_gets_it(logs: list[EventLog]):
    log = logs[0]
    for _ in range(20):
        change_inventory(Shop(log), [Change(BUDDY, stock=1)])
        outcomes = at_once(lambda: place_order(Shop(logs[1]), BUDDY, 1), lambda: place_order(Shop(logs[2]), BUDDY, 1))
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Order", "OutOfStock"]
        assert get_pet(Shop(log), BUDDY).stock == 0


def test_a_crowd_buys_exactly_what_there_is(log: EventLog, logs: list[EventLog]):
    change_inventory(Shop(log), [Change(BUDDY, stock=25)])
    head = log.head()

    def buy(own: EventLog) -> int:
        bought = 0
        for _ in range(10):
            try:
                place_order(Shop(own), BUDDY, 1)
                bought += 1
            except OutOfStock:
                pass
        return bought

    # Eight buyers in four workers: threads share a log, and logs share the file.
    bought = at_once(*(lambda own=own: buy(own) for own in logs * 2))
    assert sum(int(str(count)) for count in bought) == 25
    stock = [event.value() for event in log.read(["inventory"], head, 100)]
    assert [(data["oldStock"], data["newStock"]) for data in stock] == [(left, left - 1) for left in range(25, 0, -1)]


def test_an_order_whose_transaction_breaks_never_was(log: EventLog):
    head, before = log.head(), get_pet(Shop(log), BUDDY)

    def break_after_placing(shop: Shop) -> None:
        place_order(shop, BUDDY, 1)
        raise KeyError("cut")

    with pytest.raises(KeyError):
        Shop(log).together(break_after_placing)
    assert (log.head(), get_pet(Shop(log), BUDDY)) == (head, before)


def test_paying_starts_the_status_stream(log: EventLog):
    order = place_order(Shop(log), BUDDY, 1)
    paid, _ = pay_order(Shop(log), order.id, 3600)
    assert paid.status is OrderStatus.PLACED
    ((kind, data),) = told(log, order)
    assert kind == DEFAULT_TYPE
    assert data == {"status": "payment_processing", "timestamp": paid.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def test_an_order_tells_where_its_stream_goes_on(log: EventLog):
    order = place_order(Shop(log), BUDDY, 1)
    assert order.last_event_id == log.head()
    paid, _ = pay_order(Shop(log), order.id, 0)
    assert [data["status"] for _, data in told(log, order, order.last_event_id)] == ["payment_processing"]
    assert told(log, order, paid.last_event_id) == []
    Fulfilment(log, 0).advance()
    following = [data["status"] for _, data in told(log, order, paid.last_event_id)]
    assert following == ["payment_confirmed", "preparing_shipment", "shipped"]
    assert told(log, order, get_order(Shop(log), order.id).last_event_id) == []


def test_an_order_is_paid_once(log: EventLog, logs: list[EventLog]):
    order = place_order(Shop(log), BUDDY, 1)
    outcomes = at_once(*(lambda own=own: pay_order(Shop(own), order.id, 3600)[0] for own in logs))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Order", "WrongState", "WrongState", "WrongState"]
    assert len(told(log, order)) == 1


def test_cancelling_puts_the_stock_back_and_ends_the_stream(log: EventLog):
    order = place_order(Shop(log), BUDDY, 4)
    head = log.head()
    cancelled = cancel_order(Shop(log), order.id, "changed my mind\r\nid: 1")
    assert cancelled.status is OrderStatus.CANCELLED
    assert (get_pet(Shop(log), BUDDY).stock, get_pet(Shop(log), BUDDY).status) == (4, PetStatus.AVAILABLE)
    assert told(log, order) == [(COMPLETE, {"status": "cancelled", "reason": "changed my mind\r\nid: 1"})]
    assert [event.topic for event in log.read(None, head, 10)] == ["inventory", order_topic(order.id)]
    assert get_order(Shop(log), order.id) == cancelled


def test_an_order_that_is_being_paid_can_be_cancelled_and_goes_no_further(log: EventLog):
    order = place_order(Shop(log), BUDDY, 1)
    pay_order(Shop(log), order.id, 0)
    cancel_order(Shop(log), order.id, "too slow")
    Fulfilment(log, 0).advance()
    assert [data["status"] for _, data in told(log, order)] == ["payment_processing", "cancelled"]
    assert get_order(Shop(log), order.id).status is OrderStatus.CANCELLED


def test_stock_is_put_back_once_however_many_cancel(log: EventLog, logs: list[EventLog]):
    order = place_order(Shop(log), BUDDY, 2)
    outcomes = at_once(*(lambda own=own: cancel_order(Shop(own), order.id, "no") for own in logs))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Order", "WrongState", "WrongState", "WrongState"]
    assert get_pet(Shop(log), BUDDY).stock == 4


def test_a_shipped_order_is_neither_paid_nor_cancelled(log: EventLog):
    order = place_order(Shop(log), BUDDY, 1)
    pay_order(Shop(log), order.id, 0)
    Fulfilment(log, 0).advance()
    for action in (lambda: pay_order(Shop(log), order.id, 0), lambda: cancel_order(Shop(log), order.id, "late")):
        with pytest.raises(WrongState) as refusal:
            action()
        assert (refusal.value.order_id, refusal.value.status) == (order.id, "DELIVERED")


def test_an_unknown_order_is_refused_by_name(log: EventLog):
    actions: list[Callable[[], Order]] = [
        lambda: get_order(Shop(log), UNKNOWN_ID),
        lambda: pay_order(Shop(log), UNKNOWN_ID, 1)[0],
        lambda: cancel_order(Shop(log), UNKNOWN_ID, ""),
    ]
    for action in actions:
        with pytest.raises(OrderNotFound) as refusal:
            action()
        assert refusal.value.order_id == UNKNOWN_ID
