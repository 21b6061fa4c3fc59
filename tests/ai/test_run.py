"""What a run says of itself, whoever recommends: when it began and how long it took."""

import time
from collections.abc import Iterator, Sequence

from petstore.ai import EMBEDDED, Recommendation, Recommending, RunKind, Runs
from petstore.shop import Customer, Shop
from petstore.sse import EventLog, Feed
from tests.ai.conftest import Count

STEP_US = 20_000
"""What this recommender takes before its first pick, and for each."""


class Slow:
    """Notes when it was asked."""

    def __init__(self) -> None:
        self.asked_at: list[int] = []

    def recommend(
        self, shop: Shop, customer: Customer | str, made: Sequence[Recommendation], limit: int
    ) -> Iterator[Recommendation]:
        self.asked_at.append(now())
        work()
        return self._choose(limit)

    def is_quick(self, shop: Shop) -> bool:
        return False

    def _choose(self, limit: int) -> Iterator[Recommendation]:
        for number in range(limit):
            work()
            yield Recommendation(f"pet-{number}", "Buddy", 1 - number / 10, "")


def now() -> int:
    return time.time_ns() // 1000


def work() -> None:
    until = now() + STEP_US
    while now() < until:
        time.sleep(0.001)


def test_a_run_begins_before_its_first_pick_is_made_and_takes_as_long_as_all_of_them(log: EventLog, feed: Feed):
    for limit in (1, 3):  # One that is whole in its first slice, and one that goes on after it.
        recommender = Slow()
        generates = {RunKind.RECOMMENDATIONS: Recommending(log, recommender)}
        runs = Runs(log, feed, generates, EMBEDDED, Count(), 60)
        run = runs.start(Shop(log), RunKind.RECOMMENDATIONS, {"limit": limit}, "user-456")
        while not (events := log.read([run.topic], 0, 10)) or not events[-1].ends:
            work()
        assert run.created_at <= recommender.asked_at[0]
        complete = events[-1].value()
        assert complete["total"] == limit
        assert (limit + 1) * STEP_US <= complete["processingTime"] * 1000 + 999 <= events[-1].id + 999 - run.created_at
        assert all(event.id > run.created_at for event in events)
