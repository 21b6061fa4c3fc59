"""Runs outlive their connections, and end when they should: with a model that is paid by the call, on two workers."""

import json
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest
import sqlalchemy

from petstore.ai.run import runs as run_table
from petstore.sse import EventLog, Received
from tests.ai.model_server import Raw, Silence, Step, Text, picks, say
from tests.live.client import Exchange
from tests.live.conftest import Behind, Patient
from tests.live.measure import metric
from tests.live.server import DEADLINE_S, Server, wait_until
from tests.live.shop import CUSTOMER, JSON, ask, authorization, data
from tests.live.shop import RECOMMENDATIONS as TO_RECOMMENDATIONS

CHAT = {"kind": "CHAT", "messages": [{"role": "user", "content": "a quiet cat"}]}
COMPLETIONS = "/v1/chat/completions"
RECOMMENDATIONS = {"kind": "RECOMMENDATIONS", "userId": "user-456"}


SIGNED_IN = authorization(CUSTOMER)

SOON_S = 10.0
"""Long before a model's silence is over, and enough for a machine that is busy. What it took is printed."""


def get(server: Server, target: str) -> Any:
    """Return the JSON that the customer finds at `target`."""
    answer = ask(server, "GET", target, headers=SIGNED_IN)
    assert answer.status == 200, answer.body
    return answer.json()


def begin(server: Server, body: object = CHAT, **headers: str) -> dict[str, Any]:
    """Start a run and return it."""
    answer = ask(server, "POST", "/v1/runs", body, SIGNED_IN | headers)
    assert answer.status == 201, answer.body
    run: dict[str, Any] = answer.json()
    return run


def candidates(request: dict[str, Any]) -> list[str]:
    return [pet["petId"] for pet in json.loads(request["messages"][1]["content"])["candidates"]]


def slowly(request: dict[str, Any]) -> Iterator[Step]:
    """Rank ten pets, one every third of a second."""
    for line in picks(candidates(request)[:10]):
        yield Text(line)
        yield 0.3


class Browser:
    """What an EventSource on a page does: it keeps the last id, and goes on there, on whatever worker, when it's back."""

    def __init__(self, server: Server, target: str) -> None:
        self.events: list[Received] = []
        self._server = server
        self._target = target
        self._last_event_id = ""

    def read(self, pid: int, until: Callable[[], bool]) -> bool:
        """Connect to a worker and read on until then, or to the end of the stream. Returns whether that has come."""
        headers = {"Last-Event-ID": self._last_event_id} if self._last_event_id else {}
        with Exchange(self._server.address, self._target, headers, connection=self._server.connect(pid)) as stream:
            before = list(self.events)
            while not until() and not stream.ended:
                count = len(stream.events)
                stream.read_until(lambda: stream.ended or len(stream.events) > count)  # noqa: B023
                self.events = before + stream.events
            self._last_event_id = stream.decoder.last_event_id or self._last_event_id
            return stream.ended


def test_a_page_that_is_reloaded_three_times_during_one_run_pays_for_one(patient: Patient):
    server, model = patient
    model.follow(slowly)
    browser = Browser(server, TO_RECOMMENDATIONS)
    workers = server.worker_pids()
    for reload in range(3):
        enough = 2 * (reload + 1)
        assert not browser.read(workers[reload % 2], lambda: of_type(browser, "recommendation") >= enough)  # noqa: B023
    browser.read(workers[1], lambda: "complete" in [event.type for event in browser.events])
    assert len(model.calls) == 1
    assert of_type(browser, "recommendation") == 10
    assert [data(event)["petId"] for event in browser.events if event.type == "recommendation"] == candidates(model.calls[0])[:10]
    ids = [int(event.last_event_id) for event in browser.events]
    assert ids == sorted(set(ids))
    end = data(browser.events[-1])
    assert (end["total"], end["engine"]) == (10, "model")
    assert of_type(browser, "progress") >= 1


def of_type(browser: Browser, type: str) -> int:
    return sum(event.type == type for event in browser.events)


def test_a_run_deleted_at_one_worker_stops_at_the_other_up_to_the_call_of_the_model(patient: Patient):
    server, model = patient
    model.follow(say("One moment", Silence()))
    first, second = server.worker_pids()
    content = json.dumps(CHAT).encode()
    typed = JSON | SIGNED_IN
    with Exchange(server.address, "/v1/runs", typed, method="POST", content=content, connection=server.connect(first)) as started:
        run = started.json()
    model.wait_for_calls(1)
    with Exchange(server.address, run["links"]["stream"]) as stream:
        stream.read_until(lambda: "delta" in [event.type for event in stream.events])
        with Exchange(
            server.address, run["links"]["self"], SIGNED_IN, method="DELETE", connection=server.connect(second)
        ) as deleted:
            assert deleted.status == 204
        deleted_at = time.monotonic()
        model.wait_until_hung_up()
        print(f"hung up after {(time.monotonic() - deleted_at) * 1000:.0f} ms")
        assert time.monotonic() - deleted_at < SOON_S
        end = data(stream.read_to_end().events[-1])
    assert (end["status"], end["reason"]) == ("stopped", "it was deleted")


