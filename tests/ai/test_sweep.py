"""Runs whose worker has gone are taken over: an embedded engine goes on where it was, and a model's end with an error."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from app import link_to_pet
from petstore.ai import (
    EMBEDDED,
    MODEL,
    Advisor,
    Chatting,
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
from petstore.ai.engine import Ending, Halt, Usage
from petstore.ai.error import EngineFailed
from petstore.ai.generation import Batch, Made
from petstore.ai.production import Production
from petstore.ai.run import runs as runs_table
from petstore.ai.sweep import SWEEP_S
from petstore.api.problem import describe
from petstore.shop import CustomerNotFound, KeyReused, Shop, now
from petstore.sse import COMPLETE, ERROR, Event, EventLog, Feed
from tests.ai.conftest import Count

QUESTION = Question((Message(Role.USER, "a quiet cat"),))


def made(log: EventLog, run: Run) -> list[Event]:
    """Return all events of a run, when it's over."""
    wait_until(lambda: log.extents([run.topic])[run.topic].final_id is not None)
    return log.read([run.topic], 0, 1000)


def abandon(log: EventLog, run: Run, keep: int, engine: str = EMBEDDED) -> list[Event]:
    """Set a run, when it's over, back to where its worker was killed after so many events, and return these."""
    events = made(log, run)

    def set_back(transaction: object) -> None:
        connection = transaction.connection  # type: ignore[attr-defined]
        connection.exec_driver_sql("DELETE FROM events WHERE id >= ? AND topic = ?", (events[keep].id, run.topic))
        values = {"status": RunStatus.RUNNING, "expires_at": 0, "engine": engine, "made": keep}
        connection.execute(update(runs_table).filter_by(id=run.id).values(**values))

    log.write(set_back)
    return events[:keep]


def test_recommendations_go_on_where_they_were(log: EventLog, runs: Runs):
    run = runs.join(Shop(log), "user-456")
    whole = [event.value() for event in made(log, run)]
    kept = abandon(log, run, 4)
    assert Sweep(log, runs, 3600).sweep() == 0
    events = log.read([run.topic], 0, 100)
    assert events[:4] == kept
    assert [event.value() for event in events[:-1]] == whole[:-1]
    assert events[-1].value()["total"] == 10
    assert runs.get(run.id).status is RunStatus.COMPLETE


def test_a_model_s_run_ends_with_an_error(log: EventLog, runs: Runs):
    run = runs.join(Shop(log), "user-456")
    kept = abandon(log, run, 4, engine=MODEL)
    Sweep(log, runs, 3600).sweep()
    *before, last = log.read([run.topic], 0, 100)
    assert before == kept
    assert last.type == ERROR
    assert last.value() == describe(503) | {"retryable": True}


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


class Patient:
    """A model that has answered nobody until it's told to, and then everybody."""

    name = MODEL

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answering = threading.Event()

    def answer(self, shop: Shop, question: Question, halt: Halt) -> Iterator[str | Ending]:
        self.asked.append(question.messages[0].content)
        assert self.answering.wait(30)
        yield "Hello"
        yield Ending("stop", Usage(1, 1))


@pytest.fixture
def patient() -> Iterator[Patient]:
    model = Patient()
    yield model
    model.answering.set()


@pytest.fixture
def costly(log: EventLog, feed: Feed, meter: Count, patient: Patient) -> Runs:
    return Runs(log, feed, {RunKind.CHAT: Chatting(log, Advisor(link_to_pet), patient, 30)}, MODEL, meter, lease_s=60)


