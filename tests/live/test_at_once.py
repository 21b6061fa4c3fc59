"""Requests at once, on real workers: what is repeated happens once, what would overwrite another's change doesn't, and a new
tenant's shop is made once."""

import json
import threading
from collections.abc import Callable
from typing import Any

from tests.live.client import Exchange
from tests.live.conftest import Start
from tests.live.server import Server
from tests.live.shop import BUDDY, STAFF, ask, data, get, place, stock_of

TENANT = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01"


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Return what `work` returns for each number, run in threads that start together."""
    found: list[Any] = [None] * count
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        found[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_request_that_is_repeated_at_once_by_both_workers_happens_once(shop: Server):
    before = stock_of(shop)
    body = {"petId": BUDDY, "quantity": 2}
    answers = at_once(
        20, lambda _: ask(shop, "POST", "/v1/orders", body, {"Idempotency-Key": "0b8a2c56-3d0e-4f4c-9d0a-6c1f0e5b7a91"})
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert sum(answer.header("Idempotency-Replayed") is None for answer in answers) == 1
    assert stock_of(shop) == before - 2
    order = answers[0].json()
    payments = at_once(
        8, lambda _: ask(shop, "POST", order["links"]["payment"], {}, {"Idempotency-Key": "0b8a2c56-3d0e-4f4c-9d0a-6c1f0e5b7a92"})
    )
    assert {(answer.status, answer.body) for answer in payments} == {(201, payments[0].body)}


def test_of_writers_that_saw_the_same_version_one_writes(shop: Server):
    path = f"/v1/inventory/{BUDDY}"
    for first in range(5_000, 5_050, 10):
        version = {"If-Match": str(ask(shop, "GET", path).header("ETag"))}

        def write(number: int, first: int = first, version: dict[str, str] = version) -> Exchange:
            return ask(shop, "PATCH", path, {"stock": first + number}, version)

        answers = at_once(6, write)
        assert sorted(answer.status for answer in answers) == [200, 412, 412, 412, 412, 412]
        winner = next(answer for answer in answers if answer.status == 200)
        assert ask(shop, "GET", path).json() == winner.json()


def test_an_order_can_be_read_cancelled_and_searched_for_through_a_transaction_of_a_worker(shop: Server):
    """What runs in a database thread of a gevent worker, and looks at the request from there."""
    order = place(shop)
    link = order["links"]["self"]
    tag = ask(shop, "GET", link).header("ETag")
    assert ask(shop, "DELETE", link, headers={"If-Match": '"1"'}).status == 412
    assert ask(shop, "DELETE", link, headers={"If-Match": str(tag)}).status == 204
    pet = {"name": "Biscuit", "species": "DOG", "ageMonths": 18, "price": "1.00", "status": "PENDING"}
    added = ask(shop, "POST", "/v1/pets", pet, STAFF | {"Idempotency-Key": "add-biscuit"})
    assert added.status == 201, added.body
    assert added.header("Location") == f"/v1/pets/{added.json()['id']}"
    found = ask(shop, "QUERY", "/v1/pets", {"criteria": {"status": "PENDING"}}).json()
    assert added.json() in found["data"]
    assert ask(shop, "DELETE", added.header("Location") or "", headers=STAFF).status == 204


def test_a_tenant_s_shop_is_made_once_and_its_stream_tells_of_it_alone(start: Start):
    server = start(PETSTORE_DEMO=1)
    pages = at_once(12, lambda _: get(server, f"/v1/inventory?tenantId={TENANT}"))
    assert {page["summary"]["total"] for page in pages} == {72}
    with Exchange(server.address, f"/v1/stream?topics=inventory&tenantId={TENANT}") as stream:
        token = ask(
            server, "POST", f"/v1/auth/tokens?tenantId={TENANT}", {"username": "keeper.jo", "password": "petstore-demo"}
        ).json()
        headers = {"Authorization": f"Bearer {token['token']}", "X-Tenant-ID": TENANT}
        for stock in (501, 502):
            assert ask(server, "PATCH", f"/v1/inventory/{BUDDY}", {"stock": stock}, headers).status == 200
        # The demo's shoppers and its clerk are at work in the shared shop all the while.
        events = [data(event) for event in stream.read_events(2)]
    assert [(event["topic"], event["newStock"]) for event in events] == [("inventory", 501), ("inventory", 502)]
    assert json.dumps(events).count(TENANT) == 0
