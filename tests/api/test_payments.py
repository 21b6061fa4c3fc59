"""Payments over HTTP: by card or bank account, masked wherever they show, declined by the numbers that decline."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from petstore.shop import Fulfilment, order_topic
from petstore.sse import EventLog

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
CARD: dict[str, Any] = {
    "object": "card",
    "name": "Ada Lovelace",
    "number": "4242424242424242",
    "cvc": "987",
    "expMonth": 12,
    "expYear": 2098,
}
ACCOUNT: dict[str, Any] = {
    "object": "bank_account",
    "accountHolderName": "Ada Lovelace",
    "accountNumber": "000123456789",
    "routingNumber": "110000000",
}
ADDRESS = {"line1": "1 Engine Road", "line2": None, "city": "London", "state": None, "postalCode": "W1", "country": "GB"}

State = Callable[[], object]


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(fulfilment_step_s=0)


@pytest.fixture
def order(client: FlaskClient) -> dict[str, Any]:
    placed: dict[str, Any] = client.post("/v1/orders", json={"petId": BUDDY}).get_json()
    return placed


def payment(order: dict[str, Any], source: dict[str, Any], /, **changed: Any) -> dict[str, Any]:
    return {"amount": order["totalAmount"], "currency": order["currency"], "source": source} | changed


def stored(log: EventLog) -> str:
    """Return everything in the database that a number could be in."""
    tables = ("payments", "orders", "events", "idempotency_keys")
    rows = log.query(lambda connection: [connection.execute(text(f"SELECT * FROM {table}")).all() for table in tables])
    return str(rows)


def told(log: EventLog, order: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(event.value()) for event in log.read([order_topic(order["id"])], 0, 10)]


def test_a_card_pays_and_only_its_last_digits_are_known_afterwards(
    client: FlaskClient, log: EventLog, order: dict[str, Any], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    body = payment(order, CARD | {"billingAddress": ADDRESS})
    response = client.post(
        order["links"]["payment"], json=body, headers={"Idempotency-Key": "0b8a2c56-3d0e-4f4c-9d0a-6c1f0e5b7a91"}
    )
    assert "cvc" not in response.text + stored(log)
    assert response.status_code == 201
    assert response.get_json()["source"] == {
        "object": "card",
        "name": "Ada Lovelace",
        "number": "************4242",
        "last4": "4242",
        "brand": "VISA",
        "expMonth": 12,
        "expYear": 2098,
        "billingAddress": ADDRESS,
    }
    for place in (response.text, stored(log), caplog.text):
        assert CARD["number"] not in place


def test_the_dearest_order_is_paid_with_what_it_costs(staff: FlaskClient, client: FlaskClient):
    staff.patch(f"/v1/inventory/{BUDDY}", json={"price": "1000000.00", "stock": 100})
    dearest = client.post("/v1/orders", json={"petId": BUDDY, "quantity": 100}).get_json()
    assert dearest["totalAmount"] == "100000000.00"
    paid = client.post(dearest["links"]["payment"], json=payment(dearest, CARD))
    assert (paid.status_code, paid.get_json()["amount"]) == (201, "100000000.00")
    assert client.post(dearest["links"]["payment"], json=payment(dearest, CARD, amount="100000000.01")).status_code == 422


def test_a_bank_account_pays_and_is_masked(client: FlaskClient, log: EventLog, order: dict[str, Any]):
    response = client.post(order["links"]["payment"], json=payment(order, ACCOUNT))
    assert response.status_code == 201
    assert response.get_json()["source"] == {
        "object": "bank_account",
        "accountHolderName": "Ada Lovelace",
        "accountNumber": "********6789",
        "last4": "6789",
        "routingNumber": "110000000",
        "accountType": "CHECKING",
        "bankName": None,
    }
    assert "000123456789" not in stored(log)


def test_the_payment_is_where_location_says_and_follows_its_order(client: FlaskClient, log: EventLog, order: dict[str, Any]):
    paid = client.post(order["links"]["payment"], json=payment(order, CARD))
    read = client.get(paid.headers["Location"]).get_json()
    assert read | {"links": None} == paid.get_json() | {"links": None}
    assert (read["status"], read["amount"], read["currency"]) == ("PROCESSING", "299.99", "USD")
    Fulfilment(log, 0).advance()
    assert client.get(paid.headers["Location"]).get_json()["status"] == "SUCCEEDED"
    assert client.get(order["links"]["self"]).get_json()["status"] == "DELIVERED"


def test_an_order_that_nobody_has_paid_has_no_payment(client: FlaskClient, order: dict[str, Any]):
    assert client.get(order["links"]["payment"]).status_code == 404


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"number": "4000000000000002"}, "the card was declined"),
        ({"number": "4000000000009995"}, "the card has insufficient funds"),
        ({"number": "4000000000000069"}, "the card has expired"),
        ({"number": "4000000000000127"}, "the card's security code is wrong"),
        ({"number": "4000000000000119"}, "the card could not be processed"),
        ({"expYear": 2024}, "the card has expired"),
    ],
)
def test_a_card_that_is_declined_leaves_the_order_to_be_paid_in_another_way(
    client: FlaskClient, log: EventLog, order: dict[str, Any], source: dict[str, Any], reason: str
):
    before = client.get(order["links"]["self"])
    response = client.post(order["links"]["payment"], json=payment(order, CARD | source))
    assert (response.status_code, response.get_json()["detail"]) == (402, reason)
    failed = client.get(order["links"]["payment"]).get_json()
    assert (failed["status"], failed["declineReason"]) == ("FAILED", reason)
    assert told(log, order) == []
    after = client.get(order["links"]["self"])
    assert after.headers["ETag"] == before.headers["ETag"]
    assert after.get_json()["status"] == "PLACED"
    assert client.post(order["links"]["payment"], json=payment(order, CARD)).status_code == 201
    assert client.get(order["links"]["payment"]).get_json()["status"] == "PROCESSING"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (CARD | {"number": "4000000000000341"}, "the card was declined after all"),
        (ACCOUNT | {"accountNumber": "000111111113"}, "the bank account is closed"),
        (ACCOUNT | {"accountNumber": "000222222227"}, "the bank account has insufficient funds"),
    ],
)
def test_a_payment_that_is_declined_while_it_is_processed_ends_the_order_and_its_stream(
    client: FlaskClient, log: EventLog, order: dict[str, Any], source: dict[str, Any], reason: str
):
    response = client.post(order["links"]["payment"], json=payment(order, source))
    assert (response.status_code, response.get_json()["status"], response.get_json()["declineReason"]) == (201, "PROCESSING", None)
    Fulfilment(log, 0).advance()
    assert [(event["status"], event.get("reason")) for event in told(log, order)] == [
        ("payment_processing", None),
        ("payment_failed", reason),
    ]
    assert client.get(order["links"]["self"]).get_json()["status"] == "CANCELLED"
    failed = client.get(order["links"]["payment"]).get_json()
    assert (failed["status"], failed["declineReason"]) == ("FAILED", reason)
    assert client.get(f"/v1/pets/{BUDDY}").get_json()["stock"] == 4
    assert client.post(order["links"]["payment"], json=payment(order, CARD)).status_code == 409


def test_cancelling_cancels_the_payment_too(client: FlaskClient, order: dict[str, Any]):
    client.post(order["links"]["payment"], json=payment(order, CARD))
    assert client.delete(order["links"]["self"]).status_code == 204
    assert client.get(order["links"]["payment"]).get_json()["status"] == "CANCELLED"


@pytest.mark.parametrize("wrong", [{"amount": "299.98"}, {"amount": 300}, {"currency": "EUR"}])
def test_what_is_paid_is_what_the_order_costs(client: FlaskClient, order: dict[str, Any], state: State, wrong: dict[str, Any]):
    before = state()
    response = client.post(order["links"]["payment"], json=payment(order, CARD, **wrong))
    assert response.status_code == 409
    assert [error["field"] for error in response.get_json()["errors"]] == ["amount"]
    assert "299.99 USD" in response.get_json()["detail"]
    assert state() == before


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        ({"amount": None}, "", "required_field"),
        ({"source": None}, "", "required_field"),
        ({"amount": "1.999"}, "amount", "invalid_format"),
        ({"amount": "-1.00"}, "amount", "invalid_format"),
        ({"currency": "dollars"}, "currency", "invalid_format"),
        ({"tip": "1.00"}, "tip", "unknown_field"),
        ({"source": {"object": "cash"}}, "source", "invalid_format"),
        ({"source": {}}, "source", "invalid_format"),
        ({"source": CARD | {"number": "4242424242424241"}}, "source.card", "invalid_format"),
        ({"source": CARD | {"number": "************4242"}}, "source.card.number", "invalid_format"),
        ({"source": CARD | {"number": "4242 4242 4242 4242"}}, "source.card.number", "invalid_format"),
        ({"source": CARD | {"number": 4242424242424242}}, "source.card.number", "invalid_type"),
        ({"source": CARD | {"number": "4" * 20}}, "source.card.number", "invalid_format"),
        ({"source": CARD | {"cvc": "12"}}, "source.card.cvc", "invalid_format"),
        ({"source": CARD | {"expMonth": 13}}, "source.card.expMonth", "out_of_range"),
        ({"source": CARD | {"expYear": 2023}}, "source.card.expYear", "out_of_range"),
        ({"source": CARD | {"last4": "1"}}, "source.card.last4", "invalid_format"),
        ({"source": CARD | {"brand": "PLASTIC"}}, "source.card.brand", "invalid_format"),
        ({"source": CARD | {"pin": "1234"}}, "source.card.pin", "unknown_field"),
        ({"source": CARD | {"billingAddress": {"city": "x"}}}, "source.card.billingAddress.line1", "required_field"),
        ({"source": ACCOUNT | {"accountNumber": "123"}}, "source.bank_account.accountNumber", "invalid_format"),
        ({"source": ACCOUNT | {"routingNumber": "11000000"}}, "source.bank_account.routingNumber", "invalid_format"),
        ({"source": ACCOUNT | {"accountType": "GOLD"}}, "source.bank_account.accountType", "invalid_format"),
    ],
)
def test_a_payment_out_of_rules_is_refused_without_repeating_its_numbers(
    client: FlaskClient, order: dict[str, Any], state: State, changed: dict[str, Any], field: str, code: str
):
    before = state()
    response = client.post(order["links"]["payment"], json=payment(order, CARD, **changed))
    assert response.status_code == 422, response.text
    assert (field, code) in [(error["field"], error["code"]) for error in response.get_json()["errors"]]
    assert "4242424242" not in response.text
    assert state() == before


@pytest.mark.parametrize(
    ("number", "brand"),
    [
        ("4012888888881881", "VISA"),
        ("4222222222222", "VISA"),
        ("5555555555554444", "MASTERCARD"),
        ("2223003122003222", "MASTERCARD"),
        ("378282246310005", "AMEX"),
        ("6011111111111117", "DISCOVER"),
        ("3056930009020004", "DINERS"),
        ("36227206271667", "DINERS"),
        ("3566002020360505", "JCB"),
        ("6200000000000005", "UNIONPAY"),
        ("9000000000000001", None),
    ],
)
def test_a_card_s_brand_is_known_by_its_number(client: FlaskClient, order: dict[str, Any], number: str, brand: str | None):
    body = payment(order, CARD | {"number": number, "brand": "UNIONPAY", "last4": "0000"})
    response = client.post(order["links"]["payment"], json=body)
    assert response.status_code == 201, json.dumps(response.get_json())
    source = response.get_json()["source"]
    assert (source["brand"], source["last4"]) == (brand, number[-4:]), "what the client says of the number doesn't count"
