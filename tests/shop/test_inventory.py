"""Stock and prices change all or none, and every real change, and no other, is told."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, update

from petstore.shop import (
    Change,
    PetNotFound,
    PetStatus,
    Shop,
    Species,
    all_pets,
    change_inventory,
    get_pet,
    read_inventory,
)
from petstore.shop.inventory import put_back, take_stock
from petstore.shop.pets import pets
from petstore.sse import EventLog

FLUFFY = "019b4132-70aa-764f-b315-e2803d882a24"
BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
UNKNOWN_ID = "019b4132-0000-7000-8000-000000000000"


def told_since(log: EventLog, id: int) -> list[tuple[str, Mapping[str, Any]]]:
    return [(event.type, event.value()) for event in log.read(["inventory"], id, 10_000)]


@contextmanager
def statements_counted() -> Iterator[list[str]]:
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def set_status(log: EventLog, pet_id: str, status: PetStatus) -> None:
    log.write(lambda transaction: transaction.connection.execute(update(pets).filter_by(id=pet_id).values(status=status)))


def test_a_change_is_kept_and_told_with_the_old_and_the_new_value(log: EventLog):
    head = log.head()
    (changed,) = change_inventory(Shop(log), [Change(BUDDY, stock=9, price_cents=27999)])
    assert (changed.stock, changed.price_cents) == (9, 27999)
    assert get_pet(Shop(log), BUDDY) == changed
    assert told_since(log, head) == [
        ("stock-change", {"petId": BUDDY, "oldStock": 4, "newStock": 9}),
        ("price-change", {"petId": BUDDY, "oldPrice": 299.99, "newPrice": 279.99}),
    ]


def test_what_is_so_already_changes_nothing_and_tells_nothing(log: EventLog):
    head, before = log.head(), get_pet(Shop(log), BUDDY)
    assert change_inventory(Shop(log), [Change(BUDDY, stock=4, price_cents=29999), Change(BUDDY)]) == [before]
    assert get_pet(Shop(log), BUDDY) == before
    assert log.head() == head


def test_no_changes_are_no_change(log: EventLog):
    head = log.head()
    assert change_inventory(Shop(log), []) == []
    assert log.head() == head


def test_a_pet_named_twice_changes_twice_in_order_and_is_returned_once(log: EventLog):
    head = log.head()
    changed = change_inventory(Shop(log), [Change(BUDDY, stock=0), Change(FLUFFY, stock=7), Change(BUDDY, stock=3)])
    assert [(pet.id, pet.stock) for pet in changed] == [(BUDDY, 3), (FLUFFY, 7)]
    assert [(data["petId"], data["oldStock"], data["newStock"]) for _, data in told_since(log, head)] == [
        (BUDDY, 4, 0),
        (FLUFFY, 4, 7),
        (BUDDY, 0, 3),
    ]
    assert get_pet(Shop(log), BUDDY).status is PetStatus.AVAILABLE


def test_one_unknown_pet_refuses_the_whole_request(log: EventLog):
    head, before = log.head(), all_pets(Shop(log))
    with pytest.raises(PetNotFound) as refusal:
        change_inventory(Shop(log), [Change(BUDDY, stock=9), Change(UNKNOWN_ID, stock=1), Change(FLUFFY, stock=9)])
    assert refusal.value.pet_id == UNKNOWN_ID
    assert all_pets(Shop(log)) == before
    assert log.head() == head


@pytest.mark.parametrize("wrong", [{"stock": -1}, {"price_cents": -1}])
def test_less_than_nothing_is_refused(wrong: dict[str, int]):
    with pytest.raises(ValueError, match="negative"):
        Change(BUDDY, **wrong)


def test_a_thousand_changes_take_as_few_statements_as_one(log: EventLog):
    ids = [pet.id for pet in all_pets(Shop(log))]
    changes = [Change(ids[number % len(ids)], stock=100 + number, price_cents=1 + number) for number in range(1_000)]
    head = log.head()
    with statements_counted() as statements:
        change_inventory(Shop(log), changes)
    # Read the pets, store them. What is run by the driver is not seen here: BEGIN, and three of the log's, however many there are.
    assert len(statements) == 2, statements
    assert len(told_since(log, head)) == 2_000


def test_running_out_takes_a_pet_from_sale_and_coming_back_returns_it(log: EventLog):
    assert change_inventory(Shop(log), [Change(BUDDY, stock=0)])[0].status is PetStatus.NOT_AVAILABLE
    assert change_inventory(Shop(log), [Change(BUDDY, price_cents=1)])[0].status is PetStatus.NOT_AVAILABLE
    assert change_inventory(Shop(log), [Change(BUDDY, stock=2)])[0].status is PetStatus.AVAILABLE


@pytest.mark.parametrize("status", [PetStatus.PENDING, PetStatus.ADOPTED, PetStatus.NOT_AVAILABLE])
def test_what_staff_keep_from_sale_stays_so_whatever_comes_in(log: EventLog, status: PetStatus):
    set_status(log, BUDDY, status)
    assert change_inventory(Shop(log), [Change(BUDDY, stock=9)])[0].status is status


@pytest.mark.parametrize("status", [PetStatus.PENDING, PetStatus.ADOPTED])
def test_what_staff_decided_is_not_for_stock_to_change(log: EventLog, status: PetStatus):
    set_status(log, BUDDY, status)
    assert change_inventory(Shop(log), [Change(BUDDY, stock=0)])[0].status is status
    assert change_inventory(Shop(log), [Change(BUDDY, stock=1)])[0].status is status


def test_stock_that_is_taken_and_put_back_is_told_both_ways(log: EventLog):
    head = log.head()

    taken = take_stock(Shop(log), BUDDY, 4)
    assert (taken.stock, taken.status) == (0, PetStatus.NOT_AVAILABLE)
    put_back(Shop(log), BUDDY, 1)
    returned = get_pet(Shop(log), BUDDY)
    assert (returned.stock, returned.status) == (1, PetStatus.AVAILABLE)
    assert [(data["oldStock"], data["newStock"]) for _, data in told_since(log, head)] == [(4, 0), (0, 1)]


def test_the_inventory_sums_up_the_whole_shop_whatever_the_page(log: EventLog):
    change_inventory(Shop(log), [Change(FLUFFY, stock=0)])
    set_status(log, BUDDY, PetStatus.PENDING)
    inventory = read_inventory(Shop(log), 2, 10)
    assert len(inventory.page.items) == 10
    assert inventory.page.total_items == 72
    assert (inventory.page.page, inventory.page.total_pages) == (2, 8)
    summary = inventory.summary
    assert (summary["available"], summary["pending"], summary["adopted"], summary["total"]) == (70, 1, 0, 72)
    assert summary["by_species"] == {"DOG": 22, "CAT": 22, "RABBIT": 9, "BIRD": 8, "REPTILE": 6, "OTHER": 5}


def test_an_empty_shop_has_an_empty_inventory(empty_log: EventLog):
    inventory = read_inventory(Shop(empty_log), 1, 20)
    assert (inventory.page.items, inventory.page.total_pages) == ([], 0)
    assert inventory.summary["total"] == 0
    assert inventory.summary["by_species"] == dict.fromkeys(Species, 0)


def test_the_inventory_and_the_events_after_it_make_the_present(log: EventLog, logs: list[EventLog]):
    """Whoever reads the inventory while others change it, and follows from its id, misses and doubles nothing."""
    ids = [pet.id for pet in all_pets(Shop(log))]

    def change(own: EventLog, offset: int) -> None:
        for round in range(60):
            change_inventory(Shop(own), [Change(ids[(round * 7 + offset + step) % 72], stock=round + step) for step in range(5)])

    threads = [threading.Thread(target=change, args=(own, offset)) for offset, own in enumerate(logs)]
    for thread in threads:
        thread.start()
    snapshots = [read_inventory(Shop(log), 1, 100)]
    while any(thread.is_alive() for thread in threads):
        snapshots.append(read_inventory(Shop(log), 1, 100))
    for thread in threads:
        thread.join()

    present = {pet.id: pet.stock for pet in all_pets(Shop(log))}
    for snapshot in snapshots:
        stock = {pet.id: pet.stock for pet in snapshot.page.items}
        for kind, data in told_since(log, snapshot.last_event_id):
            assert kind == "stock-change"
            assert stock[data["petId"]] == data["oldStock"]
            stock[data["petId"]] = data["newStock"]
        assert stock == present
