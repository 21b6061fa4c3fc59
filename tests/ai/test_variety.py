"""Greedy choice: worth falls, nothing comes twice, relevance alone is a plain sorting, and variety tells likes apart."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petstore.ai import variety
from petstore.ai.features import DIMENSIONS, Vectors
from petstore.ai.table import Columns
from petstore.ai.taste import best
from petstore.ai.variety import pick


def columns(rows: Vectors) -> Columns:
    count = len(rows)
    ones = np.ones(count, np.int64)
    return Columns(rows, ones, ones, np.zeros(count, np.bool_), np.arange(count, dtype=np.int8) % 3, np.ones(count, np.bool_), ones)


def directions(places: list[int]) -> Vectors:
    """Return a row for each place, of the length one, all at right angles."""
    rows = np.zeros((len(places), DIMENSIONS), np.float32)
    rows[range(len(places)), places] = 1
    return rows


shops = st.lists(st.tuples(st.integers(0, DIMENSIONS - 1), st.floats(0, 1, width=32), st.booleans()), max_size=40)


@given(shops, st.floats(0, 1), st.booleans())
def test_worth_falls_and_each_that_can_be_had_comes_once(shop: list[tuple[int, float, bool]], balance: float, varied: bool):
    rows = directions([place for place, _, _ in shop])
    relevance = np.array([value for _, value, _ in shop], np.float32)
    gone = {place for place, (_, _, here) in enumerate(shop) if not here}
    made = list(pick(columns(rows), relevance, balance, [], lambda place: place not in gone, varied))
    assert sorted(place for place, _ in made) == [place for place in range(len(shop)) if place not in gone]
    assert all(0 <= later <= earlier + 1e-6 <= 1 + 2e-6 for (_, earlier), (_, later) in itertools.pairwise(made))


def test_by_relevance_alone_it_sorts():
    relevance = np.array([0.2, 0.9, 0.5, 0.9], np.float32)
    made = [place for place, _ in pick(columns(directions([1, 1, 1, 1])), relevance, 1.0, [], lambda _: True)]
    assert made == [1, 3, 2, 0]


def test_of_two_that_are_alike_the_second_comes_after_something_else():
    relevance = np.array([0.9, 0.89, 0.6], np.float32)
    made = [place for place, _ in pick(columns(directions([4, 4, 7])), relevance, 0.6, [], lambda _: True)]
    assert made == [0, 2, 1]


def test_what_was_picked_before_counts_as_picked():
    relevance = np.array([0.9, 0.89, 0.6], np.float32)
    made = [place for place, _ in pick(columns(directions([4, 4, 7])), relevance, 0.6, [0], lambda _: True)]
    assert made == [2, 1]


def test_nothing_with_a_relevance_below_0_is_picked():
    relevance = np.array([-1, 0.5, -1], np.float32)
    assert [place for place, _ in pick(columns(directions([1, 2, 3])), relevance, 0.5, [], lambda _: True)] == [1]


@pytest.mark.parametrize("varied", [False, True])
def test_it_goes_on_beyond_the_first_pool_when_that_is_sold_out(monkeypatch: pytest.MonkeyPatch, varied: bool):
    monkeypatch.setattr(variety, "POOL", 5)
    monkeypatch.setattr(variety, "EACH_SPECIES", 2)
    relevance = np.linspace(1, 0.5, 30, dtype=np.float32)
    made = [place for place, _ in pick(columns(directions(list(range(30)))), relevance, 0.9, [], lambda place: place >= 12, varied)]
    assert sorted(made) == list(range(12, 30))


@pytest.mark.parametrize("count", [1, 10, 300, 5000])
@pytest.mark.parametrize("levels", [2, 50, 10**6])
def test_the_best_of_many_are_the_best(count: int, levels: int):
    relevance = np.random.default_rng(count).integers(0, levels, 4000).astype(np.float32)
    found = relevance[best(relevance, count)]
    assert sorted(found) == sorted(relevance)[-count:]
    relevance[::16] = levels
    assert sorted(relevance[best(relevance, count)]) == sorted(relevance)[-count:]
