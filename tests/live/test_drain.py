"""Told to end, a server says goodbye on every stream, ends each cleanly, and is gone soon."""

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.live.client import Exchange
from tests.live.server import Server, wait_until
from tests.live.shop import BUDDY, INVENTORY, change, data, get, new_stock, place, topics

BOUND_S = 20.0
"""gunicorn alone would take its 30 s, and then cut the clients off."""

GOODBYE = re.compile(rb'retry: ([0-9]+)\n: goodbye\nevent: goodbye\ndata: \{"reason":"draining"\}\n\n')


def open_streams(server: Server, stack: ExitStack, count: int, version: str = "HTTP/1.1") -> list[Exchange]:
    """Open streams of each kind at each worker."""
    order = place(server)
    targets = [INVENTORY, order["links"]["statusStream"], topics("inventory", order)]
    streams = []
    for number in range(count):
        for pid in server.worker_pids():
            stream = Exchange(server.address, targets[number % 3], version=version, connection=server.connect(pid))
            streams.append(stack.enter_context(stream).read_until(lambda stream=stream: b"\n" in stream.body))  # type: ignore[misc]
    return streams


@pytest.mark.parametrize(
    ("number", "send"),
    [(signal.SIGTERM, os.kill), (signal.SIGINT, os.kill), (signal.SIGINT, os.killpg), (signal.SIGQUIT, os.kill)],
    ids=["TERM", "INT", "Ctrl-C, which every process of the terminal gets", "QUIT"],
)
def test_every_stream_gets_a_goodbye_and_a_clean_end_and_the_server_is_gone(
    start: Callable[..., Server], number: int, send: Callable[[int, int], None]
):
    server = start(PETSTORE_HEARTBEAT_S=1, PETSTORE_RETRY_MS=3000, PETSTORE_DRAIN_SPREAD_S=4)
    with ExitStack() as stack:
        streams = open_streams(server, stack, 6)
        begun = time.monotonic()
        send(server.process.pid, number)
        retries = []
        for stream in streams:
            stream.read_to_end()
            match = GOODBYE.fullmatch(stream.chunks[-1])
            assert match, stream.chunks[-1]
            retries.append(int(match[1]))
            assert [event.type for event in stream.events] == ["goodbye"]
            assert stream.decoder.last_event_id == ""
            assert stream.is_at_end_of_connection()
        assert server.process.wait(BOUND_S) == 0
        print(f"gone after {time.monotonic() - begun:.1f} s")
    assert all(3000 <= retry <= 7000 for retry in retries)
    assert len(set(retries)) > 1, "all clients would come back at once"


def test_clients_of_http_1_0_get_their_goodbye_too(start: Callable[..., Server]):
    server = start()
    with ExitStack() as stack:
        streams = open_streams(server, stack, 3, "HTTP/1.0")
        server.process.send_signal(signal.SIGTERM)
        for stream in streams:
            assert GOODBYE.search(stream.read_to_end().body)
        assert server.process.wait(BOUND_S) == 0


def test_what_was_committed_before_the_end_is_there_after_it_and_the_clients_go_on(start: Callable[..., Server]):
    server = start()
    with Exchange(server.address, INVENTORY) as stream:
        stream.read_until(lambda: stream.chunks)
        change(server, BUDDY, stock=new_stock())
        held = stream.read_events(1)[0].last_event_id
        change(server, BUDDY, stock=(missed := new_stock()))
        server.process.send_signal(signal.SIGTERM)
        assert stream.read_to_end().events[-1].type == "goodbye"
        assert server.process.wait(BOUND_S) == 0
    again = Server(server.directory)
    try:
        again.wait_until_ready()
        with Exchange(again.address, INVENTORY, {"Last-Event-ID": held}) as stream:
            (event,) = stream.read_events(1)
            assert data(event)["newStock"] == missed
        assert get(again, f"/v1/pets/{BUDDY}")["stock"] == missed
    finally:
        again.close()


def test_one_worker_that_is_told_to_end_says_goodbye_and_the_others_go_on(start: Callable[..., Server]):
    server = start(PETSTORE_HEARTBEAT_S=1)
    leaving, staying = server.worker_pids()
    with (
        Exchange(server.address, INVENTORY, connection=server.connect(leaving)) as first,
        Exchange(server.address, INVENTORY, connection=server.connect(staying)) as second,
    ):
        for stream in (first, second):
            stream.read_until(lambda stream=stream: stream.chunks)  # type: ignore[misc]
        os.kill(leaving, signal.SIGTERM)
        assert [event.type for event in first.read_to_end().events] == ["goodbye"]
        change(server, BUDDY, stock=new_stock())
        assert [event.type for event in second.read_events(1)] == ["stock-change"]
        wait_until(lambda: leaving not in server.worker_pids() and len(server.worker_pids()) == 2, "it is replaced", BOUND_S)


def test_a_reload_says_goodbye_and_a_browser_that_comes_back_at_once_is_not_lost(start: Callable[..., Server]):
    server = start(PETSTORE_HEARTBEAT_S=1)
    old = set(server.worker_pids())
    with ExitStack() as stack:
        streams = open_streams(server, stack, 3)
        server.process.send_signal(signal.SIGHUP)
        for stream in streams:
            assert GOODBYE.fullmatch(stream.read_to_end().chunks[-1])
        # It may still meet the worker that ends: that one must not answer what a browser gives up on.
        with Exchange(server.address, INVENTORY, {"Accept": "text/event-stream"}) as stream:
            assert stream.status == 200
            stream.read_until(lambda: stream.decoder.retry_ms)
    wait_until(lambda: len(server.worker_pids()) == 2 and not old & set(server.worker_pids()), "both are replaced", BOUND_S)
    assert server.terminate() == 0
