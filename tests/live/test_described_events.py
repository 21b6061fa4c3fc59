"""Every event that a stream sends, read by an SSE client that isn't ours, is one that the description tells of."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse

from tests.described import Document, offences, told_by
from tests.live.server import DEADLINE_S, Server
from tests.live.shop import (
    BUDDY,
    CUSTOMER,
    INVENTORY,
    RECOMMENDATIONS,
    ask,
    authorization,
    cancel,
    change,
    change_many,
    get,
    pay,
    place,
    topics,
)

FORMS = ("named", "unnamed")

QUESTION = [{"role": "user", "content": "a quiet cat for a flat with a child"}]


@pytest.fixture(scope="module")
def document(shop: Server) -> Document:
    found: Document = get(shop, "/v1/openapi.json")
    return found


@contextmanager
def subscribe(server: Server, target: str, form: str, **headers: str) -> Iterator[Iterator[ServerSentEvent]]:
    """Give the events of a stream that has begun, in one of its forms."""
    url = f"{server.url}{target}{'&' if '?' in target else '?'}events={form}"
    with (
        httpx.Client(timeout=DEADLINE_S, headers=headers, trust_env=False) as client,
        connect_sse(client, "GET", url) as source,
    ):
        assert source.response.status_code == 200, source.response.read()
        yield source.iter_sse()


def described(document: Document, path: str, event: ServerSentEvent) -> str:
    """See that the description tells of an event, as one kind of data alone, and return which."""
    fields: dict[str, Any] = {"event": event.event, "data": event.data}
    fields |= {name: value for name, value in (("id", event.id), ("retry", event.retry)) if value not in ("", None)}
    found = {name.removeprefix("Unnamed") for name in told_by(document, path, fields)}
    assert len(found) == 1, (event, found)
    return found.pop()


def told_until(last: str, document: Document, path: str, events: Iterator[ServerSentEvent]) -> list[str]:
    """Return which kinds are told, up to the first whose data says `last`.

    Among them may be, first, what another worker committed just before the stream began.
    """
    told: list[str] = []
    for event in events:
        told.append(described(document, path, event))
        if last in event.data:
            break
    return told


@pytest.mark.parametrize("form", FORMS)
def test_recommendations_are_described(shop: Server, document: Document, form: str):
    with subscribe(shop, RECOMMENDATIONS, form) as events:
        told = [described(document, "/v1/pets/recommendations/stream", event) for event in events]
    assert told == ["Recommendation"] * 10 + ["RunComplete"]


@pytest.mark.parametrize("form", FORMS)
def test_an_order_s_progress_and_its_ends_are_described(shop: Server, document: Document, form: str):
    paid, cancelled = place(shop), place(shop)
    pay(shop, paid)
    cancel(shop, cancelled)
    for order, expected in ((paid, ["OrderProgress"] * 3 + ["OrderShipped"]), (cancelled, ["OrderEnded"])):
        with subscribe(shop, order["links"]["statusStream"], form) as events:
            assert [described(document, "/v1/orders/{orderId}/status/stream", event) for event in events] == expected


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("held", ["1", "junk"])
def test_changes_of_the_inventory_and_gaps_are_described(shop: Server, document: Document, form: str, held: str):
    change(shop, BUDDY, stock=9_000, price="299.99")
    with subscribe(shop, INVENTORY, form, **{"Last-Event-ID": held}) as events:
        change_many(shop, [{"petId": BUDDY, "stock": 10_000, "price": "298.99"}])
        told = told_until("298.99", document, "/v1/inventory/stream", events)
    assert told[0] == "Gap"
    assert told[-2:] == ["StockChange", "PriceChange"]
    assert set(told[1:]) == {"StockChange", "PriceChange"}
    change(shop, BUDDY, price="299.99")


@pytest.mark.parametrize("form", FORMS)
def test_several_topics_are_described_with_the_topic_in_their_data(shop: Server, document: Document, form: str):
    order = place(shop)
    with subscribe(shop, topics("inventory", order), form, **{"Last-Event-ID": "junk"}) as events:
        cancel(shop, order)
        told = told_until("cancelled", document, "/v1/stream", events)
    assert told[:2] == ["GapWithTopic", "GapWithTopic"]
    assert told[-2:] == ["StockChangeWithTopic", "OrderEndedWithTopic"]
    assert set(told[2:-1]) <= {"StockChangeWithTopic", "PriceChangeWithTopic"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"kind": "CHAT", "messages": QUESTION}, {"Delta", "ChatComplete"}),
        ({"kind": "RECOMMENDATIONS", "userId": CUSTOMER}, {"Recommendation", "RunComplete"}),
    ],
    ids=["chat", "recommendations"],
)
def test_a_run_is_described_alone_and_among_other_topics(
    shop: Server, document: Document, form: str, wanted: dict[str, Any], expected: set[str]
):
    run = ask(shop, "POST", "/v1/runs", wanted, authorization(CUSTOMER)).json()
    token = run["links"]["stream"].rpartition("?")[2]
    for target, path, suffix in (
        (run["links"]["stream"], "/v1/runs/{runId}/stream", ""),
        (f"/v1/stream?topics={run['topic']}&{token}", "/v1/stream", "WithTopic"),
    ):
        with subscribe(shop, target, form) as events:
            assert {described(document, path, event) for event in events} == {f"{name}{suffix}" for name in expected}


def test_the_chunks_of_a_chat_are_described(shop: Server, document: Document):
    content = document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    forms = content["itemSchema"]["properties"]["data"]["anyOf"]
    body = {"messages": QUESTION, "stream": True}
    with (
        httpx.Client(timeout=DEADLINE_S, headers=authorization(CUSTOMER), trust_env=False) as client,
        connect_sse(client, "POST", f"{shop.url}/v1/chat/completions", json=body) as source,
    ):
        *chunks, last = source.iter_sse()
    assert {"const": last.data, "type": "string"} in forms
    assert len(chunks) > 2
    for chunk in chunks:
        assert offences(document, content["itemSchema"], {"data": chunk.data}) == []
        fitting = [form for form in forms if "const" not in form and not offences(document, form["contentSchema"], chunk.json())]
        assert len(fitting) == 1, chunk.data


def test_no_stream_is_left_out(document: Document):
    described_here = set(re.findall(r'"(/v1/[^"]*)"', Path(__file__).read_text("utf-8")))
    streams = {
        path
        for path, item in document["paths"].items()
        for operation in item.values()
        for answer in operation["responses"].values()
        if "text/event-stream" in answer.get("content", {})
    }
    assert len(streams) == 6
    assert streams <= described_here


def test_the_end_of_a_stream_that_finds_no_place_is_described(start: Callable[..., Server], document: Document):
    server = start(workers=1, PETSTORE_MAX_STREAMS=1)
    with subscribe(server, INVENTORY, "named"), subscribe(server, INVENTORY, "named") as events:
        assert [described(document, "/v1/inventory/stream", event) for event in events] == ["Goodbye"]
