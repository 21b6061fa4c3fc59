"""Who is there to see a run: noted for all workers, void when it isn't said again, and never lost by a failed write."""

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from sqlalchemy import insert, select, update

from petstore.ai import EMBEDDED, Audience, EmbeddedRecommender, Keeper, Recommending, Run, RunKind, Runs, RunStatus, Sweep
from petstore.ai.presence import Presence, audiences
from petstore.ai.run import row_from
from petstore.ai.run import runs as runs_table
from petstore.api.metrics import Uncounted
from petstore.shop import Shop, new_id, now
from petstore.sse import EventLog, Feed, LogUnavailable
from tests.ai.conftest import Count

LEASE = 60_000_000
SLACK = 30_000_000

Begin = Callable[..., Run]


@pytest.fixture
def begin(log: EventLog) -> Begin:
    """Puts a run into the database that somebody makes."""

    def put(lease: int = LEASE, watched_until: int | None = None) -> Run:
        until = now() + lease if watched_until is None else watched_until
        request = {"limit": 10}
        run = Run(new_id(), "", RunKind.RECOMMENDATIONS, "user-456", request, EMBEDDED, RunStatus.RUNNING, 0, lease, until, now())
        row = row_from(run) | {"holder": "another", "expires_at": now() + LEASE}
        log.write(lambda transaction: transaction.connection.execute(insert(runs_table).values(row)))
        return run

    return put


@pytest.fixture
def runs(log: EventLog, feed: Feed, recommender: EmbeddedRecommender) -> Runs:
    return Runs(log, feed, {RunKind.RECOMMENDATIONS: Recommending(log, recommender)}, EMBEDDED, Count(), 60)


def watched_until(log: EventLog, run: Run) -> int:
    """Return for how many seconds a run goes on, if nobody says anything any more."""
    query = select(runs_table.c.watched_until).filter_by(id=run.id)
    until: int = log.query(lambda connection: connection.execute(query).scalar_one())
    return round((until - now()) / 1e6)


def test_who_leaves_one_worker_ends_nothing_that_somebody_watches_at_another(log: EventLog, begin: Begin):
    here, there = Presence(log, 60), Presence(log, 60)
    for lease in (0, LEASE):
        run = begin(lease)
        here.rejoin(run)
        there.rejoin(run)
        there.leave([run.id])
        assert watched_until(log, run) == (SLACK + lease) // 1_000_000
        here.leave([run.id])
        assert watched_until(log, run) == lease // 1_000_000, "now it's nobody"


def test_what_a_worker_says_is_void_when_it_isn_t_said_again(log: EventLog, begin: Begin):
    here, gone = Presence(log, 60), Presence(log, 60)
    run, other = begin(), begin()
    gone.stay([run.id, other.id])
    log.write(lambda transaction: transaction.connection.execute(update(audiences).filter_by(run_id=run.id).values(until=now())))
    here.leave([run.id])
    assert watched_until(log, run) == 60
    Sweep(log, SimpleNamespace(meter=Uncounted()), 3600).sweep()  # type: ignore[arg-type]
    assert log.query(lambda connection: connection.execute(select(audiences.c.run_id)).scalars().all()) == [other.id]


def test_any_number_is_noted_in_pages_of_which_none_holds_others_up(log: EventLog, begin: Begin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("petstore.ai.presence.PAGE", 2)
    found = [begin() for _ in range(5)]
    here = Presence(log, 60)
    here.stay([run.id for run in found])
    assert {watched_until(log, run) for run in found} == {90}
    here.leave([run.id for run in found])
    assert {watched_until(log, run) for run in found} == {60}


def test_nothing_is_noted_of_a_run_that_has_ended(log: EventLog, begin: Begin):
    run = begin()
    log.write(lambda transaction: transaction.connection.execute(update(runs_table).values(status=RunStatus.COMPLETE)))
    here = Presence(log, 60)
    here.stay([run.id])
    here.leave([run.id])
    assert watched_until(log, run) == 60
    assert log.query(lambda connection: connection.execute(select(audiences)).all()) == []


def test_who_finds_a_run_that_is_about_to_stop_keeps_it_going(log: EventLog, runs: Runs, begin: Begin):
    run = begin(watched_until=now() + 1_000_000)
    assert runs.join(Shop(log), "user-456").id == run.id
    assert watched_until(log, run) == 90


def test_who_asks_now_and_then_is_there_for_a_lease_and_seldom_costs_a_write(log: EventLog, begin: Begin):
    here = Presence(log, 60)
    run = begin(watched_until=now() + 1_000_000)
    here.look(run)
    assert watched_until(log, run) == 60
    late = begin(watched_until=now() + LEASE - 1_000_000)
    here.look(late)
    assert watched_until(log, late) == 59
    for_nobody = begin(lease=0, watched_until=now() + 5_000_000)
    here.look(for_nobody)
    assert watched_until(log, for_nobody) == 5


def test_what_could_not_be_noted_is_tried_again(log: EventLog, runs: Runs, begin: Begin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("petstore.ai.keeper.AGAIN_S", 0.01)
    run = begin()
    runs.presence.rejoin(run)
    leave, noted, failures = runs.leave, threading.Event(), [LogUnavailable("as the test wants it")]

    def fail(run_ids: list[str]) -> None:
        if run_ids and failures:
            raise failures.pop()
        leave(run_ids)
        if run_ids:
            noted.set()

    monkeypatch.setattr(runs, "leave", fail)
    audience = Audience(Uncounted())
    keeper = Keeper(runs, audience)
    keeper.start()
    audience.opened([run.topic], (), False, 0)
    audience.ended([run.topic], (), "left", 1.0, 0)
    assert noted.wait(10)
    keeper.stop()
    assert not failures
    assert watched_until(log, run) == 60


def test_a_leave_writes_of_nobody_else(log: EventLog, runs: Runs, begin: Begin, monkeypatch: pytest.MonkeyPatch):
    stayed: list[object] = []
    monkeypatch.setattr(runs.presence, "stay", stayed.append)
    left = threading.Event()
    leave = runs.leave
    monkeypatch.setattr(runs, "leave", lambda run_ids: (leave(run_ids), run_ids and left.set()))
    audience = Audience(Uncounted())
    keeper = Keeper(runs, audience)
    keeper.start()
    for run in (begin(), begin()):
        audience.opened([run.topic], (), False, 0)
    audience.ended([run.topic], (), "left", 1.0, 0)
    assert left.wait(10)
    keeper.stop()
    assert stayed == []
