"""A server with as many streams as it may have, and clients that want more than their share.

Who is there goes on, and who comes is told so in a way that it survives.
"""

import re
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import cycle
from pathlib import Path

import pytest

from tests.live.client import DEADLINE_S, Exchange
from tests.live.conftest import full_shop
from tests.live.crowd import Crowd
from tests.live.follower import append
from tests.live.measure import metric, streams_open, wait_until_none_is_open
from tests.live.server import Server, wait_until
from tests.live.shop import BUDDY, CUSTOMER, INVENTORY, RECOMMENDATIONS, ask, authorization, change, new_stock, place

BY_NAME = {"Accept": "text/event-stream"}
STREAMS, SHARE = 200, 5

KEPT_FREE = 1000
"""Connections of a worker that are not for streams."""

HEALTH_S = 0.1
"""The promise. How much of it is used is printed."""


@pytest.fixture(scope="module")
def server(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two places."""
    settings = {"PETSTORE_MAX_STREAMS": 2, "PETSTORE_HEARTBEAT_S": 1, "PETSTORE_RETRY_MS": 3000, "PETSTORE_DRAIN_SPREAD_S": 2}
    with full_shop(seeded, tmp_path_factory.mktemp("full"), workers=1, **settings) as server:
        yield server


@pytest.fixture
def streams(server: Server) -> Iterator[list[Exchange]]:
    """The two streams that have the places. They are free again afterwards."""
    with ExitStack() as stack:
        streams = [stack.enter_context(Exchange(server.address, INVENTORY)) for _ in range(2)]
        for stream in streams:
            stream.read_until(lambda stream=stream: stream.chunks)  # type: ignore[misc]
        yield streams
    wait_until(lambda: ask(server, "GET", "/readyz").status == 200, "the places are free again")


@pytest.mark.parametrize("target", [INVENTORY, RECOMMENDATIONS, "/v1/stream?topics=inventory"])
@pytest.mark.parametrize("accept", ["text/event-stream", "text/html, text/event-stream;q=0.9"])
def test_one_more_that_asks_for_event_streams_by_name_gets_a_goodbye_that_a_browser_survives(
    server: Server, streams: list[Exchange], target: str, accept: str
):
    with Exchange(server.address, target, {"Accept": accept}) as refused:
        assert refused.status == 200
        assert refused.header("Content-Type") == "text/event-stream; charset=utf-8"
        refused.read_to_end()
        match = re.fullmatch(rb'retry: ([0-9]+)\n: goodbye\nevent: goodbye\ndata: \{"reason":"full"\}\n\n', refused.body)
        assert match, refused.body
        assert 3000 <= int(match[1]) <= 5000


@pytest.mark.parametrize("accept", [None, "*/*", "text/*", "application/json, */*;q=0.1"])
def test_one_more_of_any_other_client_gets_503_and_when_to_come_back(server: Server, streams: list[Exchange], accept: str | None):
    answer = ask(server, "GET", INVENTORY, headers={"Accept": accept} if accept else None)
    assert answer.status == 503
    assert answer.header("Content-Type") == "application/problem+json"
    assert int(answer.header("Retry-After") or 0) > 0
    assert answer.json()["status"] == 503


def test_a_place_that_becomes_free_is_taken_by_the_next(server: Server, streams: list[Exchange]):
    streams[0].cut()
    wait_until(lambda: ask(server, "GET", "/readyz").status == 200, "the place is free")
    with Exchange(server.address, INVENTORY, BY_NAME) as stream:
        stream.read_until(lambda: stream.chunks)
        assert b"goodbye" not in stream.body
        assert ask(server, "GET", INVENTORY).status == 503


def test_a_request_that_is_wrong_is_told_so_on_a_full_server_too(server: Server, streams: list[Exchange]):
    assert ask(server, "GET", "/v1/pets/recommendations/stream", headers=BY_NAME).status == 400
    assert ask(server, "GET", "/v1/inventory/stream", headers={"Accept": "application/json"}).status == 406


def test_at_the_limit_health_answers_at_once_the_shop_goes_on_and_nobody_is_dropped(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS=STREAMS)
    with Crowd(server.address, INVENTORY, STREAMS) as crowd:
        crowd.wait_until_open()
        times = []
        for _ in range(50):
            for headers, status in ((BY_NAME, 200), ({}, 503)):
                refused = ask(server, "GET", INVENTORY, headers=headers)
                assert refused.status == status
                assert b'"reason":"full"' in refused.body or int(refused.header("Retry-After") or 0) > 0
            begun = time.monotonic()
            assert ask(server, "GET", "/healthz").json() == {"status": "ok"}
            times.append(time.monotonic() - begun)
        times.sort()
        print(
            f"healthz: median {times[25] * 1000:.1f} ms, slowest of 50 {times[-1] * 1000:.1f} ms of {HEALTH_S * 1000:.0f}, "
            f"with {STREAMS} of {STREAMS} streams"
        )
        ready = ask(server, "GET", "/readyz")
        assert ready.status == 503
        assert int(ready.header("Retry-After") or 0) > 0
        assert place(server, BUDDY)["status"] == "PLACED"
        change(server, BUDDY, stock=new_stock())
        crowd.read_until(lambda: all(len(member.ids) == 2 for member in crowd.members), "everybody has both events")
        assert streams_open(server) == STREAMS
        assert metric(server, "petstore_streams_refused_total", reason="full") == 100


def test_connections_that_ask_for_nothing_do_not_shut_out_those_who_do(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS=1)
    with ExitStack() as stack, Exchange(server.address, INVENTORY) as stream:
        stream.read_until(lambda: stream.chunks)
        for number in range(KEPT_FREE):
            connection = stack.enter_context(socket.create_connection(server.address, DEADLINE_S))
            if number % 2:  # Half of them are served, and kept alive for a request that never comes.
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        begun = time.monotonic()
        assert ask(server, "GET", "/healthz").json() == {"status": "ok"}
        print(f"healthz after {time.monotonic() - begun:.2f} s, with {KEPT_FREE} connections that ask for nothing")
        change(server, BUDDY, stock=new_stock())
        assert stream.read_events(1)[0].type == "stock-change"


def test_one_address_gets_its_share_and_others_theirs(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS_PER_CLIENT=SHARE)
    with ExitStack() as stack:
        for _ in range(SHARE):
            assert b": open\n" in stack.enter_context(stream_from(server, "127.0.0.2")).body
        assert_too_many(stream_from(server, "127.0.0.2"))
        assert b": open\n" in stack.enter_context(stream_from(server, "127.0.0.3")).body
        answer = Exchange(server.address, INVENTORY, connection=connect_from(server, "127.0.0.2"))
        assert (answer.status, answer.header("Content-Type")) == (503, "application/problem+json")
        answer.close()
    wait_until_none_is_open(server)
    assert metric(server, "petstore_streams_refused_total", reason="too-many") == 2
    stream_from(server, "127.0.0.2").close()


def test_one_customer_gets_a_share_whatever_the_addresses(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS_PER_CLIENT=SHARE)
    order = ask(server, "POST", "/v1/orders", {"petId": BUDDY}, authorization(CUSTOMER)).json()
    target = order["links"]["statusStream"]
    with ExitStack() as stack:
        for number in range(SHARE):
            stream = stack.enter_context(stream_from(server, f"127.0.1.{number + 1}", target))
            assert b": open\n" in stream.body
        assert_too_many(stream_from(server, "127.0.1.99", target))
        assert b": open\n" in stack.enter_context(stream_from(server, "127.0.1.99")).body


def test_behind_a_proxy_the_client_is_the_one_that_the_proxy_names(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS_PER_CLIENT=SHARE, PETSTORE_PROXIES=1)

    def stream_for(forwarded: str) -> Exchange:
        stream = Exchange(server.address, INVENTORY, {**BY_NAME, "X-Forwarded-For": forwarded})
        return stream.read_until(lambda: b"\n" in stream.body)

    with ExitStack() as stack:
        for number in range(SHARE):
            # What a client says of itself stands before what the proxy adds, and counts for nothing.
            assert b": open\n" in stack.enter_context(stream_for(f"198.51.100.{number}, 203.0.113.7")).body
        assert_too_many(stream_for("198.51.100.99, 203.0.113.7"))
        assert b": open\n" in stack.enter_context(stream_for("203.0.113.8")).body


def test_the_places_of_a_killed_worker_are_free_again(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS=STREAMS, PETSTORE_MAX_STREAMS_PER_CLIENT=STREAMS)
    for _ in range(2):
        with Crowd(server.address, INVENTORY, STREAMS) as crowd:
            crowd.wait_until_open()
            (pid,) = server.worker_pids()
            assert streams_open(server) == STREAMS
            server.kill_worker(pid)
            wait_until(lambda: len(server.worker_pids()) == 1, "it is replaced")
            wait_until_none_is_open(server)


def connect_from(server: Server, address: str) -> socket.socket:
    return socket.create_connection(server.address, 30, (address, 0))


def stream_from(server: Server, address: str, target: str = INVENTORY) -> Exchange:
    """Open a stream from an address of this machine and wait for its first bytes."""
    stream = Exchange(server.address, target, BY_NAME, connection=connect_from(server, address))
    return stream.read_until(lambda: b"\n" in stream.body)


def assert_too_many(stream: Exchange) -> None:
    with stream:
        assert stream.status == 200
        assert [(event.type, event.data) for event in stream.read_to_end().events] == [("goodbye", '{"reason":"too-many"}')]
        assert stream.decoder.retry_ms


def test_requests_are_counted_over_all_workers_and_never_those_of_an_open_stream(start: Callable[..., Server]):
    server = start(PETSTORE_RATE_LIMIT=20)
    workers = server.worker_pids()
    opened = int(time.time() // 60)
    with Exchange(server.address, INVENTORY) as stream, closing(server.open_event_log()) as log:
        stream.read_until(lambda: stream.chunks)
        # Each minute counts anew: where one ends in between, what was asked in the next one is looked at.
        asked = defaultdict[int, list[Exchange]](list)
        for pid in cycle(workers):
            minute = int(time.time() // 60)
            answer = get_from(server, pid)
            if int(time.time() // 60) == minute:
                asked[minute].append(answer)
            if len(asked[minute]) == 30:
                break
        answers = asked[minute]
        served = sum(answer.status == 200 for answer in answers)
        # The stream was the first. In a later minute it's none of them, but an answer between two minutes may be one.
        assert served in ((19,) if minute == opened else (19, 20))
        assert [answer.status for answer in answers] == [200] * served + [429] * (30 - served)
        assert 0 < int(answers[-1].header("Retry-After") or 0) <= 60
        assert get_from(server, workers[0], "/healthz").status == 200
        append(log, 3)
        assert len(stream.read_events(3)) == 3


def test_a_worker_has_room_for_all_its_streams_before_the_first_one_comes(start: Callable[..., Server]):
    (pid,) = start(workers=1, PETSTORE_MAX_STREAMS=3000).worker_pids()
    (size,) = re.findall(r"FDSize:\s*([0-9]+)", Path(f"/proc/{pid}/status").read_text())
    assert int(size) >= 3000


def get_from(server: Server, pid: int, target: str = f"/v1/pets/{BUDDY}") -> Exchange:
    """Ask one worker for something."""
    with Exchange(server.address, target, connection=server.connect(pid)) as exchange:
        return exchange.read_to_end()