def engines(runs: Runs, log: EventLog, customers: list[str | None]) -> list[str]:
    """Start a run for each at once, and return the engines that they begin with."""
    with ThreadPoolExecutor(len(customers)) as pool:
        request = request_for(QUESTION, "pet-advisor-1")
        begun = pool.map(lambda customer: runs.start(Shop(log), RunKind.CHAT, request, customer).engine, customers)
        return sorted(begun)


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_no_more_calls_of_a_model_are_paid_for_at_once_than_a_limit(
    log: EventLog, costly: Runs, patient: Patient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("petstore.ai.calls.MAX_CALLS", 4)
    monkeypatch.setattr("petstore.ai.calls.MAX_CALLS_EACH", 3)
    assert engines(costly, log, ["user-456"] * 8) == [EMBEDDED] * 5 + [MODEL] * 3
    assert engines(costly, log, [None] * 8) == [EMBEDDED] * 7 + [MODEL]
    wait_until(lambda: len(patient.asked) == 4)
    patient.answering.set()
    wait_until(lambda: engines(costly, log, [None]) == [MODEL])


def test_a_run_that_comes_to_nothing_gives_its_place_back(
    log: EventLog, costly: Runs, patient: Patient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("petstore.ai.calls.MAX_CALLS", 2)
    request = request_for(QUESTION, "pet-advisor-1")
    first = costly.start(Shop(log), RunKind.CHAT, request, key="once")
    for _ in range(3):
        assert costly.start(Shop(log), RunKind.CHAT, request, key="once").id == first.id
        with pytest.raises(CustomerNotFound):
            costly.start(Shop(log), RunKind.CHAT, request, "nobody")
    assert engines(costly, log, [None]) == [MODEL]


def sleep(log: EventLog) -> None:
    """Let it be as if all workers had slept for longer than the leases last."""
    log.write(lambda transaction: transaction.connection.execute(update(runs_table).values(expires_at=1)))


def test_who_has_slept_finds_runs_that_are_about_to_go_on_and_takes_none(log: EventLog, costly: Runs, patient: Patient, runs: Runs):
    run = costly.start(Shop(log), RunKind.CHAT, request_for(QUESTION, "pet-advisor-1"))
    wait_until(lambda: costly.is_making(run.id))
    here, elsewhere = Sweep(log, costly, 3600), Sweep(log, runs, 3600)
    for _ in range(3):
        sleep(log)
        assert here.sweep() > 0, "it's its own"
    assert elsewhere.sweep() > 0
    expiry = select(runs_table.c.expires_at)
    wait_until(lambda: log.query(lambda connection: connection.execute(expiry).scalar_one()) > 1)
    assert elsewhere.sweep() > 0
    patient.answering.set()
    wait_until(lambda: costly.get(run.id).status is RunStatus.COMPLETE)


def test_a_run_whose_worker_died_is_taken_over_at_the_second_look(log: EventLog, runs: Runs):
    run = runs.join(Shop(log), "user-456")
    kept = abandon(log, run, 4)
    sleep(log)
    sweep = Sweep(log, runs, 3600)
    assert sweep.sweep() > 0
    assert log.read([run.topic], 0, 100) == kept
    assert sweep.sweep() == 0
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


class One:
    """A generation of one pick."""

    engine, phase = EMBEDDED, "choosing"
    total: int | None = 1
    tokens = 0

    def batches(self) -> Generator[Batch, None, None]:
        yield [Made("recommendation", {})]

    def poke(self) -> None:
        pass


def test_of_two_who_make_the_same_run_in_one_process_one_writes(log: EventLog, runs: Runs, meter: Count):
    run = runs.join(Shop(log), "user-456")
    kept = abandon(log, run, 4)
    first, second = (Production(log, meter, run, One()) for _ in range(2))
    log.write(lambda transaction: transaction.connection.execute(update(runs_table).values(holder=second.holder)))
    first.make()
    assert log.read([run.topic], 0, 100) == kept
    second.make()
    assert len(log.read([run.topic], 0, 100)) == 5


def failing() -> Iterator[str]:
    raise EngineFailed(MODEL, "as the test wants it")


def test_what_a_model_wrote_for_nothing_is_counted_as_its_own(log: EventLog, feed: Feed, meter: Count):
    class Failing(Patient):
        def answer(self, shop: Shop, question: Question, halt: Halt) -> Iterator[str | Ending]:
            halt.hear(5)
            yield from failing()

    runs = Runs(log, feed, {RunKind.CHAT: Chatting(log, Advisor(link_to_pet), Failing(), 30)}, MODEL, meter, lease_s=60)
    run = runs.start(Shop(log), RunKind.CHAT, request_for(QUESTION, "pet-advisor-1"))
    wait_until(lambda: runs.get(run.id).status is RunStatus.COMPLETE)
    wait_until(lambda: meter.tokens > 5)
    said = log.read([run.topic], 0, 100)[-1].value()["usage"]["completionTokens"]
    assert meter.by_engine == {MODEL: 5, EMBEDDED: said}
