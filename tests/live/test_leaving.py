"""Clients that leave, politely, rudely or without a word: they are noticed soon, and nothing of them stays."""

import threading
import time
from collections.abc import Callable

import pytest

from tests.live.client import Exchange
from tests.live.crowd import Crowd
from tests.live.measure import MEBIBYTE, descriptors, ended, memory, settled, threads, wait_until_none_is_open
from tests.live.network import Network, available
from tests.live.server import Server, wait_until
from tests.live.shop import BUDDY, INVENTORY, change, new_stock

NOTICED_S = 1.0
"""The promise. A loaded machine may take half as long again before a test fails."""

HEARTBEAT_S = 2

needs_network = pytest.mark.skipif(not available(), reason="a network namespace needs root and the ip command")


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize("leave", [Exchange.close, Exchange.cut], ids=["close", "reset"])
def test_a_client_that_leaves_is_noticed_long_before_the_next_write(
    start: Callable[..., Server], leave: Callable[[Exchange], None], version: str
):
    server = start(workers=1, PETSTORE_HEARTBEAT_S=15)
    slowest = 0.0
    for number in range(5):
        stream = Exchange(server.address, INVENTORY, version=version)
        stream.read_until(lambda stream=stream: b": open\n" in stream.body)  # type: ignore[misc]
        leave(stream)
        left_at = time.monotonic()
        wait_until(lambda: server.log.count("cause=left") > number, "it is noticed", 10)  # noqa: B023
        slowest = max(slowest, time.monotonic() - left_at)
    print(f"noticed after {slowest * 1000:.0f} ms at most")
    assert slowest < 1.5 * NOTICED_S
    assert ended(server, "left") == 5
    wait_until_none_is_open(server)


@needs_network
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_a_silent_client_that_vanished_is_noticed_within_two_heartbeats(start: Callable[..., Server], version: str):
    server = start(workers=1, PETSTORE_HEARTBEAT_S=HEARTBEAT_S, PETSTORE_BIND="0.0.0.0:0")
    with Network() as network:
        stream = Exchange(server.address, INVENTORY, version=version, connection=network.connect(server.address[1]))
        with stream:
            stream.read_until(lambda: b": heartbeat\n" in stream.body)
            assert vanish(server, network) < 2 * HEARTBEAT_S + 1


@needs_network
def test_a_client_that_vanished_is_noticed_within_two_heartbeats_although_events_are_sent_to_it(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_HEARTBEAT_S=HEARTBEAT_S, PETSTORE_BIND="0.0.0.0:0")
    stopping = threading.Event()

    def keep_changing() -> None:
        while not stopping.wait(0.05):
            change(server, BUDDY, stock=new_stock())

    changing = threading.Thread(target=keep_changing)
    with Network() as network:
        stream = Exchange(server.address, INVENTORY, connection=network.connect(server.address[1]))
        changing.start()
        try:
            with stream:
                stream.read_events(5)
                assert vanish(server, network) < 2 * HEARTBEAT_S + 1
        finally:
            stopping.set()
            changing.join()


def vanish(server: Server, network: Network) -> float:
    """Cut the one client off and return after how many seconds the server has noticed."""
    network.cut_off()
    begun = time.monotonic()
    wait_until(lambda: "cause=left" in server.log, "it is noticed")
    noticed_s = time.monotonic() - begun
    print(f"noticed after {noticed_s:.2f} s, with a heartbeat of {HEARTBEAT_S} s")
    wait_until_none_is_open(server)
    return noticed_s


def test_five_thousand_streams_that_came_and_went_leave_nothing_behind(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS_PER_CLIENT=10_000)
    (pid,) = server.worker_pids()
    warmed = []
    for number in range(3):
        come_and_go(server, number)
        warmed.append(memory(pid))
    before = descriptors(pid), threads(pid), max(warmed)
    for number in range(10):
        come_and_go(server, number)
    settled(lambda: descriptors(pid), before[0], "as many file descriptors as before")
    print(
        f"descriptors {before[0]} -> {descriptors(pid)}, threads {before[1]} -> {threads(pid)}, "
        f"memory {before[2] / MEBIBYTE:.1f} -> {memory(pid) / MEBIBYTE:.1f} MiB"
    )
    assert threads(pid) <= before[1]
    assert memory(pid) < 1.05 * before[2]
    assert ended(server, "left") == 6_500


def come_and_go(server: Server, number: int) -> None:
    """Open 500 streams, and drop them in one of two ways."""
    crowd = Crowd(server.address, INVENTORY, 500).wait_until_open()
    crowd.close(resets=number % 2 == 1)
    wait_until_none_is_open(server)
