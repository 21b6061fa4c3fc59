"""Each stream as an SSE client that isn't ours reads it (httpx-sse), and what its events say."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse

from tests.live.server import DEADLINE_S, Server
from tests.live.shop import (
    BUDDY,
    FLUFFY,
    INVENTORY,
    RECOMMENDATIONS,
    ask,
    authorization,
    cancel,
    change,
    change_many,
    from_now,
    get,
    pay,
    place,
    recommendations,
    topics,
)

Open = Callable[..., Iterator[ServerSentEvent]]

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TRACKING_NUMBER = re.compile("1Z[0-9A-Z]{16}")


@contextmanager
def subscribe(server: Server, target: str, **headers: str) -> Iterator[Iterator[ServerSentEvent]]:
    """Give the events of a stream that has begun: what happens from here on is in it."""
    with (
        httpx.Client(base_url=server.url, timeout=DEADLINE_S, headers=headers, trust_env=False) as client,
        connect_sse(client, "GET", target) as source,
    ):
        assert source.response.status_code == 200, source.response.read()
        yield source.iter_sse()


def read(server: Server, target: str) -> list[ServerSentEvent]:
    """Return all events of a stream that ends."""
    with subscribe(server, target) as events:
        return list(events)


def test_recommendations_are_a_pet_a_name_a_score_and_a_reason_each_and_then_complete(shop: Server):
    *picks, complete = read(shop, RECOMMENDATIONS)
    assert len(picks) == 10
    assert {event.event for event in picks} == {"recommendation"}
    for pick in picks:
        recommendation = pick.json()
        assert list(recommendation) == ["petId", "name", "score", "reason"]
        pet = get(shop, f"/v1/pets/{recommendation['petId']}")
        assert recommendation["name"] == pet["name"]
        assert isinstance(recommendation["score"], float)
        assert 0 <= recommendation["score"] <= 1
        assert recommendation["reason"]
    assert complete.event == "complete"
    assert list(complete.json()) == ["total", "processingTime", "engine"]
    assert complete.json()["total"] == 10
    assert isinstance(complete.json()["processingTime"], int)
    assert [int(event.id) for event in (*picks, complete)] == sorted({int(event.id) for event in (*picks, complete)})


def test_the_whole_list_at_once_is_what_its_stream_says(shop: Server):
    whole = get(shop, recommendations(whole=True))
    streamed = read(shop, RECOMMENDATIONS)
    assert whole["data"] == [event.json() for event in streamed[:-1]]
    assert whole["total"] == 10


def test_a_paid_order_tells_its_three_steps_unnamed_and_that_it_is_shipped(shop: Server):
    order = place(shop, FLUFFY)
    with subscribe(shop, order["links"]["statusStream"]) as events:
        pay(shop, order)
        *steps, complete = events
    assert [event.event for event in steps] == ["message"] * 3
    assert [list(event.json()) for event in steps] == [["status", "timestamp"]] * 3
    assert [event.json()["status"] for event in steps] == ["payment_processing", "payment_confirmed", "preparing_shipment"]
    assert all(MOMENT.fullmatch(event.json()["timestamp"]) for event in steps)
    assert complete.event == "complete"
    assert list(complete.json()) == ["status", "trackingNumber"]
    assert complete.json()["status"] == "shipped"
    assert TRACKING_NUMBER.fullmatch(complete.json()["trackingNumber"])
    assert get(shop, order["links"]["self"])["trackingNumber"] == complete.json()["trackingNumber"]


def test_a_cancelled_order_ends_with_its_reason(shop: Server):
    order = place(shop, FLUFFY)
    with subscribe(shop, order["links"]["statusStream"]) as events:
        cancel(shop, order)
        (complete,) = events
    assert complete.event == "complete"
    assert complete.json() == {"status": "cancelled", "reason": "cancelled by the customer"}


def test_inventory_tells_stock_as_numbers_and_prices_as_numbers(shop: Server):
    change(shop, BUDDY, stock=70, price="10.10")
    with subscribe(shop, INVENTORY, **from_now(shop)) as events:
        change(shop, BUDDY, stock=71)
        change(shop, BUDDY, price="299.99")
        place(shop, BUDDY, 2)
        told = list(islice(events, 3))
    assert [(event.event, event.json()) for event in told] == [
        ("stock-change", {"petId": BUDDY, "oldStock": 70, "newStock": 71}),
        ("price-change", {"petId": BUDDY, "oldPrice": 10.1, "newPrice": 299.99}),
        ("stock-change", {"petId": BUDDY, "oldStock": 71, "newStock": 69}),
    ]
    change(shop, BUDDY, stock=10_000)


def test_many_changes_in_one_request_are_one_event_each_in_their_order(shop: Server):
    change_many(shop, [{"petId": BUDDY, "stock": 80, "price": 80}, {"petId": FLUFFY, "stock": 80}])
    with subscribe(shop, INVENTORY, **from_now(shop)) as events:
        change_many(shop, [{"petId": FLUFFY, "stock": 81}, {"petId": BUDDY, "stock": 81, "price": 81}])
        told = list(islice(events, 3))
    assert [(event.event, event.json()["petId"]) for event in told] == [
        ("stock-change", FLUFFY),
        ("stock-change", BUDDY),
        ("price-change", BUDDY),
    ]
    ids = [int(event.id) for event in told]
    assert ids == [ids[0], ids[0] + 1, ids[0] + 2]
    change_many(shop, [{"petId": BUDDY, "stock": 10_000}, {"petId": FLUFFY, "stock": 10_000}])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["stock Fluffy", "price Fluffy", "stock Buddy", "price Buddy"]),
        ("?types=stock-change", ["stock Fluffy", "stock Buddy"]),
        ("?types=price-change", ["price Fluffy", "price Buddy"]),
        ("?types=price-change,stock-change", ["stock Fluffy", "price Fluffy", "stock Buddy", "price Buddy"]),
        (f"?petId={BUDDY}", ["stock Buddy", "price Buddy"]),
        (f"?petId={BUDDY.upper()}&types=price-change", ["price Buddy"]),
    ],
)
def test_inventory_tells_only_the_types_and_the_pet_that_were_asked_for(shop: Server, query: str, expected: list[str]):
    change_many(shop, [{"petId": pet_id, "stock": 90, "price": 90} for pet_id in (FLUFFY, BUDDY)])
    with subscribe(shop, INVENTORY + query, **from_now(shop)) as events:
        change_many(shop, [{"petId": pet_id, "stock": 91, "price": 91} for pet_id in (FLUFFY, BUDDY)])
        # What follows shows that nothing else was on its way.
        change_many(shop, [{"petId": BUDDY, "stock": 10_000, "price": 92}, {"petId": FLUFFY, "stock": 10_000}])
        told = list(islice(events, len(expected) + 1))
    names = {FLUFFY: "Fluffy", BUDDY: "Buddy"}
    assert [f"{event.event.removesuffix('-change')} {names[event.json()['petId']]}" for event in told[:-1]] == expected
    assert told[-1].json()["petId"] == BUDDY
    assert (told[-1].json().get("newStock"), told[-1].json().get("newPrice")) in ((10_000, None), (None, 92))


@pytest.mark.parametrize("stream", ["recommendations", "order", "inventory", "topics"])
def test_events_unnamed_sends_everything_to_clients_that_only_listen_to_message(shop: Server, stream: str):
    order = place(shop, FLUFFY)
    pay(shop, order)
    target = {
        "recommendations": f"{RECOMMENDATIONS}&",
        "order": f"{order['links']['statusStream']}&",
        "inventory": f"{INVENTORY}?since=1h&",
        "topics": f"{topics('inventory', order)}&since=1h&",
    }[stream]
    with subscribe(shop, f"{target}events=unnamed") as events:
        told = list(islice(events, 4))
    assert {event.event for event in told} == {"message"}
    assert all(event.id for event in told)
    with subscribe(shop, f"{target}events=named") as events:
        named = [event.json() for event in islice(events, 4)]
    if stream == "recommendations":
        # Each stream is a run of its own: what others buy meanwhile moves a score.
        assert [data.keys() for data in named] == [event.json().keys() for event in told]
    else:
        assert named == [event.json() for event in told]


def test_one_connection_carries_several_topics_and_each_event_names_its_own(shop: Server):
    order, other = place(shop, FLUFFY), place(shop, FLUFFY)
    change(shop, BUDDY, stock=95)
    with subscribe(shop, topics("inventory", order), **from_now(shop)) as events:
        change(shop, BUDDY, stock=10_000)
        cancel(shop, other)
        cancel(shop, order)
        told = [(event.event, event.json()) for event in islice(events, 4)]
    stock = stock_changes(told)
    assert stock[0] == {"topic": "inventory", "petId": BUDDY, "oldStock": 95, "newStock": 10_000}
    assert [change["petId"] for change in stock[1:]] == [FLUFFY, FLUFFY]
    assert told[3] == (
        "complete",
        {"topic": f"orders/{order['id']}", "status": "cancelled", "reason": "cancelled by the customer"},
    )


def stock_changes(told: list[tuple[str, Any]]) -> list[Any]:
    """Return the data of the stock changes among events."""
    return [data for type, data in told if type == "stock-change"]


def test_one_connection_carries_as_many_orders_as_it_may_with_what_opens_each_of_them(shop: Server):
    customer = authorization("019b402b-c12c-7d04-905c-4b5f32bfd572")
    orders = [ask(shop, "POST", "/v1/orders", {"petId": BUDDY}, customer).json() for _ in range(20)]
    target = topics(*orders)
    assert len(target) > 4094, "more than gunicorn takes by itself"
    for order in orders:
        assert ask(shop, "DELETE", order["links"]["self"], headers=customer).status == 204
    assert {event.json()["topic"] for event in read(shop, target)} == {f"orders/{order['id']}" for order in orders}


def test_one_connection_goes_on_after_one_of_its_topics_has_ended_and_ends_with_the_last_of_them(shop: Server):
    orders = [place(shop, FLUFFY) for _ in range(3)]
    with subscribe(shop, topics(*orders)) as events:
        for order in orders:
            pay(shop, order)
        told = list(events)
    for order in orders:
        assert [event.event for event in told if event.json()["topic"] == f"orders/{order['id']}"] == ["message"] * 3 + ["complete"]
    assert len(told) == 12


def test_a_run_of_recommendations_can_be_one_of_several_topics(shop: Server):
    streamed = read(shop, RECOMMENDATIONS)
    log = shop.open_event_log()
    try:
        topic = log.topic_of(int(streamed[0].id))
    finally:
        log.close()
    with subscribe(shop, f"{topics(str(topic))}&{RECOMMENDATIONS.partition('&')[2]}&since=1h") as events:
        again = list(events)
    assert [(event.event, event.id, event.json()) for event in again] == [
        (event.event, event.id, {"topic": topic, **event.json()}) for event in streamed
    ]
