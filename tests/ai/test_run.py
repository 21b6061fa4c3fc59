"""What a run says of itself, whoever recommends: when it began and how long it took."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import select

from petstore.ai import EMBEDDED, MODEL, Recommendation, Recommending, Run, RunKind, Runs, RunStatus, production, reading
from petstore.ai.error import EngineFailed
from petstore.ai.run import runs as runs_table
from petstore.api.problem import describe
from petstore.shop import Customer, CustomerNotFound, Shop, now
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


class Unready(Slow):
    """One that waits until its shop has been read."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = threading.Event()

    def recommend(
        self, shop: Shop, customer: Customer | str, made: Sequence[Recommendation], limit: int
    ) -> Iterator[Recommendation]:
        self.ready.wait(20)
        return super().recommend(shop, customer, made, limit)


class Refusing:
    """A model that says no."""

    def rank(self, *arguments: object) -> Iterator[Recommendation]:
        raise EngineFailed(MODEL, "no")


class Late(Unready):
    """One whose look at the customer takes a while, and finds none."""

    def recommend(
        self, shop: Shop, customer: Customer | str, made: Sequence[Recommendation], limit: int
    ) -> Iterator[Recommendation]:
        self.ready.wait(20)
        raise CustomerNotFound(str(customer))


def test_who_does_not_exist_is_not_found_however_long_that_takes_to_find_out(
    log: EventLog, feed: Feed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reading, "TICK_S", 0.02)
    monkeypatch.setattr(production, "PROGRESS_S", 0.0)
    recommender = Late()
    runs = Runs(log, feed, {RunKind.RECOMMENDATIONS: Recommending(log, recommender)}, EMBEDDED, Count(), 60)
    with pytest.raises(CustomerNotFound):
        runs.start(Shop(log), RunKind.RECOMMENDATIONS, {"limit": 3}, "nobody")
    recommender.ready.set()
    assert not log.query(lambda connection: connection.execute(select(runs_table.c.id)).all())


def test_a_run_whose_shop_is_still_being_read_keeps_its_lease(log: EventLog, feed: Feed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "TICK_S", 0.02)
    for engine in (EMBEDDED, MODEL):
        recommender = Unready()
        generates = {RunKind.RECOMMENDATIONS: Recommending(log, recommender, Refusing(), 5.0)}
        runs = Runs(log, feed, generates, engine, Count(), 60)
        run = runs.start(Shop(log), RunKind.RECOMMENDATIONS, {"limit": 3}, "user-456")
        assert run.status is RunStatus.RUNNING
        for _ in range(3):
            before = until = lease_of(log, run)
            while until == before:
                work()
                until = lease_of(log, run)
            assert until > before
        recommender.ready.set()
        while not (events := log.read([run.topic], 0, 10)) or not events[-1].ends:
            work()
        assert [event.type for event in events if event.type != "progress"] == ["recommendation"] * 3 + ["complete"]
        while runs.is_busy():
            work()


class Failing(Slow):
    """One that fails after its first pick, in whatever way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def _choose(self, limit: int) -> Iterator[Recommendation]:
        yield from super()._choose(1)
        raise self._error


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("as the test wants it"), 500), (EngineFailed(MODEL, "no"), 503)])
def test_a_run_that_fails_ends_with_a_problem_of_the_contract(log: EventLog, feed: Feed, error: Exception, status: int):
    runs = Runs(log, feed, {RunKind.RECOMMENDATIONS: Recommending(log, Failing(error))}, EMBEDDED, Count(), 60)
    run = runs.start(Shop(log), RunKind.RECOMMENDATIONS, {"limit": 3}, "user-456")
    while not (events := runs.events(run)) or not events[-1].ends:
        work()
    assert [event.type for event in events] == ["recommendation", "error"]
    assert events[-1].value() == describe(status) | {"retryable": True}
    assert runs.get(run.id).status is RunStatus.FAILED


def lease_of(log: EventLog, run: Run) -> int:
    query = select(runs_table.c.expires_at).filter_by(id=run.id)
    expires_at: int = log.query(lambda connection: connection.execute(query).scalar_one())
    return expires_at
