"""Pets that match wishes: what must be met, what decides the order, and what is given up where nothing meets all."""

from dataclasses import replace

import pytest

from petstore.shop import Pet, Shop, Species, Wishes, find_matches, find_vocabulary
from petstore.sse import EventLog

CAT = (Species.CAT,)


def find(log: EventLog, wishes: Wishes, nearest: bool = False, limit: int = 100) -> list[Pet]:
    shop = Shop(log)
    return log.query(lambda connection: find_matches(shop, connection, wishes, limit, nearest))


def test_cheap_is_what_fits_and_of_that_the_cheapest(log: EventLog):
    found = find(log, Wishes(species=(Species.DOG,), temperament=("quiet",), cheapest_first=True))
    quiet = ["quiet" in pet.temperament for pet in found]
    assert quiet == sorted(quiet, reverse=True)
    assert any(quiet)
    assert not all(quiet)
    prices = [pet.price_cents for pet in found if "quiet" in pet.temperament]
    assert prices == sorted(prices)


def test_what_is_to_be_avoided_comes_last_however_cheap_it_is(log: EventLog):
    found = find(log, Wishes(species=(Species.DOG,), avoid=("calm",), cheapest_first=True))
    calm = ["calm" in pet.temperament for pet in found]
    assert any(calm)
    assert calm == sorted(calm)


def test_a_kind_is_found_beside_a_species(log: EventLog):
    found = find(log, Wishes(species=CAT, kinds=((Species.BIRD, ("parrot", "finch")),)))
    assert {pet.species for pet in found} == {Species.CAT, Species.BIRD}
    birds = {pet.breed for pet in found if pet.species is Species.BIRD}
    assert birds == {"African Grey Parrot", "Eclectus Parrot", "Zebra Finch"}
    assert {pet.breed for pet in find(log, Wishes(kinds=((Species.OTHER, ("rat",)),)))} == {"Fancy Rat"}


def test_what_is_not_wanted_is_not_found_and_not_near(log: EventLog):
    unwanted = ((Species.CAT, ()), (Species.BIRD, ("parrot",)))
    for nearest in (False, True):
        found = find(log, Wishes(unwanted=unwanted, without=("golden", "ginger")), nearest)
        assert {pet.species for pet in found} == set(Species) - {Species.CAT}
        assert any(pet.species is Species.BIRD for pet in found)
        assert not any("Parrot" in pet.breed or "Golden" in pet.breed or "ginger" in pet.color for pet in found)


def test_a_young_one_is_at_most_so_old(log: EventLog):
    assert {pet.name for pet in find(log, Wishes(species=CAT, max_age_months=12))} == {"Smudge", "Clementine"}


@pytest.mark.parametrize(
    ("wishes", "names"),
    [
        (Wishes(species=CAT, words=("siamese", "persian")), ["Fluffy", "Miso"]),
        (Wishes(species=CAT, words=("siamese", "persian"), max_price_cents=30000), ["Fluffy"]),
        (Wishes(species=CAT, words=("ginger",), max_price_cents=5000), ["Marmalade", "Clementine"]),
        (Wishes(species=CAT, max_age_months=12, max_price_cents=10000, words=("grey",)), ["Smudge"]),
        (Wishes(species=CAT, max_age_months=2), ["Smudge", "Clementine", "Saffron"]),
        (Wishes(kinds=((Species.REPTILE, ("turtle",)),)), ["Dot", "Merlin", "Ember"]),
        (Wishes(kinds=((Species.BIRD, ("parrot",)),), max_age_months=12, max_price_cents=10000), ["Juno", "Captain"]),
        (Wishes(words=("ginger", "unheard")), ["Crumpet", "Marmalade", "Clementine"]),
        (Wishes(words=("unheard",)), []),
        (Wishes(words=("siamese",), good_with_kids=False), []),
    ],
)
def test_the_nearest_give_up_the_price_first_then_the_age_the_words_and_the_kind(log: EventLog, wishes: Wishes, names: list[str]):
    assert find(log, wishes) == []
    assert [pet.name for pet in find(log, wishes, nearest=True, limit=3)] == names


def test_words_are_given_up_only_where_a_species_is_left(log: EventLog):
    cats = find(log, Wishes(species=CAT, words=("unheard",)), nearest=True)
    assert cats == find(log, Wishes(species=CAT))
    assert find(log, replace(Wishes(species=CAT, words=("unheard",)), good_with_kids=True), nearest=True) == [
        cat for cat in cats if cat.good_with_kids
    ]


def test_the_vocabulary_has_whole_words(log: EventLog):
    words = log.query(lambda connection: find_vocabulary(Shop(log), connection))
    assert {"hermann", "tortoise", "bicolour", "spot", "spots", "eclectus", "breed", "shorthair"} <= words.looks
    assert not {"colour", "short", "hound"} & words.looks
    assert {"freckles", "buddy"} <= words.names
