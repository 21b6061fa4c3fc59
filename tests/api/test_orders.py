"""Orders over HTTP: placing, reading, paying and cancelling; what each answer says and links to."""

import re
from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from petstore.shop import order_topic
from petstore.sse import EventLog

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"


def place(client: FlaskClient, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/orders", json={"petId": BUDDY} | body)
    assert response.status_code == 201, response.text
    order: dict[str, Any] = response.get_json()
    return order


def stock(client: FlaskClient) -> int:
    found: int = client.get(f"/v1/pets/{BUDDY}").get_json()["stock"]
    return found


def test_an_order_is_created_and_says_where_it_is(customer: FlaskClient):
    response = customer.post("/v1/orders", json={"petId": BUDDY, "quantity": 2, "userId": "user-456"})
    order = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v1/orders/{order['id']}"
    again = customer.get(response.headers["Location"]).get_json()
    assert again | {"links": None} == order | {"links": None}
    assert (order["petId"], order["userId"], order["quantity"]) == (BUDDY, "user-456", 2)
    assert (order["status"], order["totalAmount"], order["currency"]) == ("PLACED", "599.98", "USD")
    assert order["trackingNumber"] is None
    assert order["createdAt"] == order["updatedAt"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", order["createdAt"])
    assert {name: link.partition("?")[0] for name, link in order["links"].items()} == {
        "self": f"/v1/orders/{order['id']}",
        "payment": f"/v1/orders/{order['id']}/payment",
        "statusStream": f"/v1/orders/{order['id']}/status/stream",
    }


def test_an_order_without_quantity_and_user_is_a_guest_s_for_one(client: FlaskClient):
    order = place(client)
    assert (order["quantity"], order["userId"]) == (1, None)
    assert place(client, userId=None)["userId"] is None


def test_a_pet_id_in_capitals_is_the_same_pet(client: FlaskClient):
    assert place(client, petId=BUDDY.upper())["petId"] == BUDDY


def test_a_whole_number_may_be_written_with_a_fraction_of_zero(client: FlaskClient):
    assert place(client, quantity=2.0)["quantity"] == 2


def test_a_name_that_occurs_twice_counts_with_its_last_value(client: FlaskClient):
    body = f'{{"petId": "{BUDDY}", "quantity": 50, "quantity": 2}}'
    response = client.post("/v1/orders", data=body, content_type="application/json")
    assert response.get_json()["quantity"] == 2


def test_placing_takes_stock_and_more_than_there_is_is_a_conflict(client: FlaskClient, state: Callable[[], object]):
    before = stock(client)
    place(client, quantity=before - 1)
    assert stock(client) == 1
    unchanged = state()
    response = client.post("/v1/orders", json={"petId": BUDDY, "quantity": 2})
    assert response.status_code == 409
    assert response.mimetype == "application/problem+json"
    assert response.get_json()["type"] == "https://petstoreapi.com/errors/conflict"
    assert state() == unchanged


def test_the_last_event_id_is_where_the_stream_of_the_order_goes_on(client: FlaskClient, log: EventLog):
    order = place(client)
    client.post(order["links"]["payment"])
    (event,) = log.read([order_topic(order["id"])], order["lastEventId"], 10)
    assert event.value()["status"] == "payment_processing"
    assert client.get(order["links"]["self"]).get_json()["lastEventId"] >= event.id


def test_a_payment_is_accepted_with_an_empty_object_or_no_body_at_all(client: FlaskClient):
    bodies: list[dict[str, Any]] = [{}, {"json": {}}, {"data": b"", "content_type": "text/plain"}]
    for options in bodies:
        order = place(client)
        response = client.post(order["links"]["payment"], **options)
        assert response.status_code == 201
        payment = response.get_json()
        assert (payment["status"], payment["orderId"], payment["amount"]) == ("PROCESSING", order["id"], order["totalAmount"])


def test_an_order_is_paid_once(client: FlaskClient, state: Callable[[], object]):
    order = place(client)
    client.post(order["links"]["payment"])
    before = state()
    response = client.post(order["links"]["payment"])
    assert response.status_code == 409
    assert "paid already" in response.get_json()["detail"]
    assert state() == before


def test_cancelling_answers_without_a_body_and_puts_the_stock_back(client: FlaskClient):
    before = stock(client)
    order = place(client, quantity=2)
    response = client.delete(order["links"]["self"])
    assert (response.status_code, response.data) == (204, b"")
    assert client.get(order["links"]["self"]).get_json()["status"] == "CANCELLED"
    assert stock(client) == before


def test_a_cancelled_order_can_neither_be_paid_nor_cancelled_again(client: FlaskClient, state: Callable[[], object]):
    order = place(client)
    client.delete(order["links"]["self"])
    before = state()
    assert client.delete(order["links"]["self"]).status_code == 409
    assert client.post(order["links"]["payment"]).status_code == 409
    assert state() == before


def test_a_customer_lists_their_own_orders_the_newest_first_in_pages(customer: FlaskClient, client: FlaskClient):
    place(client)
    mine = [place(customer)["id"] for _ in range(3)]
    first, second = (customer.get(f"/v1/orders?limit=2&page={page}").get_json() for page in (1, 2))
    assert [order["id"] for order in first["data"]] == mine[:0:-1]
    assert second["data"][0]["id"] == mine[0]
    assert {order["userId"] for order in first["data"] + second["data"]} == {"user-456"}
    assert first["pagination"] == {"page": 1, "limit": 2, "totalItems": 4, "totalPages": 2}
    assert [order["id"] for order in customer.get(first["links"]["next"]).get_json()["data"]] == [
        order["id"] for order in second["data"]
    ]
    assert customer.get(first["data"][0]["links"]["self"]).get_json()["id"] == mine[-1]


def test_a_guest_has_no_list_of_orders_and_no_page_lies_beyond_the_millionth(client: FlaskClient, customer: FlaskClient):
    assert client.get("/v1/orders").status_code == 401
    response = customer.get("/v1/orders?page=1000000000")
    assert (response.status_code, response.get_json()["errors"][0]["field"]) == (400, "page")
    assert customer.get("/v1/orders?page=1000000").get_json()["data"] == []
