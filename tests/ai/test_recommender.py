"""What every run may rely on: falling scores, nothing that can't be bought or is owned, and to be taken over by another worker."""

import dataclasses
import itertools
import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from petstore.ai import EmbeddedRecommender, PetIndex, Recommendation, embedded_recommender
from petstore.ai.taste import MOST_ANCHORS
from petstore.shop import (
    Change,
    Customer,
    Preferences,
    Shop,
    Size,
    Species,
    all_pets,
    cancel_order,
    change_inventory,
    get_customer,
    place_order,
    remove_pet,
)
from petstore.shop.catalogue import read_catalogue
from petstore.sse import EventLog, Feed, Transaction
from tests.ai.people import add_customer

CUSTOMERS = [customer.id for customer in read_catalogue().customers]
SOMEBODY_NEW = Customer(id="new", username="new", email="new", created_at=datetime.now(UTC), updated_at=datetime.now(UTC))
CATS = Preferences(species=(Species.CAT,))


def ids(picks: list[Recommendation]) -> list[str]:
    return [pick.pet_id for pick in picks]


def test_scores_fall_from_1_at_the_most_to_0_at_the_least(log: EventLog, recommender: EmbeddedRecommender):
    for customer_id, limit in itertools.product(CUSTOMERS, (1, 10, 60)):
        picks = list(recommender.recommend(Shop(log), get_customer(Shop(log), customer_id), [], limit))
        scores = [pick.score for pick in picks]
        assert len(picks) == len(set(ids(picks))) == limit
        assert all(later < earlier for earlier, later in itertools.pairwise(scores))
        assert 0 <= scores[-1] <= scores[0] <= 1


def test_what_is_liked_owned_or_out_of_stock_is_never_picked_and_a_cancelled_order_owns_nothing(
    log: EventLog, recommender: EmbeddedRecommender
):
    cats = [pet for pet in all_pets(Shop(log)) if pet.species is Species.CAT and pet.stock > 0]
    customer = add_customer(log, CATS, liked=[cats[0].id])
    place_order(Shop(log), cats[1].id, 1, customer.id)
    cancelled = place_order(Shop(log), cats[2].id, 1, customer.id)
    cancel_order(Shop(log), cancelled.id, "changed my mind")
    change_inventory(Shop(log), [Change(cats[3].id, stock=0)])
    picked = ids(list(recommender.recommend(Shop(log), customer, [], 100)))
    gone = {pet.id for pet in all_pets(Shop(log)) if pet.stock == 0}
    assert gone
    assert set(picked) == {pet.id for pet in all_pets(Shop(log))} - gone - {cats[0].id, cats[1].id}


def test_what_sells_out_during_a_run_is_not_picked_any_more(log: EventLog, index: PetIndex, recommender: EmbeddedRecommender):
    customer = get_customer(Shop(log), "user-456")
    expected = ids(list(recommender.recommend(Shop(log), customer, [], 10)))
    picks = recommender.recommend(Shop(log), customer, [], 10)
    begun = [next(picks), next(picks)]
    change_inventory(Shop(log), [Change(pet_id, stock=0) for pet_id in expected[2:6]])
    index.catch_up(log.head())
    picked = ids(begun + list(picks))
    assert picked[:2] == expected[:2]
    assert len(picked) == 10
    assert not set(picked) & set(expected[2:6])


def test_what_is_deleted_is_not_picked_any_more_whether_or_not_an_order_keeps_its_row(
    log: EventLog, index: PetIndex, recommender: EmbeddedRecommender
):
    customer = get_customer(Shop(log), "user-456")
    expected = ids(list(recommender.recommend(Shop(log), customer, [], 10)))
    ordered, unordered = expected[1], expected[2]
    order = place_order(Shop(log), ordered, 1)
    picks = recommender.recommend(Shop(log), customer, [], 10)
    picked = ids([next(picks)])
    for pet_id in (ordered, unordered):
        remove_pet(Shop(log), pet_id)
    index.catch_up(log.head())
    picked += ids(list(picks))
    cancel_order(Shop(log), order.id, "changed my mind")  # What is put back belongs to no pet that there is.
    for renew in (index.look, index.build):
        picked += ids(list(recommender.recommend(Shop(log), customer, [], 100)))
        renew()
    picked += ids(list(recommender.recommend(Shop(log), customer, [], 100)))
    assert expected[0] in picked
    assert not {ordered, unordered} & set(picked)


