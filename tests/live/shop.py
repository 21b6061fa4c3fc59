"""What customers and staff do in the shop over HTTP, each request on a connection of its own, and what its streams then tell.

Must not assert anything about streams: it only moves the shop.
"""

import json
import time
from collections.abc import Mapping
from itertools import count
from typing import Any

from petstore.api import bearer, link
from petstore.api.bearer import Scope
from petstore.api.link import Link
from petstore.shop.catalogue import read_catalogue
from petstore.sse import Received
from tests.live.client import Exchange
from tests.live.server import SECRET, Server

FLUFFY = "019b4132-70aa-764f-b315-e2803d882a24"
BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
NOBODY = "019b4127-0000-7000-8000-000000000000"
CUSTOMER = "user-456"

INVENTORY = "/v1/inventory/stream"


def recommendations(customer: str = CUSTOMER, whole: bool = False) -> str:
    """Return the link to a customer's recommendations, as the customer's account has it: as a stream, or `whole`."""
    token = link.sign(SECRET, Link("follow", f"users/{customer}", ""))
    return f"/v1/pets/recommendations{'' if whole else '/stream'}?userId={customer}&token={token}"


def topics(*wanted: str | Mapping[str, Any]) -> str:
    """Return the stream of several topics, each a name or an order, with what opens the orders."""
    names = [topic if isinstance(topic, str) else f"orders/{topic['id']}" for topic in wanted]
    links = [topic["links"]["statusStream"] for topic in wanted if not isinstance(topic, str)]
    return "&".join([f"/v1/stream?topics={','.join(names)}", *(url.partition("?")[2] for url in links)])


def from_now(server: Server) -> dict[str, str]:
    """Return the header of a stream that begins here.

    Without it a worker may bring what another one committed just before, as the change of stock by an order.
    """
    return {"Last-Event-ID": str(get(server, "/v1/inventory?limit=1")["lastEventId"])}


def authorization(user_id: str) -> dict[str, str]:
    """Return the header that makes a request this user's."""
    token, _ = bearer.issue(SECRET, user_id, "", Scope, time.time_ns() // 1000)
    return {"Authorization": f"Bearer {token}"}


RECOMMENDATIONS = recommendations()
STAFF = authorization(read_catalogue().staff[0].id)

_stocks = count(100_000)

JSON = {"Content-Type": "application/json"}


def ask(server: Server, method: str, target: str, body: object = None, headers: Mapping[str, str] | None = None) -> Exchange:
    """Send a request, read the whole answer and return it, with its connection closed. Staff are who changes the inventory."""
    content = b"" if body is None else json.dumps(body).encode()
    usual = (JSON if body is not None else {}) | (STAFF if method == "PATCH" else {})
    with Exchange(server.address, target, {**usual, **(headers or {})}, method=method, content=content) as exchange:
        return exchange.read_to_end()


def get(server: Server, target: str) -> Any:
    """Return the JSON at `target`."""
    answer = ask(server, "GET", target)
    assert answer.status == 200, answer.body
    return answer.json()


def place(server: Server, pet_id: str = BUDDY, quantity: int = 1) -> dict[str, Any]:
    """Place an order and return it."""
    answer = ask(server, "POST", "/v1/orders", {"petId": pet_id, "quantity": quantity})
    assert answer.status == 201, answer.body
    order: dict[str, Any] = answer.json()
    return order


def pay(server: Server, order: Mapping[str, Any]) -> None:
    """Pay an order."""
    answer = ask(server, "POST", order["links"]["payment"])
    assert answer.status == 201, answer.body


def cancel(server: Server, order: Mapping[str, Any]) -> None:
    """Cancel an order."""
    answer = ask(server, "DELETE", order["links"]["self"])
    assert answer.status == 204, answer.body


def change(server: Server, pet_id: str = BUDDY, **change: object) -> None:
    """Set a pet's `stock` or `price`."""
    answer = ask(server, "PATCH", f"/v1/inventory/{pet_id}", change)
    assert answer.status == 200, answer.body


def change_many(server: Server, changes: list[dict[str, object]]) -> None:
    """Change many pets in one transaction."""
    answer = ask(server, "PATCH", "/v1/inventory", {"changes": changes})
    assert answer.status == 200, answer.body


def new_stock() -> int:
    """Return a stock that no pet has had before, so that setting it is always a change."""
    return next(_stocks)


def stock_of(server: Server, pet_id: str = BUDDY) -> int:
    """Return how many of a pet there are."""
    stock: int = get(server, f"/v1/pets/{pet_id}")["stock"]
    return stock


def data(event: Received) -> Any:
    """Return an event's data."""
    return json.loads(event.data)
