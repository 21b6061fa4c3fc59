"""What an operator sees: counts that add up over all workers, and a log that tells of every stream and betrays nobody."""

import json
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing

import pytest

from tests.live.client import Exchange
from tests.live.follower import append
from tests.live.measure import ended, metric, streams_open, wait_until_none_is_open
from tests.live.server import Server, wait_until
from tests.live.shop import BUDDY, INVENTORY, RECOMMENDATIONS, ask, get, pay, place

EACH = 3
"""Streams at each of two workers."""


def open_at_each(server: Server, stack: ExitStack) -> list[Exchange]:
    streams = []
    for pid in server.worker_pids():
        for _ in range(EACH):
            stream = stack.enter_context(Exchange(server.address, INVENTORY, connection=server.connect(pid)))
            streams.append(stream.read_until(lambda stream=stream: stream.chunks))  # type: ignore[misc]
    return streams


def test_counts_of_two_workers_add_up_whichever_is_asked(start: Callable[..., Server]):
    server = start(PETSTORE_FULFILMENT_STEP_S=0.05)
    with ExitStack() as stack, closing(server.open_event_log()) as log:
        streams = open_at_each(server, stack)
        for _ in range(10):  # Now the one worker answers, now the other.
            assert streams_open(server) == 2 * EACH
        assert metric(server, "petstore_streams_open", topic="inventory") == 2 * EACH
        append(log, 30)
        for stream in streams:
            stream.read_events(30)
        wait_until(lambda: metric(server, "petstore_events_delivered_total") == 2 * EACH * 30, "all are counted")
        assert metric(server, "petstore_delivery_delay_seconds_count") >= 2
        assert metric(server, "petstore_delivery_delay_seconds_bucket", le="+Inf") >= 2
        assert metric(server, "petstore_delivery_delay_seconds_sum") > 0
    wait_until(lambda: ended(server, "left") == 2 * EACH, "those who left are counted")
    assert streams_open(server) == 0
    assert metric(server, "petstore_streams_opened_total", topic="inventory") == 2 * EACH
    order = place(server, BUDDY)
    with Exchange(server.address, order["links"]["statusStream"]) as stream:
        pay(server, order)
        stream.read_to_end()
    wait_until(lambda: ended(server, "complete") == 1, "the end of an order is counted")
    assert metric(server, "petstore_streams_opened_total", topic="orders") == 1
    assert 0 <= metric(server, "petstore_loop_lag_seconds") < 10


def test_replays_gaps_and_refusals_are_counted(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS=1)
    held = get(server, "/v1/inventory")["lastEventId"]
    for cursor in (held, 1):
        with Exchange(server.address, INVENTORY, {"Last-Event-ID": str(cursor)}) as stream:
            stream.read_until(lambda stream=stream: stream.chunks)  # type: ignore[misc]
            assert ask(server, "GET", INVENTORY).status == 503
        wait_until_none_is_open(server)
    assert metric(server, "petstore_replays_total") == 1  # What an unknown id held is no longer there to be replayed.
    assert metric(server, "petstore_gaps_total") == 1
    assert metric(server, "petstore_streams_refused_total", reason="full") == 2


def test_what_a_killed_worker_had_open_leaves_the_sum_and_its_successor_counts(start: Callable[..., Server]):
    server = start()
    with ExitStack() as stack:
        open_at_each(server, stack)
        assert streams_open(server) == 2 * EACH
        server.kill_worker(server.worker_pids()[0])
        wait_until(lambda: streams_open(server) == EACH, "half of them are gone")
        wait_until(lambda: len(server.worker_pids()) == 2, "it is replaced")
        successor = server.worker_pids()[1]
        stream = stack.enter_context(Exchange(server.address, INVENTORY, connection=server.connect(successor)))
        stream.read_until(lambda: stream.chunks)
        assert streams_open(server) == EACH + 1
    wait_until_none_is_open(server)


