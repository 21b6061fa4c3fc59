"""CORS: which origins' pages may call us, and that by default none may."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

SHOP, STRANGER = "https://shop.example", "https://stranger.example"


def cors(response: TestResponse) -> dict[str, str]:
    return {name: value for name, value in response.headers if name.startswith("Access-Control-")}


def preflight(client: FlaskClient, path: str, origin: str, method: str) -> TestResponse:
    headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "x"}
    return client.options(path, headers=headers)


def test_without_the_setting_no_header_is_sent(client: FlaskClient):
    response = client.get("/v1/pets", headers={"Origin": SHOP})
    assert cors(response) == {}
    assert "Vary" not in response.headers
    assert cors(preflight(client, "/v1/orders", SHOP, "POST")) == {}


@pytest.mark.parametrize("path", ["/v1/pets", "/v1/pets/1", "/v1/nothing", "/v1/inventory/stream?events=wrong"])
def test_an_allowed_origin_may_read_answers_and_problems_alike(make_app: Callable[..., Flask], path: str):
    client = make_app(cors_origins=(SHOP, "https://other.example")).test_client()
    response = client.get(path, headers={"Origin": SHOP})
    assert cors(response) == {
        "Access-Control-Allow-Origin": SHOP,
        "Access-Control-Expose-Headers": "ETag, Idempotency-Replayed, Link, Location, RateLimit-Limit, RateLimit-Remaining, "
        "RateLimit-Reset, Retry-After, WWW-Authenticate, X-Should-Retry",
    }
    assert response.headers["Vary"] == "Origin"


def test_any_other_origin_may_not_and_caches_are_told_that_it_matters(make_app: Callable[..., Flask]):
    client = make_app(cors_origins=(SHOP,)).test_client()
    for headers in ({"Origin": STRANGER}, {"Origin": "null"}, {"Origin": SHOP + ".example"}, {}):
        response = client.get("/v1/pets", headers=headers)
        assert cors(response) == {}
        assert response.headers["Vary"] == "Origin"
    assert cors(preflight(client, "/v1/orders", STRANGER, "POST")) == {}


def test_a_star_lets_every_origin_in(make_app: Callable[..., Flask]):
    client = make_app(cors_origins=("*",)).test_client()
    response = client.get("/v1/pets", headers={"Origin": STRANGER})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Vary" not in response.headers


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/orders", "POST"),
        ("/v1/orders/1", "DELETE"),
        ("/v1/inventory/1", "PATCH"),
        ("/v1/inventory/stream", "GET"),
    ],
)
def test_a_preflight_is_told_what_may_be_sent(make_app: Callable[..., Flask], path: str, method: str):
    client = make_app(cors_origins=(SHOP,)).test_client()
    response = preflight(client, path, SHOP, method)
    assert response.status_code == 200
    assert method in response.headers["Access-Control-Allow-Methods"].split(", ")
    assert set(response.headers["Access-Control-Allow-Headers"].split(", ")) == {
        "Authorization",
        "Cache-Control",
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "If-None-Match",
        "Last-Event-ID",
        "X-Tenant-ID",
        "*",
    }
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in response.headers
