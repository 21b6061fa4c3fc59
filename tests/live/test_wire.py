"""Each stream, byte for byte, as a client on a bare socket sees it."""

import re
from collections.abc import Callable

import pytest

from tests.live.client import Exchange, frames
from tests.live.server import Server, wait_until
from tests.live.shop import (
    BUDDY,
    FLUFFY,
    INVENTORY,
    RECOMMENDATIONS,
    ask,
    change,
    change_many,
    data,
    from_now,
    get,
    pay,
    place,
    topics,
)

Target = Callable[[Server], str]


def paid_order(server: Server) -> str:
    """Return the stream of an order that is on its way to its end."""
    order = place(server, FLUFFY)
    pay(server, order)
    return str(order["links"]["statusStream"])


def placed_order(server: Server) -> str:
    """Return the stream of an order that nobody has paid, which has nothing to say."""
    return str(place(server, FLUFFY)["links"]["statusStream"])


def several_topics(server: Server) -> str:
    """Return a stream over one connection of two topics, which are silent."""
    return topics("inventory", place(server, FLUFFY))


EVERY = pytest.mark.parametrize(
    "target",
    [lambda _: INVENTORY, lambda _: RECOMMENDATIONS, placed_order, several_topics],
    ids=["inventory", "recommendations", "order", "topics"],
)