def test_who_is_back_within_the_lease_finds_the_run_going_on_and_who_isn_t_finds_it_stopped_and_why(patient: Patient):
    server, model = patient
    model.follow(say("One ", "moment", Silence()))
    run = begin(server)
    browser = Browser(server, run["links"]["stream"])
    for pid in server.worker_pids():
        assert not browser.read(pid, lambda: of_type(browser, "progress") >= 1)
        browser.events = []
        assert get(server, run["links"]["self"])["status"] == "RUNNING"
    left_at = time.monotonic()
    model.wait_until_hung_up()
    print(f"stopped {time.monotonic() - left_at:.1f} s after the last one had left, with a lease of 2 s")
    assert time.monotonic() - left_at > 1.5
    shown = get(server, run["links"]["self"])
    assert shown["status"] == "STOPPED"
    assert shown["result"]["reason"] == "nobody was there to see it"
    assert len(model.calls) == 1


def test_somebody_there_keeps_a_run_going_for_longer_than_its_lease(patient: Patient):
    server, model = patient
    model.follow(say("One ", 5.0, "moment"))
    run = begin(server)
    with Exchange(server.address, run["links"]["stream"]) as stream:
        end = data(stream.read_to_end().events[-1])
    assert end["finishReason"] == "STOP"


def test_a_model_that_sends_faster_than_it_is_read_leaves_others_their_turn(patient: Patient):
    server, model = patient
    # A megabyte, nearly all of it events that say nothing: others get a thousand turns, however fast the machine is.
    model.follow(say(Raw((event({"content": "a word "}) + event({}) * 100) * 80)))
    (pid, *_) = server.worker_pids()
    body = json.dumps({"messages": CHAT["messages"], "max_tokens": 1_500, "stream": True}).encode()
    typed = JSON | SIGNED_IN
    chat = Exchange(server.address, COMPLETIONS, typed, method="POST", content=body, connection=server.connect(pid), wait=False)
    other = HTTPConnection(*server.address)
    other.sock = server.connect(pid)
    with chat, closing(other):
        chat.read_head().read_until(lambda: b"a word" in chat.body)
        begun_at = time.monotonic()
        for _ in range(10):
            other.request("GET", "/healthz")
            assert other.getresponse().read()
        print(f"ten others were answered in {(time.monotonic() - begun_at) * 1000:.0f} ms", end=", ")
        chat.read_until(lambda: chat.ended or not select.select([chat.socket], [], [], 0)[0])
        assert not chat.ended, "nobody else had a turn before all was read"
        assert chat.read_to_end().body.endswith(b"data: [DONE]\n\n")
    print(f"before the answer was over, after {(time.monotonic() - begun_at) * 1000:.0f} ms")


def event(delta: dict[str, str]) -> bytes:
    """Return a part of an answer as it is on the wire."""
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "test", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def test_what_a_model_says_to_nobody_is_counted(behind: Behind):
    watched, left = threading.Event(), threading.Event()

    def speak(request: dict[str, Any]) -> Iterator[Step]:
        # What is said to somebody, and what to nobody, is for the test to say, not for the speed of the machine.
        assert watched.wait(DEADLINE_S)
        yield Text("heard ")
        assert left.wait(DEADLINE_S)
        yield from map(Text, ["unheard "] * 7)
        yield Silence()

    server, model = behind(speak, PETSTORE_RUN_LEASE_S=60)
    run = begin(server)
    with closing(server.open_event_log()) as log:
        with Exchange(server.address, run["links"]["stream"]) as stream:
            wait_until(lambda: is_watched(log, run["id"]), "it's noted that somebody is there")
            watched.set()
            stream.read_until(lambda: "delta" in [event.type for event in stream.events])
        wait_until(lambda: not is_watched(log, run["id"]), "it's noted that nobody is there any more")
    left.set()
    wait_until(lambda: metric(server, "petstore_tokens_unheard_total") == 7, "they are counted")
    wait_until(lambda: metric(server, "petstore_tokens_total") == 8, "so are all")
    assert ask(server, "DELETE", run["links"]["self"], headers=SIGNED_IN).status == 204
    model.wait_until_hung_up()


