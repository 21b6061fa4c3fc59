"""Clients that leave, politely, rudely or without a word: they are noticed soon, and nothing of them stays."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.live.client import Exchange
from tests.live.crowd import Crowd
from tests.live.measure import COUNTS, descriptors, ended, memory, threads, wait_until_none_is_open
from tests.live.network import Network, available
from tests.live.server import GUNICORN, Server, wait_until
from tests.live.shop import BUDDY, FLUFFY, INVENTORY, change, get, new_stock

NOTICED_S = 1.0
"""The promise. A loaded machine may take half as long again before a test fails."""

HEARTBEAT_S = 1

STREAMS, AT_ONCE, WARM_UP = 5000, 500, 3

SOCKETS = 2
"""Those of a worker without clients: the one that it listens on, and its bell."""

SHARED = 20
"""More than the threads and files with which a worker reads and writes its database, for all streams together."""

COUNTING = (*GUNICORN[:-1], "tests.live.counting:app")

needs_network = pytest.mark.skipif(not available(), reason="a network namespace needs root and the ip command")


def test_a_client_that_leaves_is_noticed_long_before_the_next_write(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_HEARTBEAT_S=15)
    times_s: list[float] = []
    for leave in (Exchange.close, Exchange.cut) * 3:
        for version in ("HTTP/1.1", "HTTP/1.0"):
            stream = Exchange(server.address, INVENTORY, version=version)
            stream.read_until(lambda stream=stream: b": open\n" in stream.body)  # type: ignore[misc]
            leave(stream)
            left_at = time.monotonic()
            wait_until(lambda: server.log.count("cause=left") > len(times_s), "it is noticed", 10)
            times_s.append(time.monotonic() - left_at)
    print(f"{len(times_s)} clients closed or reset: noticed after {max(times_s) * 1000:.0f} ms at most")
    assert max(times_s) < 1.5 * NOTICED_S
    assert ended(server, "left") == len(times_s)
    wait_until_none_is_open(server)


@needs_network
def test_clients_that_vanished_are_noticed_within_two_heartbeats_whether_events_are_sent_to_them_or_not(
    start: Callable[..., Server],
):
    server = start(workers=1, PETSTORE_HEARTBEAT_S=HEARTBEAT_S, PETSTORE_BIND="0.0.0.0:0")
    silent = f"{INVENTORY}?petId={FLUFFY}"
    with Network() as network, ExitStack() as stack:
        streams = [
            stack.enter_context(Exchange(server.address, target, version=version, connection=network.connect(server.address[1])))
            for target in (INVENTORY, silent)
            for version in ("HTTP/1.1", "HTTP/1.0")
        ]
        for stream in streams:
            stream.read_until(lambda stream=stream: b": heartbeat\n" in stream.body)  # type: ignore[misc]
        with changing(server):
            streams[0].read_events(5)
            network.cut_off()
            begun = time.monotonic()
            wait_until(lambda: server.log.count("cause=left") == len(streams), "all are noticed")
            noticed_s = time.monotonic() - begun
    print(f"{len(streams)} clients vanished: noticed after {noticed_s:.2f} s at most, with a heartbeat of {HEARTBEAT_S} s")
    assert noticed_s < 2 * HEARTBEAT_S + 1
    wait_until_none_is_open(server)


@contextmanager
def changing(server: Server) -> Iterator[None]:
    """Change Buddy's stock all the time."""
    stopping = threading.Event()

    def keep_changing() -> None:
        while not stopping.wait(0.05):
            change(server, BUDDY, stock=new_stock())

    thread = threading.Thread(target=keep_changing)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def test_five_thousand_streams_that_came_and_went_leave_nothing_behind(start: Callable[..., Server]):
    server = start(workers=1, command=COUNTING, PETSTORE_MAX_STREAMS_PER_CLIENT=10_000)
    (pid,) = server.worker_pids()
    for number in range(WARM_UP):  # The first ones make what stays: memory that is used again, counters, compiled code.
        come_and_go(server, pid, number)
    before = use(server, pid)
    for number in range(STREAMS // AT_ONCE):
        come_and_go(server, pid, number)
    wait_until(lambda: get(server, COUNTS)["greenlets"] <= before["greenlets"], "there are as many greenlets as before")
    after = use(server, pid)
    print(f"{STREAMS} streams came and went: {before} -> {after}")
    for name, most in (("greenlets", 0), ("threads", SHARED), ("files", SHARED), ("memory", 0.05 * before["memory"])):
        assert after.pop(name) <= before.pop(name) + most, name
    assert after == before
    assert ended(server, "left") == STREAMS + WARM_UP * AT_ONCE


def use(server: Server, pid: int) -> dict[str, int]:
    """Return what the worker holds when no stream is open, and how much memory it occupies."""
    wait_until_none_is_open(server)
    counts: dict[str, int] = get(server, COUNTS)
    assert counts["streams"] == counts["subscriptions"] == counts["heartbeats"] == 0
    wait_until(lambda: descriptors(pid)["sockets"] <= SOCKETS, "our own connections are closed")
    return {**counts, **descriptors(pid), "threads": threads(pid), "memory": memory(pid)}


def come_and_go(server: Server, pid: int, number: int) -> None:
    """Open streams, see that each costs one descriptor and no thread, and drop them in one of two ways."""
    files, its_threads = descriptors(pid)["files"], threads(pid)
    crowd = Crowd(server.address, INVENTORY, AT_ONCE).wait_until_open()
    # A connection to the database, or a thread, for each stream would be what others have run out of.
    assert descriptors(pid)["sockets"] <= AT_ONCE + SOCKETS
    assert descriptors(pid)["files"] <= files + SHARED
    assert threads(pid) <= its_threads + SHARED
    if number == 0:
        counts = get(server, COUNTS)
        assert counts["streams"] == counts["subscriptions"] == counts["heartbeats"] == AT_ONCE
        wait_until(lambda: get(server, COUNTS)["greenlets"] >= 2 * AT_ONCE, "each has one that serves it, and its heartbeat's")
    crowd.close(resets=number % 2 == 1)
    wait_until(lambda: descriptors(pid)["sockets"] <= SOCKETS, "their connections are closed")
    wait_until_none_is_open(server)
