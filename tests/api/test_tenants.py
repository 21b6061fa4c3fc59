"""Tenants: each has a petstore with nobody else's pets, orders and events in it, which begins as a copy of the demo shop."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from petstore.shop import copies
from petstore.sse import EventLog
from tests.api.conftest import CUSTOMER, STAFF, signed_in
from tests.api.test_image import png
from tests.api.test_images import encode

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
FLUFFY = "019b4132-70aa-764f-b315-e2803d882a24"
ONE = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01"
OTHER = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e02"
THIRD = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e03"

State = Callable[[], object]


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(demo=True)


def of(tenant: str) -> dict[str, str]:
    return {"X-Tenant-ID": tenant} if tenant else {}


def stock(client: FlaskClient, tenant: str = "") -> int:
    found: int = client.get(f"/v1/pets/{BUDDY}", headers=of(tenant)).get_json()["stock"]
    return found


def staff_of(app: Flask, tenant: str) -> FlaskClient:
    """Return a client that is staff of a tenant's shop, which has been opened."""
    client = signed_in(app, STAFF, tenant)
    assert app.test_client().get("/v1/pets", headers=of(tenant)).status_code == 200
    if tenant:
        client.environ_base["HTTP_X_TENANT_ID"] = tenant
    return client


def first_bytes(response: TestResponse, count: int = 2) -> bytes:
    """Return the beginning of a stream, and leave it."""
    pieces = (piece for piece in response.response)
    found = b"".join(bytes(next(pieces)) for _ in range(count))  # type: ignore[arg-type]
    response.close()
    return found


def test_the_streams_of_one_tenant_s_customer_take_no_place_of_another_s(make_app: Callable[..., Flask]):
    app = make_app(demo=True, max_streams_per_client=1)
    target = f"/v1/orders/{signed_in(app, CUSTOMER).post('/v1/orders', json={'petId': BUDDY}).get_json()['id']}/status/stream"
    app.test_client().get("/v1/pets", headers=of(ONE))
    there = signed_in(app, CUSTOMER, ONE)
    placed = there.post("/v1/orders", json={"petId": BUDDY}, headers=of(ONE)).get_json()
    app.extensions["petstore"].admission.take((f"user {CUSTOMER}",))
    assert signed_in(app, CUSTOMER).head(target).status_code == 503
    assert there.head(placed["links"]["statusStream"]).status_code == 200


def test_a_new_tenant_has_a_copy_of_the_demo_shop(client: FlaskClient):
    here, there = (client.get("/v1/inventory", headers=of(tenant)).get_json() for tenant in ("", ONE))
    assert there["summary"] == here["summary"]
    assert [item["petId"] for item in there["data"]] == [item["petId"] for item in here["data"]]
    assert client.get(f"/v1/pets/{BUDDY}", headers=of(ONE)).get_json()["tenantId"] == ONE
    assert client.get(f"/v1/pets/{BUDDY}").get_json()["tenantId"] is None


def test_without_the_demo_a_tenant_begins_empty(make_app: Callable[..., Flask]):
    client = make_app().test_client()
    assert client.get("/v1/pets", headers=of(ONE)).get_json()["data"] == []
    assert client.get(f"/v1/pets/{BUDDY}", headers=of(ONE)).status_code == 404
    assert client.post("/v1/orders", json={"petId": BUDDY}, headers=of(ONE)).status_code == 404


def test_what_happens_in_one_shop_happens_in_no_other(client: FlaskClient, app: Flask):
    before = stock(client), stock(client, OTHER)
    order = client.post("/v1/orders", json={"petId": BUDDY, "quantity": 3}, headers=of(ONE)).get_json()
    assert order["tenantId"] == ONE
    assert stock(client, ONE) == 1
    staff = staff_of(app, ONE)
    assert staff.patch(f"/v1/inventory/{BUDDY}", json={"price": "1.00"}).status_code == 200
    assert staff.delete("/v1/pets/019b4132-70aa-764f-b315-e2803d882a24").status_code == 204
    assert (stock(client), stock(client, OTHER)) == before
    for tenant in ("", OTHER):
        assert client.get(f"/v1/pets/{BUDDY}", headers=of(tenant)).get_json()["price"] == "299.99"
        assert client.get("/v1/pets/019b4132-70aa-764f-b315-e2803d882a24", headers=of(tenant)).status_code == 200


