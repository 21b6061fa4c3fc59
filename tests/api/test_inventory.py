"""The inventory over HTTP: one moment of it, and changes to one pet or to many."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from petstore.sse import EventLog

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"


@pytest.fixture
def client(staff: FlaskClient) -> FlaskClient:
    """Signed in as staff, so that nothing is refused for want of a right."""
    return staff


def item(client: FlaskClient, pet_id: str = BUDDY) -> dict[str, Any]:
    data = client.get("/v1/inventory?limit=100").get_json()["data"]
    (found,) = [entry for entry in data if entry["petId"] == pet_id]
    assert isinstance(found, dict)
    return found


def test_the_inventory_shows_items_sums_and_where_its_stream_goes_on(client: FlaskClient, log: EventLog):
    body = client.get("/v1/inventory?limit=100").get_json()
    assert list(body) == ["data", "summary", "pagination", "links", "lastEventId"]
    assert item(client) == {"petId": BUDDY, "name": "Buddy", "stock": 4, "price": "299.99", "currency": "USD"}
    assert body["lastEventId"] == log.head()
    assert body["pagination"]["totalItems"] == body["summary"]["total"] == len(body["data"])
    assert list(body["summary"]) == ["available", "pending", "adopted", "total", "bySpecies"]
    assert sum(body["summary"]["bySpecies"].values()) == body["summary"]["total"]


def test_the_inventory_comes_in_pages(client: FlaskClient):
    everything = client.get("/v1/inventory?limit=100").get_json()["data"]
    assert client.get("/v1/inventory?limit=5&page=2").get_json()["data"] == everything[5:10]
    assert client.get("/v1/inventory?limit=0").status_code == 400


@pytest.mark.parametrize(
    ("body", "stock", "price"),
    [
        ({"stock": 0}, 0, "299.99"),
        ({"stock": 1_000_000}, 1_000_000, "299.99"),
        ({"price": "279.99"}, 4, "279.99"),
        ({"price": "7"}, 4, "7.00"),
        ({"price": "0.01"}, 4, "0.01"),
        ({"price": "1000000.00"}, 4, "1000000.00"),
        ({"price": 1000000}, 4, "1000000.00"),
        ({"price": 19.1}, 4, "19.10"),
        ({"price": 1.15, "stock": None}, 4, "1.15"),
        ({"stock": 7, "price": 4.35}, 7, "4.35"),
    ],
)
def test_one_pet_s_stock_and_price_are_changed_exactly(client: FlaskClient, body: dict[str, Any], stock: int, price: str):
    response = client.patch(f"/v1/inventory/{BUDDY}", json=body)
    assert response.status_code == 200
    assert response.get_json() == {"petId": BUDDY, "name": "Buddy", "stock": stock, "price": price, "currency": "USD"}
    assert item(client) == response.get_json()


def test_a_change_is_an_event_after_the_last_event_id(client: FlaskClient, log: EventLog):
    last_event_id = client.get("/v1/inventory").get_json()["lastEventId"]
    client.patch(f"/v1/inventory/{BUDDY}", json={"stock": 3, "price": "279.99"})
    stock, price = log.read(["inventory"], last_event_id, 10)
    assert (stock.type, stock.value()) == ("stock-change", {"petId": BUDDY, "oldStock": 4, "newStock": 3})
    assert (price.type, price.value()) == ("price-change", {"petId": BUDDY, "oldPrice": 299.99, "newPrice": 279.99})


def test_many_pets_are_changed_in_one_request_and_answered_in_its_order(client: FlaskClient):
    ids = [entry["petId"] for entry in client.get("/v1/inventory?limit=50").get_json()["data"]][::-1]
    changes = [{"petId": pet_id, "stock": number} for number, pet_id in enumerate(ids)]
    response = client.patch("/v1/inventory", json={"changes": changes})
    assert response.status_code == 200
    assert [(entry["petId"], entry["stock"]) for entry in response.get_json()["data"]] == list(zip(ids, range(50), strict=True))


def test_a_thousand_changes_are_one_request(client: FlaskClient, log: EventLog):
    before = log.head()
    changes = [{"petId": BUDDY, "stock": number % 100 + 5} for number in range(1000)]
    response = client.patch("/v1/inventory", json={"changes": changes})
    assert [entry["stock"] for entry in response.get_json()["data"]] == [104]
    assert len(log.read(["inventory"], before, 2000)) == 1000
