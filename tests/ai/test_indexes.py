"""A worker's indexes: one for each shop, with nothing of another's in it, made once, only so many, ended with the worker."""

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from petstore.ai import EmbeddedRecommender, PetIndex, PetIndexes, Recommendation
from petstore.ai import index as index_module
from petstore.ai import indexes as indexes_module
from petstore.shop import (
    LAST_ID,
    Change,
    Customer,
    Offer,
    PetDetails,
    Shop,
    Species,
    add_pet,
    all_pets,
    change_inventory,
    get_customer,
    inventory_topic,
    new_id,
    newest_offers,
    place_order,
    remove_pet,
)
from petstore.sse import EventLog, Feed, LogUnavailable, Selection
from tests.ai.people import add_customer
from tests.conftest import TENANT

CUSTOMER = "user-456"


@pytest.fixture
def shared(log: EventLog) -> Shop:
    return Shop(log)


@pytest.fixture
def indexes(shared: Shop, feed: Feed) -> Iterator[PetIndexes]:
    indexes = PetIndexes(shared, feed)
    yield indexes
    indexes.stop()


@pytest.fixture
def recommender(indexes: PetIndexes) -> EmbeddedRecommender:
    return EmbeddedRecommender(indexes.of)


def picks(recommender: EmbeddedRecommender, shop: Shop, customer: Customer, limit: int = 100) -> list[Recommendation]:
    return list(recommender.recommend(shop, customer, [], limit))


def ids(found: Sequence[Recommendation]) -> set[str]:
    return {pick.pet_id for pick in found}


def followers(feed: Feed, shop: Shop) -> int:
    """Return how many follow the inventory of a shop."""
    return len(feed.pump.group(Selection((inventory_topic(shop),))).members)


def running() -> int:
    return [thread.name for thread in threading.enumerate()].count("pet index")


def test_each_shop_recommends_its_own_pets_and_all_of_them(
    shared: Shop, other: Shop, log: EventLog, recommender: EmbeddedRecommender
):
    somebody = add_customer(log)
    sold_out, deleted, *_, model = (pet for pet in all_pets(other) if pet.stock > 0)
    details = PetDetails(**{field.name: getattr(model, field.name) for field in dataclasses.fields(PetDetails)})
    here, there = add_pet(shared, details).id, add_pet(other, details).id
    for _ in range(2):  # First what was read of each, then what was told of one.
        found, elsewhere = (ids(picks(recommender, shop, somebody)) for shop in (shared, other))
        assert found == {pet.id for pet in all_pets(shared) if pet.stock > 0}
        assert elsewhere == {pet.id for pet in all_pets(other) if pet.stock > 0}
        change_inventory(other, [Change(sold_out.id, stock=0)])
        if deleted in all_pets(other):
            remove_pet(other, deleted.id)
    assert found - elsewhere == {here, sold_out.id, deleted.id}
    assert elsewhere - found == {there}


def test_likes_and_purchases_count_in_their_own_shop_alone(
    shared: Shop, other: Shop, log: EventLog, indexes: PetIndexes, recommender: EmbeddedRecommender
):
    cat = next(pet for pet in all_pets(shared) if pet.species is Species.CAT)
    tortoise = next(pet for pet in all_pets(shared) if pet.species is Species.REPTILE and pet.stock > 0)
    liking, nobody = add_customer(log, liked=[cat.id]), add_customer(log)
    before = [picks(recommender, shared, customer) for customer in (liking, nobody)]
    for _ in range(9):
        add_customer(log, liked=[cat.id], bought=[tortoise.id], tenant=TENANT)
    for shop in (shared, other):
        indexes.of(shop).look()
    assert [picks(recommender, shared, customer) for customer in (liking, nobody)] == before
    reasons = {pick.pet_id: pick.reason for pick in picks(recommender, other, liking, 3)}
    assert reasons[tortoise.id].startswith(f"Bought by others who liked {cat.name}")
    assert not any(pick.reason.startswith("Bought by others who liked") for pick in before[0] if pick.pet_id == tortoise.id)
    assert tortoise.id in ids(picks(recommender, other, nobody, 3))


def test_what_a_customer_bought_in_one_shop_is_not_owned_by_whoever_has_the_same_id_in_another(
    shared: Shop, other: Shop, recommender: EmbeddedRecommender
):
    customers = [get_customer(shop, CUSTOMER) for shop in (shared, other)]
    wanted = picks(recommender, shared, customers[0], 1)[0].pet_id
    place_order(other, wanted, 1, CUSTOMER)
    assert [wanted in ids(picks(recommender, shop, own)) for shop, own in zip((shared, other), customers, strict=True)] == [
        True,
        False,
    ]


def test_the_index_of_a_shop_is_made_and_read_once_however_many_ask_at_once(
    other: Shop, indexes: PetIndexes, feed: Feed, monkeypatch: pytest.MonkeyPatch
):
    begun: list[str] = []

    def read(shop: Shop, connection: Any, below: str, limit: int) -> list[Offer]:
        if below == LAST_ID:
            begun.append(shop.tenant)
        return newest_offers(shop, connection, below, limit)

    monkeypatch.setattr(index_module, "newest_offers", read)
    start, found = threading.Barrier(8), []

    def ask() -> None:
        start.wait()
        index = indexes.of(Shop(other.log, TENANT))
        index.catch_up(other.log.head())
        found.append((index, len(index.contents.table)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(indexes.of(other), 72)] * 8
    assert begun == [TENANT]
    assert followers(feed, other) == 1


def test_only_so_many_are_kept_and_whose_shop_was_asked_for_longest_ago_makes_room(
    shared: Shop, indexes: PetIndexes, feed: Feed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(indexes_module, "MAX_INDEXES", 3)
    first, *others = (Shop(shared.log, new_id()) for _ in range(6))
    made: list[PetIndex] = []
    for shop in (first, *others):
        made.append(indexes.of(shop))
        made[-1].catch_up(0)
        assert indexes.of(first) is made[0]
        assert running() <= 3
    assert [index.stopping.is_set() for index in made] == [False, True, True, True, False, False]
    assert [followers(feed, shop) for shop in (first, *others)] == [1, 0, 0, 0, 1, 1]
    again = indexes.of(others[0])
    again.catch_up(0)
    assert again is not made[1]
    assert indexes.of(shared) is indexes.of(Shop(shared.log))


def test_all_end_with_the_worker_and_none_is_made_after_that(
    shared: Shop, other: Shop, indexes: PetIndexes, feed: Feed, recommender: EmbeddedRecommender
):
    indexes.start()
    for shop in (shared, other, Shop(shared.log, new_id())):
        indexes.of(shop).catch_up(0)
    assert running() == 3
    assert (followers(feed, shared), followers(feed, other)) == (1, 1)
    indexes.stop()
    assert running() == 0
    assert (followers(feed, shared), followers(feed, other)) == (0, 0)
    with pytest.raises(LogUnavailable):
        recommender.recommend(other, get_customer(other, CUSTOMER), [], 10)
    assert running() == 0


def test_an_index_that_was_ended_before_it_was_read_follows_nothing(other: Shop, feed: Feed):
    index = PetIndex(other, feed)
    index.stop()
    with pytest.raises(LogUnavailable):
        index.catch_up(0)
    assert followers(feed, other) == 0