def test_the_log_tells_when_a_stream_began_and_how_it_ended(start: Callable[..., Server]):
    server = start(workers=1)
    with Exchange(server.address, INVENTORY) as stream, closing(server.open_event_log()) as log:
        stream.read_until(lambda: stream.chunks)
        append(log, 3)
        stream.read_events(3)
    wait_until(lambda: "stream ended" in server.log, "its end is in the log")
    (opened,) = re.findall(r".*stream opened.*", server.log)
    (over,) = re.findall(r".*stream ended.*", server.log)
    assert re.fullmatch(r"\S+Z INFO petstore\S*: stream opened topics=inventory address=127.0.0.1 gaps=0", opened)
    assert re.fullmatch(
        r"\S+Z INFO petstore\S*: stream ended topics=inventory address=127.0.0.1 cause=left duration_s=[0-9.]+ events=3", over
    )


def test_in_json_each_line_is_one_object(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_LOG_FORMAT="json")
    with Exchange(server.address, INVENTORY) as stream:
        stream.read_until(lambda: stream.chunks)
        server.process.terminate()
        stream.read_to_end()
    assert server.process.wait(30) == 0
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    others = [line for line in server.log.splitlines() if not line.startswith("{")]
    assert [line for line in others if "Starting gunicorn" not in line] == []
    for line in lines:
        assert {"time", "level", "logger", "message"} <= line.keys()
    (over,) = (line for line in lines if line["message"] == "stream ended")
    assert (over["cause"], over["events"], over["topics"]) == ("drained", 0, "inventory")
    assert isinstance(over["duration_s"], float)


SECRET = "s3cr3t-t0k3n"

TARGETS = [
    f"{INVENTORY}?token={SECRET}",
    f"{INVENTORY}?token={SECRET}&lastEventId={SECRET}",
    f"{INVENTORY}?since={SECRET}",
    f"{RECOMMENDATIONS}&token={SECRET}",
    f"/v1/orders/{SECRET}x?token={SECRET}".replace(f"/{SECRET}x", "/unknown"),
    f"/v1/stream?topics={SECRET}",
    f"/nowhere?token={SECRET}",
    f"/v1/pets?limit={SECRET}",
]


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_that_a_client_keeps_secret_is_in_the_log(start: Callable[..., Server], form: str):
    server = start(workers=1, PETSTORE_LOG_LEVEL="DEBUG", PETSTORE_LOG_FORMAT=form)
    held = {"Cookie": f"session={SECRET}", "Last-Event-ID": SECRET}
    for target in TARGETS:
        for brought in ({}, {"Authorization": f"Bearer {SECRET}"}, {"Authorization": f"Basic {SECRET}"}):
            with Exchange(server.address, target, {**held, **brought}) as exchange:
                exchange.read_until(lambda exchange=exchange: exchange.ended or exchange.body)  # type: ignore[misc]
    credentials = {"username": "catherine.m", "password": SECRET}
    assert ask(server, "POST", "/v1/auth/tokens", credentials).status == 401
    (server.database).rename(server.directory / "away")
    for target in TARGETS:
        with Exchange(server.address, target, held) as exchange:
            assert exchange.status in (400, 401, 404, 503)
    assert ask(server, "POST", "/v1/auth/tokens", credentials).status == 503
    (server.directory / "away").rename(server.database)
    for request in (
        f"GET/v1?token={SECRET}\r\n\r\n",
        f"GET /healthz?token={SECRET} HTTP/9.9\r\n\r\n",
        f"GET /healthz?token={SECRET}\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nCookie {SECRET}\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nAuthorization: {SECRET}\0\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nTransfer-Encoding: {SECRET}\r\n\r\n",
        f"G(T /healthz?token={SECRET} HTTP/1.1\r\n\r\n",
        f"GET /healthz?token={SECRET} HTTP/1.1\r\nContent-Length: {SECRET}\r\n\r\n",
    ):
        with socket.create_connection(server.address, 10) as connection:
            connection.sendall(request.encode())
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    wait_until_none_is_open(server)
    leaking = [line for line in server.log.splitlines() if SECRET in line]
    assert leaking == []
