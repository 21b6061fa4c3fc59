"""Runs whose worker has gone are taken over: an embedded engine goes on where it was, and a model's end with an error."""

import pytest
from sqlalchemy import update

from petstore.ai import (
    EMBEDDED,
    MODEL,
    Message,
    Question,
    Role,
    Run,
    RunKind,
    RunNotFound,
    Runs,
    RunStatus,
    Sweep,
    request_for,
)
from petstore.ai.run import now
from petstore.ai.run import runs as runs_table
from petstore.ai.sweep import SWEEP_S
from petstore.shop import Change, KeyReused, Shop, change_inventory
from petstore.sse import COMPLETE, ERROR, Event, EventLog
from tests.ai.conftest import Count

QUESTION = Question((Message(Role.USER, "a quiet cat"),))


def abandon(log: EventLog, run: Run, keep: int, engine: str = EMBEDDED) -> list[Event]:
    """Set a run back to where its worker was killed after so many events, and return these."""
    events = log.read([run.topic], 0, 1000)

    def set_back(transaction: object) -> None:
        connection = transaction.connection  # type: ignore[attr-defined]
        connection.exec_driver_sql("DELETE FROM events WHERE id >= ? AND topic = ?", (events[keep].id, run.topic))
        values = {"status": RunStatus.RUNNING, "expires_at": 0, "engine": engine, "made": keep}
        connection.execute(update(runs_table).filter_by(id=run.id).values(**values))

    log.write(set_back)
    return events[:keep]


def test_recommendations_go_on_where_they_were(log: EventLog, runs: Runs):
    run = runs.join(Shop(log), "user-456")
    whole = [event.value() for event in log.read([run.topic], 0, 100)]
    kept = abandon(log, run, 4)
    assert Sweep(log, runs, 3600).sweep() == 0
    events = log.read([run.topic], 0, 100)
    assert events[:4] == kept
    assert [event.value() for event in events[:-1]] == whole[:-1]
    assert events[-1].value()["total"] == 10
    assert runs.get(run.id).status is RunStatus.COMPLETE


def test_an_answer_goes_on_where_it_was(log: EventLog, runs: Runs):
    run = runs.start(Shop(log), RunKind.CHAT, request_for(QUESTION, "pet-advisor-1"))
    whole = [event.value() for event in log.read([run.topic], 0, 100)]
    abandon(log, run, 2)
    Sweep(log, runs, 3600).sweep()
    assert [event.value() for event in log.read([run.topic], 0, 100)][:-1] == whole[:-1]


def test_an_answer_that_would_be_another_one_by_now_ends_with_an_error(log: EventLog, runs: Runs, meter: Count):
    run = runs.start(Shop(log), RunKind.CHAT, request_for(QUESTION, "pet-advisor-1"))
    sources = log.read([run.topic], 0, 100)[-1].value()["sources"]
    abandon(log, run, 2)
    change_inventory(Shop(log), [Change(source["petId"], stock=0) for source in sources])
    Sweep(log, runs, 3600).sweep()
    last = log.read([run.topic], 0, 100)[-1]
    assert last.type == ERROR
    assert last.value()["retryable"] is True
    assert runs.get(run.id).status is RunStatus.FAILED
    assert meter.ended[-1] == ("CHAT", "FAILED", "embedded")


def test_a_model_s_run_ends_with_an_error(log: EventLog, runs: Runs):
    run = runs.join(Shop(log), "user-456")
    kept = abandon(log, run, 4, engine=MODEL)
    Sweep(log, runs, 3600).sweep()
    *before, last = log.read([run.topic], 0, 100)
    assert before == kept
    assert last.type == ERROR
    assert last.value()["retryable"] is True


def test_a_run_that_was_taken_over_is_no_longer_its_first_maker_s(log: EventLog, runs: Runs):
    run = runs.join(Shop(log), "user-456")
    abandon(log, run, 4)
    runs.hand_over()  # Nothing is being made here, so nothing changes.
    assert runs.get(run.id).status is RunStatus.RUNNING
    Sweep(log, runs, 3600).sweep()
    assert [event.type for event in log.read([run.topic], 0, 100)].count(COMPLETE) == 1


def test_a_run_past_retention_is_forgotten_with_its_events(log: EventLog, runs: Runs):
    run = runs.join(Shop(log), "user-456")
    sweep = Sweep(log, runs, 0.0)
    assert sweep.sweep() > 0
    assert log.read([run.topic], 0, 100) == []
    assert runs.find(run.topic) is None


def test_most_runs_are_one_transaction(log: EventLog, runs: Runs, monkeypatch: pytest.MonkeyPatch):
    runs.join(Shop(log), "user-456")  # The index is built.
    writes: list[object] = []
    write = type(log).write
    monkeypatch.setattr(type(log), "write", lambda self, work: (writes.append(work), write(self, work))[1])
    run = runs.start(Shop(log), RunKind.CHAT, request_for(QUESTION, "pet-advisor-1"))
    assert run.topic.startswith("chat/")
    assert len(writes) == 1


def test_no_more_calls_of_a_model_are_paid_for_at_once_than_a_limit(log: EventLog, runs: Runs, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("petstore.ai.runs.MAX_CALLS", 0)
    run = runs.start(Shop(log), RunKind.CHAT, request_for(QUESTION, "pet-advisor-1"), engine=MODEL)
    assert runs.get(run.id).engine == EMBEDDED
    assert runs.get(run.id).status is RunStatus.COMPLETE


def test_runs_past_retention_are_forgotten_without_a_pause_until_none_is_left(
    log: EventLog, runs: Runs, monkeypatch: pytest.MonkeyPatch
):
    for module in ("sweep", "retention"):
        monkeypatch.setattr(f"petstore.ai.{module}.BATCH", 2)
    topics = [runs.start(Shop(log), RunKind.CHAT, request_for(QUESTION, "pet-advisor-1")).topic for _ in range(5)]
    sweep = Sweep(log, runs, 0.0)
    assert [sweep.sweep() for _ in range(3)] == [0.0, 0.0, SWEEP_S]
    assert log.read(topics, 0, 100) == []


def test_a_run_that_retention_has_cut_is_not_shown_and_its_key_is_free(log: EventLog, runs: Runs):
    asked, other = request_for(QUESTION, "pet-advisor-1"), request_for(QUESTION, "pet-advisor-turbo")
    run = runs.start(Shop(log), RunKind.CHAT, asked, key="one")
    assert runs.start(Shop(log), RunKind.CHAT, asked, key="one").id == run.id
    while log.trim(now(), 1000):
        pass
    with pytest.raises(RunNotFound):
        runs.get(run.id)
    again = runs.start(Shop(log), RunKind.CHAT, other, key="one")
    assert again.id != run.id
    assert runs.get(again.id).status is RunStatus.COMPLETE


def test_a_run_that_failed_gives_its_key_back(log: EventLog, runs: Runs):
    asked = request_for(QUESTION, "pet-advisor-1")
    run = runs.start(Shop(log), RunKind.CHAT, asked, key="one")
    abandon(log, run, 1, engine=MODEL)
    assert runs.start(Shop(log), RunKind.CHAT, asked, key="one").id == run.id
    Sweep(log, runs, 3600).sweep()
    assert runs.get(run.id).status is RunStatus.FAILED
    with pytest.raises(KeyReused):
        runs.start(Shop(log), RunKind.CHAT, request_for(QUESTION, "pet-advisor-turbo"), key="one")
    again = runs.start(Shop(log), RunKind.CHAT, asked, key="one")
    assert again.id != run.id
    assert runs.start(Shop(log), RunKind.CHAT, asked, key="one").id == again.id