def test_an_order_is_reached_in_its_own_shop_alone(client: FlaskClient, app: Flask):
    placed = client.post("/v1/orders", json={"petId": BUDDY}, headers=of(ONE)).get_json()
    link = placed["links"]["self"]
    assert client.get(link).get_json()["id"] == placed["id"]
    bare = link.partition("?")[0]
    for tenant in ("", OTHER):
        staff = staff_of(app, tenant)
        assert staff.get(bare).status_code == 404
        assert staff.delete(bare).status_code == 404
        assert staff.post(f"{bare}/payment").status_code == 404
        assert staff.get(f"{bare}/status/stream").status_code == 404
    assert staff_of(app, ONE).get(bare).status_code == 200


def test_links_lead_back_to_the_tenant_s_shop_without_a_header(client: FlaskClient):
    page = client.get("/v1/pets?limit=5", headers=of(ONE)).get_json()
    assert all(f"tenantId={ONE}" in page["links"][name] for name in ("self", "next", "first", "last"))
    assert client.get(page["links"]["next"]).get_json()["data"][0]["tenantId"] == ONE
    response = client.post("/v1/orders", json={"petId": BUDDY}, headers=of(ONE))
    assert client.post(response.get_json()["links"]["payment"]).status_code == 201
    assert client.get(response.headers["Location"]).get_json()["tenantId"] == ONE


def test_the_inventory_s_events_are_its_own_shop_s_and_its_topic_is_called_inventory(
    client: FlaskClient, app: Flask, log: EventLog
):
    staffs = staff_of(app, ONE), staff_of(app, "")
    head = log.head()
    for number, staff in enumerate(staffs):
        staff.patch(f"/v1/inventory/{BUDDY}", json={"stock": 90 + number})
    for path in ("/v1/inventory/stream?", "/v1/stream?topics=inventory&"):
        here, there = (first_bytes(client.get(f"{path}lastEventId={head}{tenant}")) for tenant in (f"&tenantId={ONE}", ""))
        assert (here.count(b"stock-change"), here.count(b'"newStock":90')) == (1, 1)
        assert (there.count(b"stock-change"), there.count(b'"newStock":91')) == (1, 1)
        assert ONE.encode() not in here
    assert b'"topic":"inventory"' in here


def test_a_gap_in_a_tenant_s_stream_leads_to_its_own_snapshot(client: FlaskClient):
    stream = first_bytes(client.get(f"/v1/stream?topics=inventory&tenantId={ONE}", headers={"Last-Event-ID": "not-ours"}), 1)
    assert f'"snapshot":"/v1/inventory?tenantId={ONE}"'.encode() in stream
    assert b'"topic":"inventory"' in stream


def test_the_header_and_the_query_name_a_tenant_in_any_case(client: FlaskClient):
    client.post("/v1/orders", json={"petId": BUDDY}, headers=of(ONE))
    assert stock(client, ONE.upper()) == stock(client, ONE) == 3
    assert client.get(f"/v1/pets/{BUDDY}?tenantId={ONE}").get_json()["stock"] == 3


@pytest.mark.parametrize("wrong", ["", "1", "shared", ONE + "0", ONE[:-1], f"{ONE}/x", "../" + ONE, "'; DROP TABLE pets"])
def test_a_tenant_that_is_no_uuid_is_a_bad_request(client: FlaskClient, state: State, wrong: str):
    before = state()
    for options, name in (
        ({"headers": {"X-Tenant-ID": wrong}}, "X-Tenant-ID"),
        ({"query_string": {"tenantId": wrong}}, "tenantId"),
    ):
        for path in ("/v1/pets", "/v1/inventory/stream", f"/v1/orders/{BUDDY}"):
            response = client.get(path, **options)  # type: ignore[arg-type]
            assert response.status_code == 400
            assert [error["field"] for error in response.get_json()["errors"]] == [name]
    assert state() == before


def test_a_token_of_one_shop_is_none_in_another(client: FlaskClient, app: Flask, state: State):
    client.get("/v1/pets", headers=of(ONE))
    before = state()
    for mine, theirs in (("", ONE), (ONE, ""), (ONE, OTHER)):
        response = signed_in(app, STAFF, mine).delete(f"/v1/pets/{BUDDY}", headers=of(theirs))
        assert response.status_code == 401
    assert state() == before


