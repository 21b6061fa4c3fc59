"""When events are published: in bulk with a few requests, and one by one, each with a request of its own, at any rate."""

import pytest

from bench.load import BULK, ONE_BY_ONE, spread
from bench.measures import MOST_PER_S

LEAST_PER_S = 25_000 / 16
RATES = sorted(
    {per_s / streams for streams in (100, 1000, 10_000) for per_s in (LEAST_PER_S, 25_000, 141_421, 400_000, MOST_PER_S)}
)


@pytest.mark.parametrize("rate", RATES)
def test_one_by_one_no_request_carries_two_changes_at_any_rate_that_is_offered(rate: float):
    moments = spread(rate, 3, ONE_BY_ONE)

    assert {events for _, events in moments} == {1}
    assert len(moments) == max(1, round(rate * 3))


@pytest.mark.parametrize("rate", RATES)
def test_in_bulk_there_are_no_more_requests_a_second_however_high_the_rate(rate: float):
    moments = spread(rate, 3)

    assert len(moments) <= BULK * 3
    assert sum(events for _, events in moments) == pytest.approx(max(1, rate * 3), abs=1)
    assert all(offset < max(3, 1 / rate) * 1e6 for offset, _ in moments)
