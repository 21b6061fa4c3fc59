"""A server that ends or is replaced under load: every stream ends cleanly, nobody is refused, nothing is lost."""

import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.live.client import Exchange
from tests.live.crowd import END, Crowd
from tests.live.follower import Follower, Writer, told
from tests.live.server import Server, wait_until
from tests.live.shop import BUDDY, INVENTORY, ask, get, new_stock

STREAMS = 500
SPREAD_S = 5
RELOADS = 1

GOODBYE = re.compile(rb'\r\nretry: ([0-9]+)\n: goodbye\nevent: goodbye\ndata: \{"reason":"draining"\}\n\n\r\n0\r\n\r\n$')

BOUND_S = 5.0
"""The promise, of which a loaded machine gets twice as much before a test fails."""


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


def test_hundreds_of_streams_end_with_a_spread_goodbye_and_a_whole_body_and_the_server_is_gone(start: Callable[..., Server]):
    server = start(PETSTORE_RETRY_MS=1000, PETSTORE_DRAIN_SPREAD_S=SPREAD_S)
    with Crowd(server.address, INVENTORY, STREAMS) as crowd:
        crowd.wait_until_open()
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        crowd.read_until(lambda: all(member.received.endswith(END) for member in crowd.members), "every stream has ended")
        streams_s = time.monotonic() - begun
        matches = [GOODBYE.search(member.received) for member in crowd.members]
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


def test_reloads_under_load_lose_no_event_and_refuse_no_client(start: Callable[..., Server]):
    server = start(PETSTORE_HEARTBEAT_S=1, PETSTORE_RETRY_MS=100, PETSTORE_DRAIN_SPREAD_S=0)
    cursor = get(server, "/v1/inventory")["lastEventId"]
    with closing(server.open_event_log()) as log:
        followers = [Follower(server, cursor) for _ in range(10)]
        visitor = Visitor(server)
        writer = Writer(log, 300, 1)
        for _ in range(RELOADS):
            old = set(server.worker_pids())
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.worker_pids()) == 2 and not old & set(server.worker_pids()), "both are replaced")  # noqa: B023
        writer.stop()
        for follower in followers:
            follower.finish(writer.last_id)
        visitor.stop()
        expected = told(log, cursor)
    print(
        f"{writer.written} events, {RELOADS} reloads, {sum(follower.goodbyes for follower in followers)} goodbyes, "
        f"{visitor.answered} requests beside them"
    )
    for follower in followers:
        assert follower.refused == []
        assert follower.cuts == follower.gaps == 0
        assert follower.frames == expected
    assert sum(follower.goodbyes for follower in followers) >= 10 * RELOADS
    assert visitor.failures == []


class Visitor:
    """Somebody who reads, one request after the other, each on a connection of its own."""

    def __init__(self, server: Server) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._server = server
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(0.005):
            try:
                answer = ask(self._server, "GET", "/v1/inventory")
                if answer.status != 200:
                    self.failures.append(f"{answer.status}: {answer.body!r}")
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
            self.answered += 1


def test_a_worker_that_has_served_its_number_of_requests_ends_its_streams_cleanly(start: Callable[..., Server]):
    server = start(workers=1, GUNICORN_CMD_ARGS="--max-requests 40")
    (old,) = server.worker_pids()
    with Exchange(server.address, INVENTORY) as stream:
        stream.read_until(lambda: stream.chunks)
        for _ in range(45):
            assert ask(server, "GET", "/v1/inventory").status == 200
            if old not in server.worker_pids():
                break
        assert stream.read_to_end().events[-1].type == "goodbye"
    wait_until(lambda: server.worker_pids() and old not in server.worker_pids(), "it is replaced")