def is_watched(log: EventLog, run_id: str) -> bool:
    """Say whether the database has it that somebody is there to see the run."""
    query = sqlalchemy.select(run_table.c.watched_until - run_table.c.lease).where(run_table.c.id == run_id)
    until: int = log.query(lambda connection: connection.execute(query).scalar_one())
    return until > time.time_ns() // 1000


def test_the_same_idempotency_key_calls_the_model_once_whoever_comes_first(patient: Patient):
    server, model = patient
    model.follow(say("Hello", 0.5))
    key = {"Idempotency-Key": "once"} | JSON | SIGNED_IN
    content = json.dumps({"messages": CHAT["messages"]}).encode()
    asked = [Exchange(server.address, COMPLETIONS, key, method="POST", content=content, wait=False) for _ in range(8)]
    answers = [exchange.read_head().json() for exchange in asked]
    for exchange in asked:
        exchange.close()
    assert {answer["choices"][0]["message"]["content"] for answer in answers} == {"Hello"}
    assert len({answer["id"] for answer in answers}) == 1
    assert len(model.calls) == 1


def test_a_model_run_whose_worker_is_killed_ends_with_an_error_that_may_be_tried_again(behind: Behind):
    server, model = behind(say("Half an answer", Silence()))
    first, second = server.worker_pids()
    content = json.dumps(CHAT).encode()
    typed = JSON | SIGNED_IN
    with Exchange(server.address, "/v1/runs", typed, method="POST", content=content, connection=server.connect(first)) as started:
        run = started.json()
    with Exchange(server.address, run["links"]["stream"], connection=server.connect(second)) as stream:
        stream.read_until(lambda: "delta" in [event.type for event in stream.events])
        server.kill_worker(first)
        last = stream.read_to_end().events[-1]
    assert last.type == "error"
    assert data(last)["retryable"] is True
    assert get(server, run["links"]["self"])["status"] == "FAILED"
    model.wait_until_hung_up()


def test_recommendations_whose_model_died_with_its_worker_are_made_anew_and_the_client_is_told_of_the_gap(behind: Behind):
    server, model = behind(lambda request: iter([*map(Text, picks(candidates(request)[:3])), Silence()]))
    first, second = server.worker_pids()
    target = TO_RECOMMENDATIONS
    with Exchange(server.address, target, connection=server.connect(first)) as stream:
        held = stream.read_events(3)
        server.kill_worker(first)
    wait_until(lambda: get(server, run_of(server, held[-1]))["status"] == "FAILED", "the run has failed")
    model.script = slowly
    headers = {"Last-Event-ID": held[-1].last_event_id}
    with Exchange(server.address, target, headers, connection=server.connect(second)) as stream:
        gap, *events = stream.read_to_end().events
    assert gap.type == "gap"
    assert [event.type for event in events if event.type != "progress"] == ["recommendation"] * 10 + ["complete"]


def run_of(server: Server, event: Received) -> str:
    log = server.open_event_log()
    try:
        topic = log.topic_of(int(event.last_event_id))
    finally:
        log.close()
    assert topic is not None
    return "/v1/runs/" + topic.partition("/")[2]


def test_a_run_that_ends_soon_is_ended_by_the_worker_that_does(behind: Behind):
    said_goodbye = threading.Event()

    def hesitate(request: dict[str, Any]) -> Iterator[Step]:
        yield Text("Half ")
        while not said_goodbye.is_set():
            yield 0.05
        yield Text("an answer")

    server, _ = behind(hesitate)
    run = begin(server)
    with Exchange(server.address, run["links"]["stream"]) as stream:
        stream.read_until(lambda: "delta" in [event.type for event in stream.events])
        server.process.send_signal(signal.SIGHUP)
        assert stream.read_to_end().events[-1].type == "goodbye"
    said_goodbye.set()
    wait_until(lambda: get(server, run["links"]["self"])["status"] != "RUNNING", "it has ended")
    assert get(server, run["links"]["self"])["content"] == "Half an answer"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_ends_hands_over_the_runs_that_would_keep_it(behind: Behind, number: int):
    server, model = behind(say("Half an answer", Silence()))
    run = begin(server)
    model.wait_for_calls(1)
    server.process.send_signal(number)
    model.wait_until_hung_up()
    if number == signal.SIGTERM:
        assert server.process.wait(20) == 0
        return
    wait_until(lambda: get(server, run["links"]["self"])["status"] == "FAILED", "another worker has ended it")
    assert get(server, run["links"]["self"])["result"]["retryable"] is True
