"""Staff add, replace, change and delete pets over HTTP, and what that does to stock and prices is told."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient

from petstore.sse import EventLog

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
NOBODY = "019b4127-0000-7000-8000-000000000000"
LEAST = {"name": "Biscuit", "species": "DOG", "ageMonths": 18, "price": "199.99"}

State = Callable[[], object]


def told(log: EventLog, after: int) -> list[tuple[str, Mapping[str, Any]]]:
    return [(event.type, event.value()) for event in log.read(["inventory"], after, 100)]


def test_a_pet_with_the_least_that_is_needed_is_one_for_sale(staff: FlaskClient, log: EventLog):
    head = log.head()
    response = staff.post("/v1/pets", json=LEAST)
    pet = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v1/pets/{pet['id']}"
    assert staff.get(response.headers["Location"]).get_json() == pet
    assert (pet["stock"], pet["status"], pet["currency"], pet["photos"], pet["tenantId"]) == (1, "AVAILABLE", "USD", [], None)
    assert told(log, head) == [
        ("stock-change", {"petId": pet["id"], "oldStock": 0, "newStock": 1}),
        ("price-change", {"petId": pet["id"], "oldPrice": 0.0, "newPrice": 199.99}),
    ]
    assert staff.post("/v1/orders", json={"petId": pet["id"]}).status_code == 201


def test_everything_that_is_said_of_a_pet_is_kept(staff: FlaskClient):
    whole = LEAST | {
        "breed": "Beagle",
        "size": "SMALL",
        "color": "lemon",
        "gender": "MALE",
        "goodWithKids": True,
        "currency": "EUR",
        "stock": 0,
        "temperament": ["curious", "loud"],
        "description": "One line.\nAnother.",
        "status": "PENDING",
        "medicalInfo": {
            "spayedNeutered": True,
            "vaccinated": True,
            "microchipped": False,
            "specialNeeds": True,
            "healthNotes": "a limp",
        },
    }
    pet = staff.post("/v1/pets", json=whole).get_json()
    assert {name: pet[name] for name in whole} == whole


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"stock": 0}, "NOT_AVAILABLE"),
        ({"stock": 0, "status": "AVAILABLE"}, "NOT_AVAILABLE"),
        ({"stock": 2, "status": "NOT_AVAILABLE"}, "NOT_AVAILABLE"),
        ({"stock": 2, "status": "ADOPTED"}, "ADOPTED"),
    ],
)
def test_what_is_not_there_is_not_for_sale_and_what_staff_keep_back_neither(staff: FlaskClient, given: dict[str, Any], status: str):
    assert staff.post("/v1/pets", json=LEAST | given).get_json()["status"] == status


def test_replacing_sets_everything_but_the_stock_that_is_not_mentioned(staff: FlaskClient, log: EventLog):
    head = log.head()
    response = staff.put(f"/v1/pets/{BUDDY}", json=LEAST | {"price": "149.00"})
    pet = response.get_json()
    assert response.status_code == 200
    assert (pet["name"], pet["breed"], pet["description"], pet["temperament"]) == ("Biscuit", "", "", [])
    assert (pet["stock"], pet["status"], pet["price"]) == (4, "AVAILABLE", "149.00")
    assert staff.get(f"/v1/pets/{BUDDY}").get_json() == pet
    assert told(log, head) == [("price-change", {"petId": BUDDY, "oldPrice": 299.99, "newPrice": 149.0})]


def test_what_was_read_may_be_sent_back_as_it_is_and_changes_nothing(staff: FlaskClient, state: State):
    before, read = state(), staff.get(f"/v1/pets/{BUDDY}")
    written = staff.put(f"/v1/pets/{BUDDY}", json=read.get_json())
    assert (written.status_code, written.get_json()) == (200, read.get_json())
    assert written.headers["ETag"] == read.headers["ETag"]
    assert state() == before


def test_a_merge_patch_changes_what_it_names_and_null_takes_away(staff: FlaskClient, log: EventLog):
    head, before = log.head(), staff.get(f"/v1/pets/{BUDDY}").get_json()
    patch = {"price": 19.5, "description": None, "medicalInfo": {"healthNotes": "sneezes", "vaccinated": None}}
    response = staff.patch(f"/v1/pets/{BUDDY}", json=patch, content_type="application/merge-patch+json")
    pet = response.get_json()
    assert response.status_code == 200
    medical = before["medicalInfo"] | {"healthNotes": "sneezes", "vaccinated": False}
    expected = before | {"price": "19.50", "description": "", "medicalInfo": medical, "updatedAt": pet["updatedAt"]}
    assert pet == expected
    assert told(log, head) == [("price-change", {"petId": BUDDY, "oldPrice": 299.99, "newPrice": 19.5})]


def test_stock_moves_the_status_in_a_patch_as_it_does_in_the_inventory(staff: FlaskClient, log: EventLog):
    head = log.head()
    assert staff.patch(f"/v1/pets/{BUDDY}", json={"stock": 0}).get_json()["status"] == "NOT_AVAILABLE"
    assert staff.patch(f"/v1/pets/{BUDDY}", json={"stock": 2}).get_json()["status"] == "AVAILABLE"
    assert staff.patch(f"/v1/pets/{BUDDY}", json={"status": "ADOPTED"}).get_json()["stock"] == 2
    assert [data for _, data in told(log, head)] == [
        {"petId": BUDDY, "oldStock": 4, "newStock": 0},
        {"petId": BUDDY, "oldStock": 0, "newStock": 2},
    ]


def test_a_patch_leaves_the_stock_alone_even_where_more_was_put_back_than_anybody_may_set(staff: FlaskClient):
    order = staff.post("/v1/orders", json={"petId": BUDDY}).get_json()
    staff.patch(f"/v1/inventory/{BUDDY}", json={"stock": 1_000_000})
    assert staff.delete(order["links"]["self"]).status_code == 204
    patched = staff.patch(f"/v1/pets/{BUDDY}", json={"name": "Old Buddy"})
    assert (patched.status_code, patched.get_json()["stock"]) == (200, 1_000_001)
    assert staff.patch(f"/v1/pets/{BUDDY}", json={"stock": None}).get_json()["stock"] == 1_000_001


def test_a_deleted_pet_is_gone_everywhere_and_its_orders_go_on(staff: FlaskClient, log: EventLog):
    order = staff.post("/v1/orders", json={"petId": BUDDY}).get_json()
    head, total = log.head(), staff.get("/v1/inventory").get_json()["summary"]["total"]
    assert staff.delete(f"/v1/pets/{BUDDY}").status_code == 204
    assert told(log, head) == [("stock-change", {"petId": BUDDY, "oldStock": 3, "newStock": 0})]
    for method, path in [("GET", "/v1/pets/"), ("DELETE", "/v1/pets/"), ("GET", "/v1/inventory/")]:
        assert staff.open(path + BUDDY, method=method).status_code == 404
    assert staff.put(f"/v1/pets/{BUDDY}", json=LEAST).status_code == 404
    assert staff.patch(f"/v1/inventory/{BUDDY}", json={"stock": 1}).status_code == 404
    inventory = staff.get("/v1/inventory").get_json()
    assert inventory["summary"]["total"] == total - 1 == len(inventory["data"])
    assert staff.get(order["links"]["self"]).get_json()["petId"] == BUDDY
    head = log.head()
    assert staff.delete(order["links"]["self"]).status_code == 204
    assert told(log, head) == []


def test_a_deleted_pet_cannot_be_ordered_and_nothing_is_changed(staff: FlaskClient, state: State):
    for ordered_before in (True, False):
        pet = staff.post("/v1/pets", json=LEAST | {"stock": 5}).get_json()["id"]
        if ordered_before:
            staff.post("/v1/orders", json={"petId": pet})
        staff.delete(f"/v1/pets/{pet}")
        before = state()
        response = staff.post("/v1/orders", json={"petId": pet})
        assert (response.status_code, response.get_json()["detail"]) == (404, f"there is no pet {pet}")
        assert state() == before


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PUT", f"/{BUDDY}"), ("PATCH", f"/{BUDDY}")])
@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"name": ""}, "name", "out_of_range"),
        ({"name": "x" * 51}, "name", "out_of_range"),
        ({"name": "two\nlines"}, "name", "invalid_format"),
        ({"name": "nul\x00"}, "name", "invalid_format"),
        ({"name": 7}, "name", "invalid_type"),
        ({"species": "FISH"}, "species", "invalid_format"),
        ({"species": "dog"}, "species", "invalid_format"),
        ({"size": "HUGE"}, "size", "invalid_format"),
        ({"status": "SOLD"}, "status", "invalid_format"),
        ({"ageMonths": -1}, "ageMonths", "out_of_range"),
        ({"ageMonths": 2401}, "ageMonths", "out_of_range"),
        ({"ageMonths": "18"}, "ageMonths", "invalid_type"),
        ({"stock": -1}, "stock", "out_of_range"),
        ({"stock": 1.5}, "stock", "invalid_type"),
        ({"price": "19.999"}, "price", "invalid_format"),
        ({"price": 19.999}, "price", "invalid_format"),
        ({"price": "-1"}, "price", "invalid_format"),
        ({"price": 0}, "price", "out_of_range"),
        ({"currency": "usd"}, "currency", "invalid_format"),
        ({"goodWithKids": "yes"}, "goodWithKids", "invalid_type"),
        ({"temperament": ["x"] * 21}, "temperament", "out_of_range"),
        ({"temperament": [""]}, "temperament.0", "out_of_range"),
        ({"description": "x" * 2001}, "description", "out_of_range"),
        ({"medicalInfo": {"rabies": True}}, "medicalInfo.rabies", "unknown_field"),
        ({"medicalInfo": []}, "medicalInfo", "invalid_type"),
        ({"colour": "red"}, "colour", "unknown_field"),
    ],
)
def test_a_pet_out_of_rules_is_refused_with_the_field_that_is_wrong(
    staff: FlaskClient, state: State, method: str, path: str, wrong: dict[str, Any], field: str, code: str
):
    before = state()
    response = staff.open(f"/v1/pets{path}", method=method, json=wrong if method == "PATCH" else LEAST | wrong)
    assert response.status_code == 422, response.text
    assert [(error["field"], error["code"]) for error in response.get_json()["errors"]] == [(field, code)]
    assert state() == before


def test_what_is_needed_can_neither_be_left_out_nor_taken_away(staff: FlaskClient, state: State):
    before = state()
    response = staff.post("/v1/pets", json={})
    assert [error["field"] for error in response.get_json()["errors"]] == ["name", "species", "ageMonths", "price"]
    # What is wrong in any version is said whichever version is meant.
    response = staff.patch(f"/v1/pets/{BUDDY}", json={"name": None, "price": None}, headers={"If-Match": '"1"'})
    assert response.status_code == 422
    assert [(error["field"], error["code"]) for error in response.get_json()["errors"]] == [
        ("name", "invalid_type"),
        ("price", "invalid_type"),
    ]
    assert state() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/pets", LEAST),
        ("PUT", f"/v1/pets/{BUDDY}", LEAST),
        ("PATCH", f"/v1/pets/{BUDDY}", {"stock": 1}),
        ("DELETE", f"/v1/pets/{BUDDY}", None),
        ("POST", f"/v1/pets/{BUDDY}/images", None),
        ("PATCH", f"/v1/inventory/{BUDDY}", {"stock": 1}),
        ("PATCH", "/v1/inventory", {"changes": [{"petId": BUDDY, "stock": 1}]}),
    ],
)
def test_only_staff_change_what_the_shop_sells(
    client: FlaskClient, customer: FlaskClient, state: State, method: str, path: str, body: object
):
    before = state()
    assert client.open(path, method=method, json=body).status_code == 401
    assert customer.open(path, method=method, json=body).status_code == 403
    assert state() == before


def test_an_unknown_pet_is_neither_replaced_nor_changed_nor_deleted(staff: FlaskClient, state: State):
    before = state()
    assert staff.put(f"/v1/pets/{NOBODY}", json=LEAST).status_code == 404
    assert staff.patch(f"/v1/pets/{NOBODY}", json={"stock": 1}).status_code == 404
    assert staff.delete(f"/v1/pets/{NOBODY}").status_code == 404
    assert state() == before
