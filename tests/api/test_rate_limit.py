"""Rate limits: told on every answer, kept for each address, user and tenant, and never at the cost of a stream."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from petstore.api import rate_limit
from tests.api.conftest import BUDDY, CUSTOMER, NOBODY, authorization

TENANT = "7b6f6c3e-5d3c-4c6f-8c53-0d4f4b1e2a10"
NOW = 1_795_377_630.0
"""Thirty seconds after a minute has begun."""

HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

Limited = Callable[..., FlaskClient]


class Clock:
    """A clock that stands still until it is moved."""

    now = NOW

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_limit, "time", clock)
    return clock


@pytest.fixture
def limited(make_app: Callable[..., Flask], clock: Clock) -> Limited:
    """Returns a client of an application with these limits, in a minute that doesn't end by itself."""
    return lambda **settings: make_app(**settings).test_client()


def rate(response: object) -> tuple[int, ...]:
    return tuple(int(response.headers[name]) for name in HEADERS)  # type: ignore[attr-defined]


def test_every_answer_says_what_is_left_and_until_when(limited: Limited):
    client = limited(rate_limit=100)
    targets = ["/v1/pets", "/v1/nothing", f"/v1/pets/{NOBODY}", "/v1/pets?page=x", "/v1/users/user-456", "/v1/pets?tenantId=x"]
    for used, target in enumerate(targets, start=1):
        assert rate(client.get(target)) == (100, 100 - used, 1_795_377_660), target
    assert rate(client.delete("/v1/pets")) == (100, 93, 1_795_377_660)
    assert rate(client.get("/v1/pets", headers={"Authorization": "Bearer x"})) == (100, 92, 1_795_377_660)
    assert rate(client.head("/v1/inventory/stream")) == (100, 91, 1_795_377_660)
    for unlimited in ("/healthz", "/readyz", "/metrics"):
        assert not set(HEADERS) & set(client.get(unlimited).headers.keys())


def test_a_browser_s_preflight_is_never_refused_so_that_its_page_can_read_what_is(limited: Limited):
    client = limited(rate_limit=1, cors_origins=("*",))
    preflight = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    for target in ("/v1/pets", "/v1/pets", "/v1/pets?tenantId=x"):
        assert client.options(target, headers=preflight).status_code == 200
    assert client.get("/v1/pets").status_code == 200
    assert client.get("/v1/pets", headers={"Origin": "https://shop.example"}).status_code == 429
    assert client.options("/v1/pets", headers=preflight).status_code == 200


def test_who_comes_back_when_it_was_told_to_is_not_refused_again(limited: Limited, clock: Clock):
    client = limited(rate_limit=1)
    assert client.get("/v1/pets").status_code == 200
    clock.now = NOW + 17.6
    clock.now += int(client.get("/v1/pets").headers["Retry-After"])
    assert client.get("/v1/pets").status_code == 200


def test_whoever_asks_too_often_is_told_when_to_come_back_and_nothing_is_done(limited: Limited):
    client = limited(rate_limit=3)
    for _ in range(3):
        assert client.post("/v1/orders", json={"petId": BUDDY}).status_code == 201
    stock = 4 - 3
    response = client.post("/v1/orders", json={"petId": BUDDY})
    assert response.status_code == 429
    assert response.mimetype == "application/problem+json"
    assert response.get_json()["type"] == "https://petstoreapi.com/errors/rate-limit-exceeded"
    assert response.headers["Retry-After"] == "30"
    assert rate(response) == (3, 0, 1_795_377_660)
    assert client.get("/healthz").status_code == 200
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
    assert client.get(f"/v1/pets/{BUDDY}", environ_overrides=elsewhere).get_json()["stock"] == stock


def test_the_next_minute_begins_anew(limited: Limited, clock: Clock):
    client = limited(rate_limit=1)
    assert [client.get("/v1/pets").status_code for _ in range(2)] == [200, 429]
    clock.now += 30
    assert client.get("/v1/pets").status_code == 200