def test_what_sells_out_while_the_index_is_built_anew_is_not_picked_either(
    log: EventLog, index: PetIndex, recommender: EmbeddedRecommender
):
    customer = get_customer(Shop(log), "user-456")
    expected = ids(list(recommender.recommend(Shop(log), customer, [], 10)))
    picks = recommender.recommend(Shop(log), customer, [], 10)
    first = next(picks)
    change_inventory(Shop(log), [Change(expected[1], stock=0)])
    index.build()
    assert expected[1] not in ids([first, *picks])


def test_a_run_that_is_taken_over_goes_on_as_it_began(log: EventLog, recommender: EmbeddedRecommender, feed: Feed):
    index = PetIndex(Shop(log), feed)
    successor = EmbeddedRecommender(lambda _: index)
    for customer in (get_customer(Shop(log), customer_id) for customer_id in CUSTOMERS):
        whole = list(recommender.recommend(Shop(log), customer, [], 10))
        for made in (0, 1, 4, 9, 10):
            assert list(successor.recommend(Shop(log), customer, whole[:made], 10)) == whole[made:]
    index.stop()


def test_a_run_that_is_taken_over_in_a_shop_that_has_changed_still_falls(log: EventLog, recommender: EmbeddedRecommender):
    customer = get_customer(Shop(log), "user-456")
    empty = [Change(pet.id, stock=0) for pet in all_pets(Shop(log)) if pet.species is Species.CAT]
    change_inventory(Shop(log), empty)
    made = list(recommender.recommend(Shop(log), customer, [], 5))
    change_inventory(Shop(log), [Change(change.pet_id, stock=3) for change in empty])
    rest = list(recommender.recommend(Shop(log), customer, made, 10))
    assert rest[0].pet_id in {change.pet_id for change in empty}
    assert len(rest) == 5
    assert all(later.score < earlier.score for earlier, later in itertools.pairwise(made + rest))


def test_somebody_new_gets_popular_pets_of_many_species_and_is_told_so(log: EventLog, recommender: EmbeddedRecommender):
    picks = list(recommender.recommend(Shop(log), SOMEBODY_NEW, [], 10))
    species = {pet.id: pet.species for pet in all_pets(Shop(log))}
    assert len({species[pick.pet_id] for pick in picks}) >= 5
    assert picks[0].reason == "Popular with our customers"
    for pick in picks:
        assert pick.reason.startswith(("Popular with our customers", "Popular among our ", "One of our "))
    assert sum(pick.reason.startswith("Popular") for pick in picks) >= 7


def test_a_shop_without_pets_has_nothing_to_recommend(log: EventLog, recommender: EmbeddedRecommender):
    def empty(transaction: Transaction) -> None:
        for table in ("likes", "orders", "pets"):
            transaction.connection.execute(text(f"DELETE FROM {table}"))

    log.write(empty)
    assert list(recommender.recommend(Shop(log), SOMEBODY_NEW, [], 10)) == []


def test_a_shop_in_which_nobody_has_done_anything_shows_its_range(log: EventLog, recommender: EmbeddedRecommender):
    def forget(transaction: Transaction) -> None:
        for table in ("likes", "orders"):
            transaction.connection.execute(text(f"DELETE FROM {table}"))

    log.write(forget)
    picks = list(recommender.recommend(Shop(log), SOMEBODY_NEW, [], 6))
    assert len({pick.reason for pick in picks}) == 6
    assert all(re.fullmatch("One of our .*, to show you our range", pick.reason) for pick in picks)


def test_a_stated_preference_a_like_and_an_order_each_lead_to_their_kind(log: EventLog, recommender: EmbeddedRecommender):
    pets = {pet.id: pet for pet in all_pets(Shop(log))}
    birds = [pet.id for pet in pets.values() if pet.species is Species.BIRD]
    said = add_customer(log, Preferences(species=(Species.BIRD,)))
    liking = add_customer(log, liked=birds[:3])
    buying = add_customer(log, bought=birds[:3])
    for customer in (said, liking, buying):
        first = list(recommender.recommend(Shop(log), customer, [], 3))
        assert {pets[pick.pet_id].species for pick in first} == {Species.BIRD}


