"""What is made of pairs of customers and pets: popularity, and what ties pets together. Ids here are single letters."""

import numpy as np
import pytest

from petstore.ai import interest as interest_module
from petstore.ai.interest import Interest, Pairs
from petstore.shop import Pair

PLACES = {pet_id: place for place, pet_id in enumerate("abcdefgh")}


def make(liked: str = "", bought: str = "", pets: int = 8) -> Interest:
    """Return the interest of customers named by digits: "1a 2b" is customer 1 with pet a, and customer 2 with pet b."""
    pairs = Pairs(PLACES)
    for what, text in (("liked", liked), ("bought", bought)):
        pairs.add(what, [Pair(word[0], word[1], (word[0], word[1])) for word in text.split()])
    return Interest(pairs, np.zeros(pets, np.int8))


def test_a_pet_is_as_popular_as_it_has_customers_who_like_or_bought_it():
    interest = make("1a 2a 3a 1b", "1a 4a 4a 2c")
    assert interest.popularity.tolist() == [4, 1, 1, 0, 0, 0, 0, 0]
    assert interest.fame[0] == 1
    assert 0 < interest.fame[1] == interest.fame[2] < 1
    assert interest.fame[3] == 0


@pytest.mark.parametrize(
    ("liked", "popular"),
    [
        ("", ""),
        ("1a", "a"),
        ("1a 2a 1b 2b 1c", "ab"),
        ("1a 2a 3a 1b 1c 1d", "abcd"),  # The second of a quarter of eight, and all that equal it.
    ],
)
def test_a_quarter_may_be_called_popular_and_nothing_that_nobody_likes(liked: str, popular: str):
    assert np.flatnonzero(make(liked).popular).tolist() == [PLACES[pet_id] for pet_id in popular]


def test_friends_are_those_who_like_it_or_those_who_bought_it_and_only_what_they_bought_counts():
    interest = make("1a 2a 1b", "1c 2c 3d 3a 1a")
    assert set(interest.bought_by_likers(0).of) == {2}
    assert set(interest.bought_by_buyers(0).of) == {2, 3}
    assert not interest.bought_by_likers(7).of


def test_what_more_friends_bought_is_tied_more_strongly_and_what_everybody_buys_less():
    interest = make("1a 2a 3a", "1b 2b 3b 1c " + "1d 4d 5d 6d 7d 8d")
    ties = interest.bought_by_likers(0).of
    assert 1 > ties[1] > ties[2] > ties[3] > 0


def test_only_the_strongest_ties_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interest_module, "MOST_TIES", 1)
    assert set(make("1a 2a", "1b 2b 1c").bought_by_likers(0).of) == {1}


def test_a_pet_that_is_newer_than_what_was_read_has_no_friends():
    assert not make("1a", "1b").bought_by_buyers(100).of


def test_pairs_are_taken_until_there_is_no_room(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interest_module, "MAX_PAIRS", 3)
    pairs, read = Pairs(PLACES), []

    def read_slice(what: str, key: tuple[str, str]) -> list[Pair]:
        read.append(what)
        return [Pair("1", "a", key), Pair("2", "z", key), Pair("3", "b", key)]

    interest_module.collect(read_slice, pairs)
    assert read == ["liked", "liked", "bought", "bought"]
    customers, places = pairs.arrays("liked")
    assert (customers.tolist(), places.tolist()) == ([0, 1], [0, 1])


def test_the_values_of_many_groups_are_those_of_each():
    interest = make(bought="1a 1b 3c 3d 3e 4a 6h")
    groups = interest._bought_by
    for some in ([], [0], [2, 0], [0, 1, 2, 3, 3]):
        of_each = [value for group in some for value in groups.of(group).tolist()]
        assert groups.of_all(np.array(some, np.int32)).tolist() == of_each