def test_a_user_has_one_limit_wherever_they_are_and_an_address_one_whoever_asks(limited: Limited):
    client = limited(rate_limit=3)
    held = authorization(CUSTOMER)
    for number in range(3):
        response = client.get("/v1/pets", headers=held, environ_overrides={"REMOTE_ADDR": f"192.0.2.{number}"})
        assert rate(response)[1] == 2 - number
    assert client.get("/v1/pets", headers=held, environ_overrides={"REMOTE_ADDR": "192.0.2.9"}).status_code == 429
    assert client.get("/v1/pets", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200


def test_an_address_of_a_client_that_has_many_is_its_network(limited: Limited):
    client = limited(rate_limit=1)

    def status(address: str) -> int:
        return client.get("/v1/pets", environ_overrides={"REMOTE_ADDR": address}).status_code

    assert [status("2001:db8:1:1::1"), status("2001:db8:1:1:ffff::2"), status("2001:db8:1:2::1")] == [200, 429, 200]
    assert [status("::ffff:192.0.2.1"), status("192.0.2.1"), status("192.0.2.2")] == [200, 429, 200]
    assert [status(""), status("a.socket:x")] == [200, 200]


def test_the_streams_of_a_network_of_64_bits_are_one_client_s(make_app: Callable[..., Flask]):
    app = make_app(max_streams_per_client=1)
    app.extensions["petstore"].admission.take(("address 2001:db8:1:1::",))

    def status(address: str) -> int:
        return app.test_client().head("/v1/inventory/stream", environ_overrides={"REMOTE_ADDR": address}).status_code

    assert [status("2001:db8:1:1::1"), status("2001:db8:1:1:ffff::2"), status("2001:db8:1:2::1")] == [503, 503, 200]


def test_tenants_share_no_limit(limited: Limited):
    client = limited(rate_limit=1)
    assert client.get("/v1/pets").status_code == 200
    assert client.get("/v1/pets", headers={"X-Tenant-ID": TENANT}).status_code == 200
    assert client.get("/v1/pets", headers={"X-Tenant-ID": TENANT}).status_code == 429
    assert client.get("/v1/pets").status_code == 429


def test_a_browser_that_comes_back_to_its_stream_is_told_to_wait_and_does_not_give_up(limited: Limited):
    client = limited(rate_limit=1)
    client.get("/v1/pets")
    response = client.get("/v1/inventory/stream", headers={"Accept": "text/event-stream"})
    assert response.status_code == 200
    assert response.text.startswith("retry: ")
    assert 'event: goodbye\ndata: {"reason":"too-many"}\n\n' in response.text
    assert client.get("/v1/inventory/stream").status_code == 429
    assert client.get("/v1/pets", headers={"Accept": "text/event-stream"}).status_code == 429


def test_passwords_have_a_stricter_limit_for_an_address_and_for_a_username(limited: Limited):
    client = limited(sign_in_limit=3)

    def sign_in(username: str, address: str) -> int:
        body = {"username": username, "password": "a guess"}
        return client.post("/v1/auth/tokens", json=body, environ_overrides={"REMOTE_ADDR": address}).status_code

    assert [sign_in(f"user{number}", "192.0.2.1") for number in range(4)] == [401, 401, 401, 429]
    assert [sign_in("catherine.m", f"198.51.100.{number}") for number in range(4)] == [401, 401, 401, 429]
    assert sign_in("another", "198.51.100.9") == 401
    assert client.get("/v1/pets", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200
    elsewhere = client.post(
        f"/v1/auth/tokens?tenantId={TENANT}",
        json={"username": "x", "password": "x"},
        environ_overrides={"REMOTE_ADDR": "192.0.2.1"},
    )
    assert elsewhere.status_code == 429, "another tenant is no way round"
    new = {"username": "ada.l", "email": "ada@example.com", "password": "a long sentence is best"}
    refused = client.post("/v1/users", json=new, environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    assert refused.status_code == 429
    assert rate(refused) == (3, 0, 1_795_377_660)


def test_zero_is_no_limit_and_says_nothing(limited: Limited):
    client = limited(rate_limit=0, sign_in_limit=0)
    for _ in range(5):
        response = client.get("/v1/pets")
        assert response.status_code == 200
    assert not set(HEADERS) & set(response.headers.keys())


def test_an_address_that_takes_a_new_tenant_each_time_is_limited_all_the_same(limited: Limited):
    client = limited(rate_limit=2)
    tenants = [f"7b6f6c3e-5d3c-4c6f-8c53-{number:012x}" for number in range(2 * rate_limit.MANY + 1)]
    found = [client.get("/v1/openapi.yaml", headers={"X-Tenant-ID": tenant}).status_code for tenant in tenants]
    assert found == [200] * (2 * rate_limit.MANY) + [429]


@pytest.mark.parametrize(
    "forwarded",
    ["203.0.113.7:51234", "203.0.113.7:1", '", 203.0.113.7', "198.51.100.1, 203.0.113.7", '"198.51.100.1, 203.0.113.7:80'],
)
def test_behind_a_proxy_neither_a_port_nor_what_a_client_adds_makes_another_one_of_it(limited: Limited, forwarded: str):
    client = limited(rate_limit=1, proxies=1)
    assert client.get("/v1/pets", headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 200
    assert client.get("/v1/pets", headers={"X-Forwarded-For": forwarded}).status_code == 429
    assert client.get("/v1/pets", headers={"X-Forwarded-For": "203.0.113.8"}).status_code == 200


def test_behind_a_proxy_the_port_of_an_address_of_ipv6_is_none_of_it(limited: Limited):
    client = limited(rate_limit=1, proxies=1)
    statuses = [
        client.get("/v1/pets", headers={"X-Forwarded-For": forwarded}).status_code
        for forwarded in ("2001:db8::1", "[2001:db8::1]:443", "[2001:db8::1]", "2001:db8:0:1::1")
    ]
    assert statuses == [200, 429, 429, 200]
