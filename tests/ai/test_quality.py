"""A floor under the quality of the recommendations, in a small planted shop. `make evaluate` has the figures of a larger one."""

from collections.abc import Iterator

import pytest

from tests.evaluate import Figures, measure, planted_shop, ways


@pytest.fixture(scope="module")
def figures() -> Iterator[dict[str, Figures]]:
    with planted_shop(pets=400, customers=80, seed=3) as (log, shop, index):
        yield {name: measure(shop, choose, 10) for name, choose in ways(log, shop, index, seed=3).items()}


def test_far_more_customers_find_what_they_would_buy_than_by_chance_or_by_popularity(figures: dict[str, Figures]):
    ours = figures["embedded"].hit_rate
    print({name: round(figure.hit_rate, 3) for name, figure in figures.items()})
    assert ours > 0.6
    assert ours > 5 * figures["random"].hit_rate
    assert ours > 2 * figures["most popular"].hit_rate


def test_variety_costs_little_and_is_seen(figures: dict[str, Figures]):
    ours, alone = figures["embedded"], figures["embedded, relevance alone"]
    assert ours.variety > alone.variety + 0.03
    assert ours.found > 0.85 * alone.found


def test_nobody_is_better_than_the_customers_themselves(figures: dict[str, Figures]):
    """Otherwise what is to be found would have leaked."""
    assert all(figure.found < figures["the customers themselves"].found for figure in list(figures.values())[:-1])