def test_photos_are_their_own_shop_s(client: FlaskClient, app: Flask):
    body, content_type = encode({"file": (png(), "x")})
    staff = staff_of(app, ONE)
    response = staff.post(f"/v1/pets/{BUDDY}/images", data=body, content_type=content_type)
    url = response.headers["Location"]
    assert client.get(url).data == png()
    assert client.get(url.partition("?")[0]).status_code == 404
    assert client.get(f"/v1/pets/{BUDDY}").get_json()["photos"] == []


def test_recommendations_are_made_of_the_tenant_s_own_pets(client: FlaskClient, app: Flask):
    staff = staff_of(app, ONE)
    pets = staff.get("/v1/pets?limit=100").get_json()["data"]
    left = pets[-1]["id"]  # Neither liked nor bought.
    staff.patch("/v1/inventory", json={"changes": [{"petId": pet["id"], "stock": 0} for pet in pets if pet["id"] != left]})
    found = client.get(f"/v1/pets/recommendations?userId={CUSTOMER}&tenantId={ONE}").get_json()
    assert [pick["petId"] for pick in found["data"]] == [left]
    assert len(client.get(f"/v1/pets/recommendations?userId={CUSTOMER}").get_json()["data"]) == 10


def test_the_indexes_of_all_shops_end_with_the_worker(client: FlaskClient, app: Flask):
    before = set(threading.enumerate())
    for tenant in ("", ONE, OTHER):
        found = client.get(f"/v1/pets/recommendations?userId={CUSTOMER}", headers=of(tenant)).get_json()
        assert found["total"] == 10
    begun = {thread.name for thread in threading.enumerate() if thread not in before}
    assert begun >= {"pet index", "feed"}
    app.extensions["petstore.background"].stop()
    assert not [thread for thread in threading.enumerate() if thread not in before and thread.name in begun]
    again = client.get(f"/v1/pets/recommendations?userId={CUSTOMER}", headers=of(THIRD))
    assert (again.status_code, again.mimetype) == (503, "application/problem+json")


def test_of_many_first_requests_at_once_one_makes_the_copy(make_app: Callable[..., Flask], app: Flask, log: EventLog):
    workers = [app, *(make_app(app, demo=True) for _ in range(3))]
    start = threading.Barrier(8)
    found: list[tuple[int, Any]] = []

    def ask(own: Flask) -> None:
        client = own.test_client()
        start.wait()
        response = client.get("/v1/inventory", headers=of(OTHER))
        found.append((response.status_code, response.get_json()["summary"]["total"]))

    threads = [threading.Thread(target=ask, args=(own,)) for own in workers * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(200, 72)] * 8
    assert len(log.read([f"inventory/{OTHER}"], 0, 10)) == 1, "the example order was placed once"


def test_there_are_only_so_many_tenants(client: FlaskClient, state: State, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(copies, "MAX_COPIES", 1)
    assert client.get("/v1/pets", headers=of(ONE)).status_code == 200
    before = state()
    for method, path in (("GET", "/v1/pets"), ("POST", "/v1/orders"), ("GET", "/v1/inventory/stream")):
        body = {"petId": BUDDY} if method == "POST" else None
        response = client.open(path, method=method, json=body, headers=of(OTHER))
        assert (response.status_code, response.mimetype) == (403, "application/problem+json")
        assert "1 tenants" in response.get_json()["detail"]
    assert state() == before
    assert client.get("/v1/pets", headers=of(ONE)).status_code == 200
    assert client.get("/v1/pets").status_code == 200


def test_a_copy_that_nobody_used_for_long_makes_room_with_its_photos(
    client: FlaskClient, app: Flask, log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(copies, "MAX_COPIES", 1)
    staff = staff_of(app, ONE)
    body, content_type = encode({"file": (png(), "x")})
    assert staff.post(f"/v1/pets/{BUDDY}/images", data=body, content_type=content_type).status_code == 201
    assert client.get("/v1/pets", headers=of(OTHER)).status_code == 403
    long_ago = copies.copies.update().values(used_at=copies.copies.c.used_at - copies.KEPT_UNUSED)
    log.write(lambda transaction: transaction.connection.execute(long_ago))
    assert client.get("/v1/pets", headers=of(OTHER)).status_code == 200
    assert not (tmp_path / "images" / ONE).exists()
    assert client.get("/v1/pets", headers=of(ONE)).status_code == 403
