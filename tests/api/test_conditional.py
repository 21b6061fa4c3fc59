"""Conditional requests: what a client has isn't sent again, and what it hasn't seen isn't overwritten."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from petstore.shop import Change, Profile, Shop, change_inventory, register_customer, remove_customer
from petstore.sse import EventLog
from tests.api.conftest import STAFF, signed_in

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
PET, ITEM = f"/v1/pets/{BUDDY}", f"/v1/inventory/{BUDDY}"
WHOLE = {"name": "Biscuit", "species": "DOG", "ageMonths": 18, "price": "199.99"}

State = Callable[[], object]


@pytest.fixture
def order(staff: FlaskClient) -> str:
    link: str = staff.post("/v1/orders", json={"petId": BUDDY}).get_json()["links"]["self"]
    return link


def version(client: FlaskClient, path: str) -> str:
    return str(client.get(path).headers["ETag"])


def test_no_cache_keeps_links_that_expire(staff: FlaskClient, order: str):
    for path in (order, "/v1/orders", f"/v1/users/{STAFF}"):
        assert staff.get(path).headers["Cache-Control"] == "no-store"
    assert staff.get(order, headers={"If-None-Match": "*"}).headers["Cache-Control"] == "no-store"
    assert "Cache-Control" not in staff.get(PET).headers
    assert staff.head(f"{order}/status/stream").headers["Cache-Control"] == "no-cache, no-transform"


@pytest.mark.parametrize("path", [PET, ITEM])
def test_what_the_client_has_is_not_sent_again_until_it_changes(staff: FlaskClient, path: str):
    tag = version(staff, path)
    for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        response = staff.get(path, headers={"If-None-Match": header})
        assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", tag)
    assert staff.head(path, headers={"If-None-Match": tag}).status_code == 304
    assert staff.patch(ITEM, json={"stock": 3}).status_code == 200
    changed = staff.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] not in (tag, None)


def test_an_order_whose_customer_has_left_is_another_version(app: Flask, staff: FlaskClient, log: EventLog):
    customer = register_customer(Shop(log), Profile(username="ada.l", email="ada@example.com"), "none").id
    theirs = signed_in(app, customer).post("/v1/orders", json={"petId": BUDDY}).get_json()
    order = f"/v1/orders/{theirs['id']}"
    tag = version(staff, order)
    remove_customer(Shop(log), customer)
    changed = staff.get(order, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.get_json()["userId"]) == (200, None)


def test_an_order_has_a_version_for_every_step_of_its_life(staff: FlaskClient, order: str, log: EventLog):
    tags = [version(staff, order)]
    body = staff.get(order).get_json()
    change_inventory(Shop(log), [Change(BUDDY, stock=77)])  # Not the order's business, though the log goes on.
    assert staff.get(order, headers={"If-None-Match": tags[0]}).status_code == 304
    assert staff.get(order).get_json()["lastEventId"] == body["lastEventId"]
    staff.post(f"{order}/payment")
    tags.append(version(staff, order))
    staff.delete(order)
    tags.append(version(staff, order))
    assert len(set(tags)) == 3


@pytest.mark.parametrize("given", ['"1"', "W/", "nonsense", '""', '"1", "2"'])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", PET, WHOLE),
        ("PATCH", PET, {"stock": 9}),
        ("DELETE", PET, None),
        ("PATCH", ITEM, {"stock": 9}),
        ("DELETE", "order", None),
    ],
)
def test_another_version_than_the_one_that_is_there_is_a_failed_precondition_and_changes_nothing(
    staff: FlaskClient, order: str, state: State, method: str, path: str, body: object, given: str
):
    path = order if path == "order" else path
    before = state()
    response = staff.open(path, method=method, json=body, headers={"If-Match": given})
    assert (response.status_code, response.mimetype) == (412, "application/problem+json")
    assert state() == before
    weak = "W/" + version(staff, path)
    assert staff.open(path, method=method, json=body, headers={"If-Match": weak}).status_code == 412
    assert state() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PUT", PET, WHOLE), ("PATCH", PET, {"stock": 9}), ("DELETE", PET, None), ("PATCH", ITEM, {"price": 9})],
)
@pytest.mark.parametrize("given", [None, "*"])
def test_the_version_that_is_there_may_be_changed_once(staff: FlaskClient, method: str, path: str, body: object, given: str | None):
    tag = given or version(staff, path)
    response = staff.open(path, method=method, json=body, headers={"If-Match": tag})
    assert response.status_code in (200, 204)
    if given is None:
        assert staff.open(path, method=method, json=body, headers={"If-Match": tag}).status_code in (404, 412)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PUT", PET, WHOLE), ("PATCH", PET, {"stock": 9}), ("DELETE", PET, None), ("PATCH", ITEM, {"price": 9})],
)
def test_what_may_only_be_made_if_it_is_not_there_changes_nothing(
    staff: FlaskClient, state: State, method: str, path: str, body: object
):
    before = state()
    for given in ("*", version(staff, path), "W/" + version(staff, path)):
        assert staff.open(path, method=method, json=body, headers={"If-None-Match": given}).status_code == 412
    assert state() == before
    assert staff.open(path, method=method, json=body, headers={"If-None-Match": '"1"'}).status_code in (200, 204)


def test_what_does_not_exist_is_not_found_whatever_is_expected_of_it(staff: FlaskClient):
    nobody = PET.replace("e295", "0000")
    assert staff.put(nobody, json=WHOLE, headers={"If-Match": "*"}).status_code == 404


def test_no_update_is_lost_with_eight_writers_at_once(make_app: Callable[..., Flask]):
    """Each reads the stock, adds one, and writes it if nobody else has; four workers' worth of connections."""
    app = make_app()
    again = [0] * 8

    def add(number: int) -> None:
        staff = signed_in(app, STAFF)
        added = 0
        while added < 10:
            read = staff.get(PET)
            body: dict[str, Any] = {"stock": read.get_json()["stock"] + 1}
            written = staff.patch(PET, json=body, headers={"If-Match": read.headers["ETag"]})
            assert written.status_code in (200, 412), written.text
            added += written.status_code == 200
            again[number] += written.status_code == 412

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert app.test_client().get(PET).get_json()["stock"] == 4 + 80
    assert sum(again) > 0, "they never met, so this has shown nothing"


def test_parts_of_a_pet_that_are_changed_at_once_are_all_changed(make_app: Callable[..., Flask]):
    """Without If-Match each merge patch is still one transaction: it never puts back what another has just changed."""
    app = make_app()
    parts = {"breed": "b", "color": "c", "description": "d", "name": "n"}

    def write(member: str) -> None:
        staff = signed_in(app, STAFF)
        for number in range(15):
            assert staff.patch(PET, json={member: f"{parts[member]}{number}"}).status_code == 200

    threads = [threading.Thread(target=write, args=(member,)) for member in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pet = app.test_client().get(PET).get_json()
    assert {member: pet[member] for member in parts} == {member: f"{start}14" for member, start in parts.items()}


@pytest.mark.parametrize("given", ['"', ",", "", " "])
def test_a_condition_that_names_no_version_is_not_met(staff: FlaskClient, state: Callable[[], object], given: str):
    before = state()
    response = staff.patch(f"/v1/inventory/{BUDDY}", json={"stock": 3}, headers={"If-Match": given})
    assert response.status_code == 412
    assert state() == before