LEFT_OUT = ("Server", "Date", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
"""Each is there once, and says something else every time."""


@EVERY
@pytest.mark.parametrize("connection", [None, "keep-alive", "close"])
def test_a_stream_has_exactly_this_head_and_is_chunked_whatever_the_client_says_of_its_connection(
    shop: Server, target: Target, connection: str | None
):
    with Exchange(shop.address, target(shop), {"Connection": connection} if connection else {}) as stream:
        assert (stream.version, stream.status) == ("HTTP/1.1", 200)
        head = {name: value for name, value in stream.headers if name not in LEFT_OUT}
        assert head == {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache, no-transform",
            "X-Accel-Buffering": "no",
            "Transfer-Encoding": "chunked",
            "Connection": "close" if connection == "close" else "keep-alive",
        }
        assert len(head) == len(stream.headers) - len(LEFT_OUT)


@EVERY
def test_the_first_bytes_come_at_once_and_no_blank_line_follows_them(shop: Server, target: Target):
    with Exchange(shop.address, target(shop)) as stream:
        stream.read_until(lambda: stream.body.count(b"\n") >= 2)
        assert re.match(rb"retry: [1-9][0-9]*\n: [^\r\n]+\n(?!\n)", stream.body)
        assert stream.decoder.retry_ms == 2000


def test_an_event_is_its_type_its_data_on_one_line_and_its_id_last(shop: Server):
    with Exchange(shop.address, INVENTORY) as stream:
        stream.read_until(lambda: stream.chunks)
        change(shop, BUDDY, stock=40, price="101.50")
        change(shop, BUDDY, stock=41, price="99")
        stream.read_events(4)
        sent = [frame for chunk in stream.chunks for frame in frames(chunk)]
        assert len(sent) == 4
        ids = [event.last_event_id for event in stream.events]
        stock = f'event: stock-change\ndata: {{"petId":"{BUDDY}","oldStock":40,"newStock":41}}\nid: {ids[2]}\n\n'
        assert sent[2] == stock.encode()
        price = f'event: price-change\ndata: {{"petId":"{BUDDY}","oldPrice":101.5,"newPrice":99.0}}\nid: {ids[3]}\n\n'
        assert sent[3] == price.encode()


def frame_id(frame: bytes) -> int:
    """Return the id of an event's frame."""
    return int(frame.rpartition(b"id: ")[2])


def test_no_event_is_split_over_two_chunks_however_many_come_at_once(shop: Server):
    pets = [pet["petId"] for pet in get(shop, "/v1/inventory?limit=60")["data"]]
    assert len(pets) == 60
    target = several_topics(shop)
    with Exchange(shop.address, INVENTORY) as live, Exchange(shop.address, target) as topics:
        live.read_until(lambda: live.chunks)
        topics.read_until(lambda: topics.chunks)
        start = get(shop, "/v1/inventory")["lastEventId"]
        for stock in range(200, 205):
            change_many(shop, [{"petId": pet, "stock": stock, "price": stock} for pet in pets])
        live.read_events(600)
        topics.read_events(600)
        with Exchange(shop.address, f"{INVENTORY}?lastEventId={start}") as replay:
            replay.read_events(600)
            # A worker may bring what another one committed just before these streams began.
            sent = [
                [frame for chunk in stream.chunks for frame in frames(chunk) if frame_id(frame) > start]
                for stream in (live, topics, replay)
            ]
            assert [len(some) for some in sent] == [600, 600, 600]
            assert sent[0] == sent[2]


def test_a_finite_stream_is_whole_chunks_of_whole_events_and_the_last_one_is_complete(shop: Server):
    for target in (RECOMMENDATIONS, paid_order(shop)):
        with Exchange(shop.address, target) as stream:
            stream.read_to_end()
            sent = [frame for chunk in stream.chunks for frame in frames(chunk)]
            assert sent[-1].startswith(b"event: complete\n")
            assert sum(frame.startswith(b"event: complete\n") for frame in sent) == 1


@pytest.mark.parametrize("target", [lambda _: INVENTORY, placed_order, several_topics], ids=["inventory", "order", "topics"])
def test_silence_is_broken_by_a_heartbeat_line_that_is_not_an_event(shop: Server, target: Target):
    path = target(shop)
    with Exchange(shop.address, path, from_now(shop)) as stream:
        stream.read_until(lambda: stream.body.count(b": heartbeat\n") >= 2)
        assert stream.chunks[1:3] == [b": heartbeat\n", b": heartbeat\n"]
        assert stream.events == []
        assert b"id:" not in stream.body


def test_after_a_heartbeat_events_come_as_before_and_heartbeats_carry_no_id(shop: Server):
    with Exchange(shop.address, INVENTORY) as stream:
        stream.read_until(lambda: b": heartbeat\n" in stream.body)
        change(shop, stock=51)
        change(shop, stock=52)
        stream.read_events(2)
        before = stream.decoder.last_event_id
        stream.read_until(lambda: stream.chunks[-1] == b": heartbeat\n")
        assert stream.decoder.last_event_id == before
        assert stream.body.count(b"\n\n") == stream.body.count(b"\nid: ") == 2
        frames(stream.body)


def test_control_events_carry_no_id(shop: Server):
    with Exchange(shop.address, INVENTORY, {"Last-Event-ID": "1"}) as stream:
        (gap,) = stream.read_events(1)
        assert (gap.type, gap.last_event_id) == ("gap", "")
        assert b"\nid:" not in stream.body
        assert re.fullmatch(rb"retry: 2000\n: open\nevent: gap\ndata: \{[^\n]*\}\n\n", stream.chunks[0])


def test_a_client_of_http_1_0_gets_a_plain_body_that_ends_with_the_connection(shop: Server):
    for target in (RECOMMENDATIONS, paid_order(shop)):
        with Exchange(shop.address, target, version="HTTP/1.0") as stream:
            assert stream.header("Transfer-Encoding") is None
            assert stream.header("Connection") == "close"
            assert stream.read_to_end().events[-1].type == "complete"
            assert len(frames(stream.body)) == len(stream.events)


def test_a_client_of_a_later_http_1_gets_chunks_from_the_first_byte_to_the_last(shop: Server):
    with Exchange(shop.address, INVENTORY, version="HTTP/1.2") as stream:
        assert stream.header("Transfer-Encoding") == "chunked"
        change(shop, stock=63)
        stream.read_events(1)
        assert len(frames(stream.body)) == 1


def test_a_client_of_http_1_0_gets_live_events_and_heartbeats_too(shop: Server):
    with Exchange(shop.address, INVENTORY, version="HTTP/1.0") as stream:
        stream.read_until(lambda: b": heartbeat\n" in stream.body)
        change(shop, stock=61)
        change(shop, stock=62)
        stream.read_events(2)
        assert len(frames(stream.body)) == 2


def test_two_streams_one_after_the_other_fit_on_one_connection(shop: Server):
    first = Exchange(shop.address, RECOMMENDATIONS)
    with first:
        first.read_to_end()
        second = Exchange(shop.address, RECOMMENDATIONS, connection=first.socket)
        assert second.read_to_end().events[-1].type == "complete"


@EVERY
def test_head_tells_the_head_without_a_body_and_keeps_the_connection(shop: Server, target: Target):
    path = target(shop)
    with Exchange(shop.address, path, method="HEAD") as exchange:
        assert exchange.status == 200
        assert exchange.header("Content-Type") == "text/event-stream; charset=utf-8"
        second = Exchange(shop.address, "/healthz", connection=exchange.socket)
        assert second.json() == {"status": "ok"}


def test_head_takes_no_place_and_leaves_nothing_behind(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS=2)
    for _ in range(20):
        assert ask(server, "HEAD", INVENTORY).status == 200
    with Exchange(server.address, INVENTORY) as one, Exchange(server.address, INVENTORY) as two:
        change(server, stock=7)
        assert data(one.read_events(1)[0]) == data(two.read_events(1)[0])


def test_a_client_that_leaves_gives_its_place_back(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_MAX_STREAMS=1)
    for leave in (Exchange.cut, Exchange.close) * 3:
        stream = Exchange(server.address, INVENTORY)
        stream.read_until(lambda stream=stream: stream.chunks)  # type: ignore[misc]
        assert b"goodbye" not in stream.body
        leave(stream)
        wait_until(lambda: ask(server, "GET", "/readyz").status == 200, "the place is free again")
