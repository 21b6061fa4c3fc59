"""A server that ends: every stream says goodbye and ends cleanly, whoever is served gets the answer, nothing is lost.

Workers that are replaced while the server goes on are in `test_reload.py`.
"""

import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.live.client import Exchange
from tests.live.crowd import END, Crowd
from tests.live.server import Server, wait_until
from tests.live.shop import BUDDY, INVENTORY, ask, change, data, get, new_stock, place, topics

STREAMS = 500
SPREAD_S = 5

BOUND_S = 5.0
"""The promise, of which a loaded machine gets twice as much before a test fails."""

TOO_LATE_S = 20.0
"""gunicorn alone would take its 30 s, and then cut the clients off."""

GOODBYE = re.compile(rb'retry: ([0-9]+)\n: goodbye\nevent: goodbye\ndata: \{"reason":"draining"\}\n\n')

GOODBYE_CHUNK = re.compile(rb"\r\n" + GOODBYE.pattern + rb"\r\n0\r\n\r\n$")


@contextmanager
def locked(database: Path) -> Iterator[sqlite3.Connection]:
    """Hold the database's write lock from another connection."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=10, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def test_who_never_sends_what_was_announced_keeps_no_worker_from_ending(start: Callable[..., Server]):
    server = start(workers=1)
    head = b"POST /v1/orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
    with closing(server.connect(server.worker_pids()[0])) as stuck:
        stuck.sendall(head)
        assert ask(server, "GET", "/healthz").status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(TOO_LATE_S) == 0
    assert "SIGKILL" not in server.log


def test_who_never_sends_what_was_announced_is_told_so_and_sent_away(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_STUCK_S=1)
    with Exchange(
        server.address, "/v1/orders", {"Content-Type": "application/json", "Content-Length": "10"}, method="POST", wait=False
    ) as stuck:
        assert stuck.read_head().status == 400


def open_streams(server: Server, stack: ExitStack) -> list[Exchange]:
    """Open a stream of each kind, in either version of HTTP."""
    order = place(server)
    targets = [INVENTORY, order["links"]["statusStream"], topics("inventory", order)]
    streams = []
    for target in targets:
        for version in ("HTTP/1.1", "HTTP/1.0"):
            stream = stack.enter_context(Exchange(server.address, target, version=version))
            streams.append(stream.read_until(lambda stream=stream: b"\n" in stream.body))  # type: ignore[misc]
    return streams


@pytest.mark.parametrize(
    ("number", "send"),
    [(signal.SIGTERM, os.kill), (signal.SIGQUIT, os.kill), (signal.SIGINT, os.killpg)],
    ids=["TERM", "QUIT", "Ctrl-C, which every process of the terminal gets"],
)
def test_every_stream_gets_a_goodbye_and_a_clean_end_and_the_server_is_gone(
    start: Callable[..., Server], number: int, send: Callable[[int, int], None]
):
    server = start(workers=1, PETSTORE_HEARTBEAT_S=1, PETSTORE_RETRY_MS=3000, PETSTORE_DRAIN_SPREAD_S=4)
    with ExitStack() as stack:
        streams = open_streams(server, stack)
        begun = time.monotonic()
        send(server.process.pid, number)
        retries = []
        for stream in streams:
            stream.read_to_end()
            match = GOODBYE.fullmatch(stream.chunks[-1]) if stream.chunked else GOODBYE.search(stream.body)
            assert match, stream.body[-500:]
            assert stream.body.endswith(match[0])
            retries.append(int(match[1]))
            assert [event.type for event in stream.events] == ["goodbye"]
            assert stream.decoder.last_event_id == ""
            assert stream.is_at_end_of_connection()
        assert server.process.wait(TOO_LATE_S) == 0
        assert "was sent SIG" not in server.log
        print(f"gone after {time.monotonic() - begun:.1f} s")
    assert all(3000 <= retry <= 7000 for retry in retries)
    assert len(set(retries)) > 1, "all clients would come back at once"


def test_hundreds_of_streams_end_with_a_spread_goodbye_and_a_whole_body_and_the_server_is_gone(start: Callable[..., Server]):
    server = start(PETSTORE_RETRY_MS=1000, PETSTORE_DRAIN_SPREAD_S=SPREAD_S)
    with Crowd(server.address, INVENTORY, STREAMS) as crowd:
        crowd.wait_until_open()
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        crowd.read_until(lambda: all(member.received.endswith(END) for member in crowd.members), "every stream has ended")
        streams_s = time.monotonic() - begun
        matches = [GOODBYE_CHUNK.search(member.received) for member in crowd.members]
        assert server.process.wait(30) == 0
        gone_s = time.monotonic() - begun
    assert all(matches)
    retries = sorted(int(match[1]) for match in matches if match)
    print(
        f"{STREAMS} streams ended after {streams_s:.2f} s, the server after {gone_s:.2f} s; retry {retries[0]} to {retries[-1]} ms"
    )
    assert gone_s < 2 * BOUND_S
    assert retries[0] >= 1000 and retries[-1] <= 1000 + SPREAD_S * 1000
    seconds = [sum(1000 * (number + 1) <= retry < 1000 * (number + 2) for retry in retries) for number in range(SPREAD_S)]
    assert min(seconds) > STREAMS / SPREAD_S / 3, f"not spread: {seconds} come back in each second"


def test_a_request_in_flight_is_answered_and_readiness_says_no_before_the_end(start: Callable[..., Server]):
    server = start(workers=1)
    answers: list[Exchange] = []
    stock = new_stock()
    changing = threading.Thread(target=lambda: answers.append(ask(server, "PATCH", f"/v1/inventory/{BUDDY}", {"stock": stock})))
    with Exchange(server.address, INVENTORY) as stream, Exchange(server.address, "/readyz") as kept:
        stream.read_until(lambda: stream.chunks)
        assert kept.read_to_end().status == 200
        with locked(server.database):
            changing.start()
            wait_until(lambda: connections(server) == 3, "the request has arrived")
            server.process.send_signal(signal.SIGTERM)
            assert stream.read_to_end().events[-1].type == "goodbye"
            ready = Exchange(server.address, "/readyz", connection=kept.socket)
            assert ready.status == 503
            assert "draining" in ready.json()["detail"]
            assert int(ready.header("Retry-After") or 0) > 0
        changing.join()
        assert server.process.wait(30) == 0
    assert answers[0].status == 200, answers[0].body
    assert answers[0].json()["stock"] == stock


def connections(server: Server) -> int:
    """Return how many connections the server's side has open."""
    port = f":{server.address[1]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(port) and line[3] == "01" for line in lines)


def test_what_was_committed_before_the_end_is_there_after_it_and_the_clients_go_on(start: Callable[..., Server]):
    server = start(workers=1)
    with Exchange(server.address, INVENTORY) as stream:
        stream.read_until(lambda: stream.chunks)
        change(server, BUDDY, stock=new_stock())
        held = stream.read_events(1)[0].last_event_id
        change(server, BUDDY, stock=(missed := new_stock()))
        server.process.send_signal(signal.SIGTERM)
        assert stream.read_to_end().events[-1].type == "goodbye"
        assert server.process.wait(TOO_LATE_S) == 0
    again = Server(server.directory, workers=1)
    try:
        again.wait_until_ready()
        with Exchange(again.address, INVENTORY, {"Last-Event-ID": held}) as stream:
            (event,) = stream.read_events(1)
            assert data(event)["newStock"] == missed
        assert get(again, f"/v1/pets/{BUDDY}")["stock"] == missed
    finally:
        again.close()
