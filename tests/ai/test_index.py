"""The index says what the database says, whatever changes, when and by whom; and it ends when it's told to."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from petstore.ai import PetIndex
from petstore.ai import index as index_module
from petstore.ai.features import vectors
from petstore.shop import (
    LAST_ID,
    Change,
    Kind,
    Offer,
    PetStatus,
    Shop,
    Size,
    Species,
    all_pets,
    change_inventory,
    new_id,
    newest_offers,
)
from petstore.shop.catalogue import read_catalogue
from petstore.sse import Event, EventLog, Feed, LogUnavailable, Overtaken, Subscription
from tests.ai.people import add_customer

BUDDY = read_catalogue().pets[0].id


def assert_fresh(index: PetIndex, log: EventLog) -> None:
    """The table is what the database holds."""
    pets = {pet.id: pet for pet in all_pets(Shop(log))}
    table, columns = index.contents.table, index.contents.table.columns
    assert set(table.ids) == set(pets)
    for place, pet in enumerate(pets[pet_id] for pet_id in table.ids):
        assert (columns.stock[place], columns.price_cents[place]) == (pet.stock, pet.price_cents)
        assert table.available(place) == (pet.stock > 0 and pet.status is PetStatus.AVAILABLE)
        kind = Kind(pet.species, pet.breed, pet.age_months, pet.size, pet.color, pet.good_with_kids, pet.temperament)
        assert (table.names[place], table.kinds[place]) == (pet.name, kind)
        assert np.array_equal(columns.vectors[place], vectors([kind], [pet.price_cents])[0])


def wait_until(met: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not met():
        assert time.monotonic() < until
        time.sleep(0.01)


def sell_out(log: EventLog, pet_id: str = BUDDY) -> None:
    change_inventory(Shop(log), [Change(pet_id, stock=0)])


def add_pet(log: EventLog, name: str = "Newcomer", updated_at: int | None = None) -> str:
    at = time.time_ns() // 1000 if updated_at is None else updated_at
    values = {"id": new_id(), "name": name, "at": at}
    statement = text(
        "INSERT INTO pets SELECT tenant, :id, :name, species, breed, age_months, size, color, gender, good_with_kids, price_cents, "
        "currency, stock, temperament, description, medical, photos, status, :at, :at, NULL FROM pets WHERE id = :model"
    )
    log.write(lambda transaction: transaction.connection.execute(statement, values | {"model": BUDDY}))
    return values["id"]  # type: ignore[return-value]


def test_it_is_built_at_the_first_use_and_has_every_pet(log: EventLog, index: PetIndex):
    assert len(index.contents.table) == 0
    index.catch_up(log.head())
    assert len(index.contents.table) == 72
    assert_fresh(index, log)


def test_what_was_committed_before_is_known_even_if_the_feed_has_not_heard_of_it(log: EventLog, feed: Feed, index: PetIndex):
    index.catch_up(log.head())
    feed.stop()  # It hears nothing from now on.
    change_inventory(Shop(log), [Change(BUDDY, stock=0, price_cents=99_99), Change(index.contents.table.ids[5], stock=70)])
    index.catch_up(log.head())
    assert_fresh(index, log)


def test_an_event_that_comes_again_late_changes_nothing(log: EventLog, index: PetIndex):
    index.catch_up(log.head())
    for stock in (8, 0):
        change_inventory(Shop(log), [Change(BUDDY, stock=stock)])
    index.catch_up(log.head())
    place = index.contents.table.places[BUDDY]
    index.contents.table.set_stock(place, 8, log.head() - 1)
    assert not index.contents.table.available(place)
    assert_fresh(index, log)


def test_changes_of_all_kinds_from_many_threads_are_all_there_in_the_end(log: EventLog, index: PetIndex):
    pet_ids = [pet.id for pet in all_pets(Shop(log))][:10]

    def change(seed: int) -> None:
        for turn in range(15):
            pet_id = pet_ids[(seed * 7 + turn) % 10]
            change_inventory(Shop(log), [Change(pet_id, stock=(seed + turn) % 3, price_cents=5000 + seed * 100 + turn)])

    threads = [threading.Thread(target=change, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        index.catch_up(log.head())
        index.build()
    for thread in threads:
        thread.join()
    index.catch_up(log.head())
    assert_fresh(index, log)


def test_it_follows_by_itself_until_it_is_stopped(log: EventLog, feed: Feed):
    index = PetIndex(Shop(log), feed)
    index.start()
    index.start()
    wait_until(lambda: len(index.contents.table) == 72)
    place = index.contents.table.places[BUDDY]
    sell_out(log)
    wait_until(lambda: not index.contents.table.available(place))
    assert [thread.name for thread in threading.enumerate()].count("pet index") == 1
    index.stop()
    assert "pet index" not in [thread.name for thread in threading.enumerate()]
    change_inventory(Shop(log), [Change(BUDDY, stock=4)])
    assert not index.contents.table.available(place)


def test_it_may_be_stopped_before_it_was_started(log: EventLog, feed: Feed):
    PetIndex(Shop(log), feed).stop()


def test_a_log_that_is_away_is_an_error_to_who_asks(log: EventLog, index: PetIndex, monkeypatch: pytest.MonkeyPatch):
    def away(*_: object) -> None:
        raise LogUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(log, "query", away)
        with pytest.raises(LogUnavailable):
            index.catch_up(0)
    index.catch_up(log.head())
    assert_fresh(index, log)


def test_a_new_pet_is_known_from_its_first_event(log: EventLog, index: PetIndex):
    index.catch_up(log.head())
    pet_id = add_pet(log)
    sell_out(log, pet_id)
    index.catch_up(log.head())
    assert len(index.contents.table) == 73
    assert_fresh(index, log)


@pytest.mark.parametrize("updated_at", [None, 1], ids=["now", "with an old date"])
def test_a_look_finds_new_pets(log: EventLog, index: PetIndex, updated_at: int | None):
    index.catch_up(log.head())
    add_pet(log, updated_at=updated_at)
    index.look()
    assert len(index.contents.table) == 73
    assert_fresh(index, log)


def test_a_look_finds_changed_traits_and_what_staff_keep_from_sale(log: EventLog, index: PetIndex):
    index.catch_up(log.head())
    place = index.contents.table.places[BUDDY]
    statement = text("UPDATE pets SET species = 'CAT', size = 'SMALL', status = 'PENDING', updated_at = :now WHERE id = :id")
    values = {"now": time.time_ns() // 1000, "id": BUDDY}
    log.write(lambda transaction: transaction.connection.execute(statement, values))
    index.look()
    assert (index.contents.table.kinds[place].species, index.contents.table.kinds[place].size) == (Species.CAT, Size.SMALL)
    assert not index.contents.table.available(place)
    assert_fresh(index, log)


@pytest.mark.parametrize("known", [True, False], ids=["known before", "read like this"])
def test_a_deleted_pet_whose_row_is_kept_is_not_available_whatever_its_stock(log: EventLog, index: PetIndex, known: bool):
    if known:
        index.catch_up(log.head())
    statement = text("UPDATE pets SET stock = 40, deleted_at = :now, updated_at = :now WHERE id = :id")
    values = {"now": time.time_ns() // 1000, "id": BUDDY}
    log.write(lambda transaction: transaction.connection.execute(statement, values))
    index.look()
    table = index.contents.table
    assert table.columns.stock[table.places[BUDDY]] == 40
    assert not table.available(table.places[BUDDY])
    assert not table.columns.for_sale()[table.places[BUDDY]]


def test_what_staff_keep_from_sale_stays_so_whatever_its_stock(log: EventLog, index: PetIndex):
    log.write(
        lambda transaction: transaction.connection.execute(text("UPDATE pets SET status = 'ADOPTED' WHERE id = :id"), {"id": BUDDY})
    )
    index.catch_up(log.head())
    change_inventory(Shop(log), [Change(BUDDY, stock=40)])
    index.catch_up(log.head())
    assert not index.contents.table.available(index.contents.table.places[BUDDY])


def test_a_look_finds_what_others_like_and_buy(log: EventLog, index: PetIndex):
    index.catch_up(log.head())
    place, other = index.contents.table.places[BUDDY], index.contents.table.ids[7]
    before = int(index.contents.interest.popularity[place])
    add_customer(log, liked=[BUDDY], bought=[other, BUDDY], cancelled=[index.contents.table.ids[8]])
    index.look()
    assert index.contents.interest.popularity[place] == before + 1
    assert 7 in index.contents.interest.bought_by_likers(place).of
    assert 7 in index.contents.interest.bought_by_buyers(place).of
    assert place not in index.contents.interest.bought_by_buyers(place).of


def test_only_the_newest_pets_are_kept_where_there_are_too_many(log: EventLog, index: PetIndex, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index_module, "MAX_PETS", 50)
    monkeypatch.setattr(index_module, "SLICE", 25)
    index.catch_up(log.head())
    assert set(index.contents.table.ids) == {pet.id for pet in sorted(all_pets(Shop(log)), key=lambda pet: pet.id)[-50:]}
    change_inventory(Shop(log), [Change(pet.id, stock=pet.stock + 1) for pet in all_pets(Shop(log))])
    index.catch_up(log.head())
    index.look()
    assert len(index.contents.table) == 50


def test_who_stops_it_does_not_wait_until_all_is_read(log: EventLog, feed: Feed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index_module, "SLICE", 1)
    begun, go_on = threading.Event(), threading.Event()

    def read(*arguments: Any) -> list[Offer]:
        begun.set()
        go_on.wait(20)
        return newest_offers(*arguments)

    monkeypatch.setattr(index_module, "newest_offers", read)
    index = PetIndex(Shop(log), feed)
    index.start()
    assert begun.wait(20)
    stopping = threading.Thread(target=index.stop)
    stopping.start()
    wait_until(index.stopping.is_set)
    go_on.set()
    stopping.join(20)
    assert not stopping.is_alive()
    assert len(index.contents.table) == 0
    with pytest.raises(LogUnavailable):
        index.catch_up(0)


def test_an_index_that_retention_has_overtaken_reads_all_anew(log: EventLog, index: PetIndex, monkeypatch: pytest.MonkeyPatch):
    index.build()

    def overtake() -> list[Event]:
        monkeypatch.undo()
        raise Overtaken

    monkeypatch.setattr(Subscription, "take", lambda _: overtake())
    sell_out(log)
    with pytest.raises(LogUnavailable):
        index.catch_up(log.head())
    assert not index.built
    index.catch_up(log.head())
    assert_fresh(index, log)


def test_a_change_of_what_is_there_takes_no_new_room(log: EventLog, index: PetIndex):
    index.build()
    table = index.contents.table
    columns = table._columns
    table.put(*_offers(log), log.head())
    assert table._columns is columns
    assert len(columns.stock) >= len(table) * 9 // 8


def _offers(log: EventLog) -> tuple[list[Offer], Any]:
    offers = log.query(lambda connection: newest_offers(Shop(log), connection, LAST_ID, 1000))
    return offers, vectors([offer.kind for offer in offers], [offer.price_cents for offer in offers])
