"""A POST that is sent again with its Idempotency-Key creates nothing more, and is answered as it was."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from petstore.shop.idempotency import KEPT, REMOVALS, keys
from petstore.shop.orders import orders
from petstore.sse import EventLog
from tests.api.conftest import CUSTOMER, STAFF, authorization, signed_in

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
TENANT = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01"
UUID = "0b8a2c56-3d0e-4f4c-9d0a-6c1f0e5b7a91"
ORDER = {"petId": BUDDY}
PET = {"name": "Biscuit", "species": "DOG", "ageMonths": 18, "price": "199.99"}

State = Callable[[], object]


def key(text: str = "a-key") -> dict[str, str]:
    """Return a key that everybody may use: it contains a UUID."""
    return {"Idempotency-Key": f"{text} {UUID}".replace(" ", "-")}


def count_orders(log: EventLog) -> int:
    return log.query(lambda connection: connection.execute(select(func.count()).select_from(orders)).scalar_one())


@pytest.mark.parametrize(("path", "body"), [("/v1/orders", ORDER), ("/v1/pets", PET)])
def test_the_same_request_again_is_answered_as_before_and_changes_nothing(
    staff: FlaskClient, state: State, path: str, body: dict[str, Any]
):
    first = staff.post(path, json=body, headers=key())
    before = state()
    again = staff.post(path, json=body, headers=key())
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    for name in ("Location", "ETag", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert (first.headers.get("Idempotency-Replayed"), again.headers.get("Idempotency-Replayed")) == (None, "true")
    assert state() == before


def test_a_payment_is_made_once(client: FlaskClient, state: State):
    order = client.post("/v1/orders", json=ORDER).get_json()
    first = client.post(order["links"]["payment"], headers=key())
    before = state()
    again = client.post(order["links"]["payment"], headers=key())
    assert (first.status_code, again.status_code, again.data) == (201, 201, first.data)
    assert state() == before


def test_a_payment_is_told_again_to_nobody_who_may_not_see_its_order(client: FlaskClient):
    links = client.post("/v1/orders", json={"petId": BUDDY}).get_json()["links"]
    assert client.post(links["payment"], headers=key()).status_code == 201
    stranger = client.post(links["payment"].partition("?")[0], headers=key())
    assert stranger.status_code == 404
    assert "token" not in stranger.text


def test_a_payment_that_was_declined_is_declined_again_and_another_key_tries_anew(client: FlaskClient, state: State):
    order = client.post("/v1/orders", json=ORDER).get_json()
    card = {"object": "card", "name": "A", "number": "4000000000000002", "cvc": "123", "expMonth": 1, "expYear": 2099}
    body = {"amount": order["totalAmount"], "currency": "USD", "source": card}
    first = client.post(order["links"]["payment"], json=body, headers=key())
    before = state()
    again = client.post(order["links"]["payment"], json=body, headers=key())
    assert (first.status_code, again.status_code, again.data) == (402, 402, first.data)
    assert again.mimetype == "application/problem+json"
    assert state() == before
    assert client.post(order["links"]["payment"], headers=key("another")).status_code == 201


def test_without_a_key_each_request_is_its_own(client: FlaskClient, log: EventLog):
    before = count_orders(log)
    ids = {client.post("/v1/orders", json=ORDER).get_json()["id"] for _ in range(3)}
    assert len(ids) == 3 == count_orders(log) - before


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/orders", ORDER | {"quantity": 2}), ("/v1/pets", PET), ("/v1/orders", {"petId": BUDDY.replace("e", "f")})],
)
def test_a_key_that_was_used_for_something_else_is_refused_and_nothing_is_changed(
    staff: FlaskClient, state: State, path: str, body: dict[str, Any]
):
    assert staff.post("/v1/orders", json=ORDER, headers=key()).status_code == 201
    before = state()
    response = staff.post(path, json=body, headers=key())
    assert (response.status_code, response.get_json()["type"]) == (422, "https://petstoreapi.com/errors/validation-error")
    assert state() == before


def test_how_a_body_is_written_does_not_matter_but_what_it_says(client: FlaskClient, log: EventLog):
    first = client.post("/v1/orders", json=ORDER, headers=key())
    text = f'{{ "quantity": 1,\n"petId": "{BUDDY.upper()}" }}'
    again = client.post("/v1/orders", data=text, content_type="application/json", headers=key())
    assert (again.status_code, again.data) == (201, first.data)


def test_a_request_that_failed_leaves_no_key_and_may_be_tried_again(staff: FlaskClient, state: State):
    staff.patch(f"/v1/inventory/{BUDDY}", json={"stock": 0})
    before = state()
    assert staff.post("/v1/orders", json=ORDER, headers=key()).status_code == 409
    assert staff.post("/v1/orders", json={}, headers=key()).status_code == 422
    assert state() == before
    staff.patch(f"/v1/inventory/{BUDDY}", json={"stock": 1})
    assert staff.post("/v1/orders", json=ORDER, headers=key()).status_code == 201


def test_nobody_is_answered_with_another_s_order(make_app: Callable[..., Flask]):
    app = make_app(demo=True)
    answers = [
        signed_in(app, CUSTOMER).post("/v1/orders", json=ORDER, headers=key()),
        signed_in(app, STAFF).post("/v1/orders", json=ORDER, headers=key()),
        app.test_client().post("/v1/orders", json=ORDER, headers=key()),
        app.test_client().post("/v1/orders", json=ORDER, headers=key(), environ_base={"REMOTE_ADDR": "192.0.2.7"}),
        app.test_client().post("/v1/orders", json=ORDER, headers=key() | {"X-Tenant-ID": TENANT}),
        app.test_client().post("/v1/orders", json=ORDER, headers=key() | {"X-Tenant-ID": TENANT} | authorization(CUSTOMER, TENANT)),
    ]
    assert [answer.status_code for answer in answers] == [201] * 6, [answer.text for answer in answers]
    assert len({answer.get_json()["id"] for answer in answers}) == 6


@pytest.mark.parametrize("text", ["", " ", "two words", "x" * 256, "é"])
def test_a_key_is_short_and_visible(client: FlaskClient, state: State, text: str):
    before = state()
    response = client.post("/v1/orders", json=ORDER, headers={"Idempotency-Key": text})
    assert response.status_code == 400
    assert [error["field"] for error in response.get_json()["errors"]] == ["Idempotency-Key"]
    assert state() == before


GUESSABLE = ["1", "checkout", "order-2026-11-23-0001", UUID[:-1], "x" * 36]


@pytest.mark.parametrize("text", GUESSABLE)
def test_a_guest_s_key_is_one_that_no_other_guest_of_the_address_has(make_app: Callable[..., Flask], state: State, text: str):
    app = make_app(demo=True)
    before = state()
    for path, body in (
        ("/v1/orders", ORDER),
        ("/v1/users", {"username": "ada.l", "email": "ada@example.com", "password": "a long sentence is best"}),
        ("/v1/runs", {"kind": "CHAT", "messages": [{"role": "user", "content": "a quiet cat"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a quiet cat"}]}),
    ):
        response = app.test_client().post(path, json=body, headers={"Idempotency-Key": text})
        assert response.status_code == 400, response.text
        assert [error["field"] for error in response.get_json()["errors"]] == ["Idempotency-Key"]
    assert state() == before
    assert signed_in(app, CUSTOMER).post("/v1/orders", json=ORDER, headers={"Idempotency-Key": text}).status_code == 201


@pytest.mark.parametrize("text", [UUID, UUID.upper(), UUID.replace("-", ""), f"stainless-python-retry-{UUID}"])
def test_a_guest_s_key_is_a_uuid_in_any_guise(client: FlaskClient, text: str):
    first, again = (client.post("/v1/orders", json=ORDER, headers={"Idempotency-Key": text}) for _ in range(2))
    assert (first.status_code, again.status_code, again.data) == (201, 201, first.data)


def test_a_key_is_forgotten_after_a_day_and_not_before(client: FlaskClient, log: EventLog):
    def age(microseconds: int) -> None:
        older = update(keys).values(created_at=keys.c.created_at - microseconds)
        log.write(lambda transaction: transaction.connection.execute(older))

    first = client.post("/v1/orders", json=ORDER, headers=key()).get_json()
    age(KEPT - 60_000_000)
    assert client.post("/v1/orders", json=ORDER, headers=key()).get_json()["id"] == first["id"]
    age(120_000_000)
    assert client.post("/v1/orders", json=ORDER, headers=key()).get_json()["id"] != first["id"]


def test_old_keys_go_away_a_few_at_a_time(client: FlaskClient, log: EventLog):
    old = [
        {"tenant": "", "caller": "user x", "key": str(number), "fingerprint": "", "answer": "", "created_at": number}
        for number in range(REMOVALS + 50)
    ]
    log.write(lambda transaction: transaction.connection.execute(keys.insert(), old))

    def kept() -> int:
        return log.query(lambda connection: connection.execute(select(func.count()).select_from(keys)).scalar_one())

    client.post("/v1/orders", json=ORDER, headers=key("1"))
    assert kept() == 51
    client.post("/v1/orders", json=ORDER, headers=key("2"))
    assert kept() == 2


def test_repeats_at_once_in_several_workers_create_one(make_app: Callable[..., Flask], app: Flask, log: EventLog):
    """Each thread has an application of its own on the same database, as each worker has."""
    before = count_orders(log)
    others = [make_app(database=app) for _ in range(3)]
    answers: list[tuple[int, bytes]] = []
    start = threading.Barrier(8)

    def post(own: Flask) -> None:
        client = own.test_client()
        start.wait()
        for number in range(5):
            answer = client.post(
                "/v1/orders", json={"petId": "019b4132-70aa-764f-b315-e2803d882a24"}, headers=key(f"at-once-{number // 2}")
            )
            answers.append((answer.status_code, answer.data))

    threads = [threading.Thread(target=post, args=(own,)) for own in [app, *others] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 40
    assert {status for status, _ in answers} == {201}
    assert len({content for _, content in answers}) == 3 == count_orders(log) - before