def test_what_others_bought_who_like_the_same_is_found(log: EventLog, index: PetIndex, recommender: EmbeddedRecommender):
    pets = all_pets(Shop(log))
    cat = next(pet for pet in pets if pet.species is Species.CAT)
    tortoise = next(pet for pet in pets if pet.species is Species.REPTILE and pet.stock > 0)
    customer = add_customer(log, liked=[cat.id])
    before = ids(list(recommender.recommend(Shop(log), customer, [], 10)))
    for _ in range(5):
        add_customer(log, liked=[cat.id], bought=[tortoise.id])
    index.look()
    after = list(recommender.recommend(Shop(log), customer, [], 10))
    assert tortoise.id not in before[:3]
    assert tortoise.id in ids(after)[:3]
    pick = next(pick for pick in after if pick.pet_id == tortoise.id)
    assert pick.reason.startswith(f"Bought by others who liked {cat.name}")


def test_a_budget_and_children_count(log: EventLog, recommender: EmbeddedRecommender):
    pets = {pet.id: pet for pet in all_pets(Shop(log))}
    wish = Preferences(species=(Species.DOG,), sizes=(Size.LARGE,), max_price_cents=60_000, good_with_kids=True)
    picks = list(recommender.recommend(Shop(log), add_customer(log, wish), [], 3))
    for pick in picks:
        assert pets[pick.pet_id].price_cents <= 60_000
        assert pets[pick.pet_id].good_with_kids


def test_a_customer_may_like_and_own_what_the_index_does_not_know_yet(
    log: EventLog, index: PetIndex, recommender: EmbeddedRecommender
):
    known = [pet.id for pet in all_pets(Shop(log)) if pet.stock > 0]
    index.catch_up(log.head())
    index.contents.table.places["new"] = len(index.contents.table)  # Being added at this very moment.
    customer = dataclasses.replace(get_customer(Shop(log), "user-456"), likes=("new", "unknown", known[0]))
    made = [Recommendation("new", "New", 0.9, ""), Recommendation("gone", "Gone", 0.8, "")]
    picks = list(recommender.recommend(Shop(log), customer, made, 10))
    assert len(picks) == 8
    assert picks[0].score < 0.8


def test_of_a_customer_who_likes_many_the_newest_count(log: EventLog, recommender: EmbeddedRecommender):
    pets = all_pets(Shop(log))
    dogs = [pet for pet in pets if pet.species is Species.DOG][:MOST_ANCHORS]
    cat = next(pet for pet in pets if pet.species is Species.CAT)
    customer = add_customer(log, liked=[*(dog.id for dog in dogs), cat.id])
    picks = list(recommender.recommend(Shop(log), customer, [], 30))
    assert any(f"Similar to {cat.name}" in pick.reason for pick in picks)
    assert not any(f"Similar to {dogs[0].name}" in pick.reason for pick in picks), "the oldest one"


def test_a_shop_is_quick_once_it_was_read_and_as_long_as_it_is_small(
    log: EventLog, index: PetIndex, recommender: EmbeddedRecommender, monkeypatch: pytest.MonkeyPatch
):
    assert not recommender.is_quick(Shop(log)), "to read it takes longer"
    index.build()
    assert recommender.is_quick(Shop(log))
    for bound in ("QUICK", "QUICK_PAIRS"):
        with monkeypatch.context() as patch:
            patch.setattr(embedded_recommender, bound, 3)
            assert not recommender.is_quick(Shop(log))


def test_a_newsletter_is_no_taste(log: EventLog, recommender: EmbeddedRecommender):
    new, reader = (
        ids(list(recommender.recommend(Shop(log), one, [], 20)))
        for one in (SOMEBODY_NEW, dataclasses.replace(SOMEBODY_NEW, preferences=Preferences(newsletter=True, notifications=False)))
    )
    assert new == reader
