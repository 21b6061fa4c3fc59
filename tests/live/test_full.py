"""A server with as many streams as it may have: who is there goes on, and who comes is told so in a way that it survives."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.client import Exchange
from tests.live.conftest import full_shop
from tests.live.server import Server, wait_until
from tests.live.shop import BUDDY, INVENTORY, RECOMMENDATIONS, ask, change, data, get, new_stock

BY_NAME = {"Accept": "text/event-stream"}


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


def test_health_still_answers_readiness_says_no_and_the_shop_goes_on(server: Server, streams: list[Exchange]):
    assert get(server, "/healthz") == {"status": "ok"}
    ready = ask(server, "GET", "/readyz")
    assert ready.status == 503
    assert int(ready.header("Retry-After") or 0) > 0
    assert get(server, f"/v1/pets/{BUDDY}")["name"] == "Buddy"


def test_those_who_are_there_go_on_while_others_are_refused(server: Server, streams: list[Exchange]):
    for _ in range(10):
        assert ask(server, "GET", INVENTORY, headers=BY_NAME).status == 200
        assert ask(server, "GET", INVENTORY).status == 503
    stock = new_stock()
    change(server, BUDDY, stock=stock)
    for stream in streams:
        assert data(stream.read_events(1)[0])["newStock"] == stock


def test_a_place_that_becomes_free_is_taken_by_the_next(server: Server, streams: list[Exchange]):
    streams[0].cut()
    wait_until(lambda: ask(server, "GET", "/readyz").status == 200, "the place is free")
    with Exchange(server.address, INVENTORY, BY_NAME) as stream:
        stream.read_until(lambda: stream.chunks)
        assert b"goodbye" not in stream.body
        assert ask(server, "GET", INVENTORY).status == 503


def test_a_request_that_is_wrong_is_told_so_on_a_full_server_too(server: Server, streams: list[Exchange]):
    assert ask(server, "GET", "/v1/pets/recommendations/stream", headers=BY_NAME).status in (200, 400)
    assert ask(server, "GET", "/v1/inventory/stream", headers={"Accept": "application/json"}).status == 406


def test_a_killed_worker_takes_its_count_along(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS=1)
    for _ in range(2):
        with Exchange(server.address, INVENTORY) as stream:
            stream.read_until(lambda stream=stream: stream.chunks)  # type: ignore[misc]
            assert b"goodbye" not in stream.body
            server.kill_worker(server.worker_pids()[0])
        server.wait_until_ready()
