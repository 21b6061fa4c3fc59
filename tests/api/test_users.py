"""Users over HTTP: opening an account, reading and changing one's own, likes, and closing it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.conftest import BUDDY, CUSTOMER, NOBODY, signed_in

FLUFFY = "019b4132-70aa-764f-b315-e2803d882a24"
ADA = {"username": "ada.l", "email": "ada@example.com", "password": "a long sentence is best"}
EMPTY = {
    "newsletter": False,
    "notifications": True,
    "species": [],
    "sizes": [],
    "temperament": [],
    "maxPrice": None,
    "goodWithKids": None,
}

State = Callable[[], object]


def open_account(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    response = client.post("/v1/users", json=ADA | changes)
    assert response.status_code == 201, response.text
    user: dict[str, Any] = response.get_json()
    return user


@pytest.fixture
def ada(app: Flask) -> FlaskClient:
    """Signed in to a new account."""
    user = open_account(app.test_client())
    client = signed_in(app, user["id"])
    client.path = user["links"]["self"]  # type: ignore[attr-defined]
    return client


def path(client: FlaskClient) -> str:
    return client.path  # type: ignore[attr-defined, no-any-return]


def test_an_account_is_opened_without_a_token_and_shows_all_but_its_password(client: FlaskClient, app: Flask):
    response = client.post("/v1/users", json=ADA | {"firstName": "Ada", "phone": "+4930123456"})
    user = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == user["links"]["self"] == f"/v1/users/{user['id']}"
    assert "password" not in response.text
    assert ADA["password"] not in response.text
    assert "argon2" not in response.text
    assert user["createdAt"] == user["updatedAt"]
    assert {name: user[name] for name in ("username", "email", "firstName", "lastName", "phone", "role", "tenantId")} == {
        "username": "ada.l",
        "email": "ada@example.com",
        "firstName": "Ada",
        "lastName": "",
        "phone": "+4930123456",
        "role": "CUSTOMER",
        "tenantId": None,
    }
    assert user["preferences"] == EMPTY
    read = signed_in(app, user["id"]).get(response.headers["Location"])
    assert {**read.get_json(), "links": 0} == {**user, "links": 0}
    assert read.headers["ETag"] == response.headers["ETag"]


def test_a_username_is_given_once(client: FlaskClient, state: State):
    open_account(client)
    before = state()
    response = client.post("/v1/users", json=ADA | {"email": "other@example.com"})
    assert response.status_code == 409
    assert response.get_json()["detail"] == "the username ada.l is taken"
    assert state() == before


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"username": "ad"}, "username", "out_of_range"),
        ({"username": "a" * 51}, "username", "out_of_range"),
        ({"username": "ada lovelace"}, "username", "invalid_format"),
        ({"username": "ada\n"}, "username", "invalid_format"),
        ({"username": "ада"}, "username", "invalid_format"),
        ({"username": None}, "username", "invalid_type"),
        ({"email": "ada"}, "email", "invalid_format"),
        ({"email": "a@b@c"}, "email", "invalid_format"),
        ({"email": "ada@example.com\x00"}, "email", "invalid_format"),
        ({"email": "a" * 60 + "@" + "b" * 200}, "email", "out_of_range"),
        ({"firstName": "x" * 81}, "firstName", "out_of_range"),
        ({"lastName": "x\r\n"}, "lastName", "invalid_format"),
        ({"phone": "0123"}, "phone", "invalid_format"),
        ({"phone": "+1234567890123456"}, "phone", "invalid_format"),
        ({"password": "short"}, "password", "out_of_range"),
        ({"password": "x" * 129}, "password", "out_of_range"),
        ({"password": None}, "password", "invalid_type"),
        ({"role": "STAFF"}, "role", "unknown_field"),
        ({"id": NOBODY}, "id", "unknown_field"),
        ({"tenantId": NOBODY}, "tenantId", "unknown_field"),
        ({"preferences": {"species": ["FISH"]}}, "preferences.species.0", "invalid_format"),
        ({"preferences": {"maxPrice": "1.999"}}, "preferences.maxPrice", "invalid_format"),
        ({"preferences": {"temperament": ["x"] * 21}}, "preferences.temperament", "out_of_range"),
        ({"preferences": {"newsletter": "yes"}}, "preferences.newsletter", "invalid_type"),
        ({"preferences": {"horoscope": "leo"}}, "preferences.horoscope", "unknown_field"),
    ],
)
def test_a_field_that_breaks_a_rule_is_named_and_opens_nothing(
    client: FlaskClient, state: State, changes: dict[str, Any], field: str, code: str
):
    before = state()
    response = client.post("/v1/users", json=ADA | changes)
    assert response.status_code == 422, response.text
    assert [(error["field"], error["code"]) for error in response.get_json()["errors"]] == [(field, code)]
    assert state() == before


def test_a_password_is_required_and_is_never_told_back(client: FlaskClient):
    response = client.post("/v1/users", json={name: ADA[name] for name in ("username", "email")})
    assert [error["field"] for error in response.get_json()["errors"]] == ["password"]
    response = client.post("/v1/users", json=ADA | {"password": "hunter2"})
    assert response.status_code == 422
    assert "hunter2" not in response.text


def test_repeated_with_an_idempotency_key_it_opens_one_account(client: FlaskClient, state: State):
    first = client.post("/v1/users", json=ADA, headers={"Idempotency-Key": "0b8a2c56-3d0e-4f4c-9d0a-6c1f0e5b7a91"})
    before = state()
    second = client.post("/v1/users", json=ADA, headers={"Idempotency-Key": "0b8a2c56-3d0e-4f4c-9d0a-6c1f0e5b7a91"})
    assert (first.status_code, first.get_json()) == (second.status_code, second.get_json())
    other = client.post(
        "/v1/users",
        json=ADA | {"password": "another sentence"},
        headers={"Idempotency-Key": "0b8a2c56-3d0e-4f4c-9d0a-6c1f0e5b7a91"},
    )
    assert other.status_code == 422
    assert state() == before


def test_a_profile_is_replaced_whole(ada: FlaskClient):
    before = ada.get(path(ada)).get_json()
    wanted = {"username": "lovelace", "email": "l@example.com", "preferences": {"species": ["CAT"], "maxPrice": "12.30"}}
    response = ada.put(path(ada), json=wanted)
    after = response.get_json()
    assert response.status_code == 200, response.text
    assert (after["username"], after["email"], after["firstName"], after["phone"]) == ("lovelace", "l@example.com", "", None)
    assert after["preferences"] == EMPTY | {"species": ["CAT"], "maxPrice": "12.30"}
    assert (after["id"], after["createdAt"], after["role"]) == (before["id"], before["createdAt"], "CUSTOMER")
    assert {**ada.get(path(ada)).get_json(), "links": 0} == {**after, "links": 0}


def test_what_was_read_can_be_sent_back_and_what_is_the_server_s_to_set_stays(ada: FlaskClient, state: State):
    shown = ada.get(path(ada)).get_json()
    back = ada.put(path(ada), json=shown | {"firstName": "Ada"})
    assert back.status_code == 200, back.text
    assert {**back.get_json(), "updatedAt": 0, "links": 0} == {**shown, "firstName": "Ada", "updatedAt": 0, "links": 0}
    forged = {"id": NOBODY, "role": "STAFF", "tenantId": NOBODY, "createdAt": "1970-01-01T00:00:00.000Z"}
    again = ada.put(path(ada), json=shown | forged).get_json()
    assert {name: again[name] for name in forged} == {name: shown[name] for name in forged}
    before = state()
    assert ada.put(path(ada), json=shown | {"likes": []}).status_code == 422
    assert state() == before


def test_a_lost_update_is_refused(ada: FlaskClient, state: State):
    etag = ada.get(path(ada)).headers["ETag"]
    new = {"username": "ada.l", "email": "new@example.com"}
    assert ada.put(path(ada), json=new, headers={"If-Match": etag}).status_code == 200
    before = state()
    for method, target, body in (
        ("PUT", path(ada), new),
        ("PUT", path(ada) + "/preferences", {}),
        ("DELETE", path(ada), None),
    ):
        response = ada.open(target, method=method, json=body, headers={"If-Match": etag})
        assert response.status_code == 412, (method, target)
    assert state() == before
    fresh = ada.get(path(ada)).headers["ETag"]
    assert ada.get(path(ada), headers={"If-None-Match": fresh}).status_code == 304
    assert ada.get(path(ada) + "/preferences", headers={"If-None-Match": etag}).status_code == 200


def test_preferences_are_read_and_replaced(ada: FlaskClient):
    assert ada.get(path(ada) + "/preferences").get_json() == EMPTY
    wanted = {"species": ["CAT", "DOG"], "sizes": ["SMALL"], "temperament": ["gentle"], "goodWithKids": True, "newsletter": True}
    response = ada.put(path(ada) + "/preferences", json=wanted)
    assert response.status_code == 200
    assert response.get_json() == ada.get(path(ada) + "/preferences").get_json() == EMPTY | wanted
    assert ada.get(path(ada)).get_json()["preferences"] == EMPTY | wanted


def test_likes_are_listed_in_the_order_in_which_they_came(ada: FlaskClient):
    likes = path(ada) + "/likes"
    assert ada.get(likes).get_json()["data"] == []
    for pet_id in (FLUFFY, BUDDY.upper(), FLUFFY):
        response = ada.put(f"{likes}/{pet_id}")
        assert (response.status_code, response.data) == (204, b"")
    page = ada.get(likes + "?limit=1").get_json()
    assert [pet["name"] for pet in page["data"]] == ["Fluffy"]
    assert page["pagination"]["totalItems"] == 2
    assert [pet["name"] for pet in ada.get(page["links"]["next"]).get_json()["data"]] == ["Buddy"]
    for _ in range(2):
        assert ada.delete(f"{likes}/{FLUFFY}").status_code == 204
    assert [pet["name"] for pet in ada.get(likes).get_json()["data"]] == ["Buddy"]


def test_a_pet_that_does_not_exist_can_not_be_liked(ada: FlaskClient, state: State):
    before = state()
    assert ada.put(f"{path(ada)}/likes/{NOBODY}").status_code == 404
    assert ada.put(f"{path(ada)}/likes/1").status_code == 400
    assert state() == before


def test_what_one_likes_changes_what_is_recommended(ada: FlaskClient):
    recommendations = ada.get(path(ada)).get_json()["links"]["recommendations"]
    before = ada.get(recommendations).get_json()["data"]
    ada.put(path(ada) + "/preferences", json={"species": ["REPTILE"]})
    after = ada.get(recommendations).get_json()["data"]
    assert before != after
    assert after[0]["reason"] == "Matches your preference for reptiles"


def test_a_closed_account_is_gone_and_its_name_is_free(ada: FlaskClient, client: FlaskClient, staff: FlaskClient):
    assert ada.delete(path(ada)).status_code == 204
    assert staff.get(path(ada)).status_code == 404
    assert client.post("/v1/auth/tokens", json={name: ADA[name] for name in ("username", "password")}).status_code == 401
    assert open_account(client)["id"] != path(ada).rpartition("/")[2]


def test_nobody_can_close_or_take_over_an_account_that_all_visitors_share(customer: FlaskClient, state: State):
    before = state()
    mine = customer.get(f"/v1/users/{CUSTOMER}").get_json()
    profile = {"username": mine["username"], "email": mine["email"]}
    assert customer.delete(f"/v1/users/{CUSTOMER}").status_code == 409
    assert customer.put(f"/v1/users/{CUSTOMER}", json=profile | {"password": "mine alone"}).status_code == 409
    assert customer.put(f"/v1/users/{CUSTOMER}", json=profile | {"username": "mine"}).status_code == 409
    assert state() == before
