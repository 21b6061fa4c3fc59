"""Who may do what: customers, staff, guests and strangers; and what a token opens that is not, or no longer, what it should be."""

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from petstore.api import bearer, caller, link
from petstore.api.bearer import Scope, derived_key
from petstore.api.error import Unauthorized
from petstore.api.link import Link, Power
from petstore.shop import Profile, Shop, identity, register_customer, remove_customer, replace_profile
from tests.api.conftest import BUDDY, CUSTOMER, NOBODY, SECRET, STAFF, authorization, signed_in

OTHER = "019b402b-c12c-7d04-905c-4b5f32bfd572"
TENANT = "7b6f6c3e-5d3c-4c6f-8c53-0d4f4b1e2a10"
PET = {"name": "Rex", "species": "DOG", "ageMonths": 3, "price": "10.00"}

State = Callable[[], object]


def assert_problem(response: TestResponse, status: int, code: str | None = None) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    if status in (401, 403):
        challenge = response.headers["WWW-Authenticate"]
        assert challenge.startswith('Bearer realm="petstore"')
        assert (f'error="{code}"' in challenge) == (code is not None), challenge
    problem: dict[str, Any] = response.get_json()
    return problem


def token_of(url: str) -> str:
    return url.partition("token=")[2].partition("&")[0]


def place(client: FlaskClient, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/orders", json={"petId": BUDDY} | body)
    assert response.status_code == 201, response.text
    order: dict[str, Any] = response.get_json()
    return order


def stream(client: FlaskClient, target: str) -> int:
    """Return the status with which a stream begins, or would."""
    return client.head(target).status_code


@pytest.fixture
def other(app: Flask) -> FlaskClient:
    return signed_in(app, OTHER)


class TestABearerToken:
    def test_comes_with_a_username_and_its_password_and_is_the_user_s(self, make_app: Callable[..., Flask]):
        client = make_app(demo=True).test_client()
        response = client.post("/v1/auth/tokens", json={"username": "catherine.m", "password": "petstore-demo"})
        answer = response.get_json()
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "no-store"
        assert (answer["tokenType"], answer["userId"]) == ("Bearer", CUSTOMER)
        assert answer["scopes"] == sorted(set(Scope) - {Scope.WRITE_PETS})
        claims = bearer.read(SECRET, answer["token"])
        assert time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(claims.expires_at)) == answer["expiresAt"]
        assert client.get(f"/v1/users/{CUSTOMER}", headers={"Authorization": f"Bearer {answer['token']}"}).status_code == 200

    def test_of_staff_may_change_pets(self, make_app: Callable[..., Flask]):
        client = make_app(demo=True).test_client()
        answer = client.post("/v1/auth/tokens", json={"username": "keeper.jo", "password": "petstore-demo"}).get_json()
        assert answer["scopes"] == sorted(Scope)
        held = {"Authorization": f"bearer {answer['token']}"}
        assert client.patch(f"/v1/inventory/{BUDDY}", json={"stock": 9}, headers=held).status_code == 200

    @pytest.mark.parametrize("username", ["catherine.m", "keeper.jo", "nobody.knows"])
    def test_is_not_given_for_a_wrong_password_and_nobody_learns_which_usernames_there_are(
        self, make_app: Callable[..., Flask], username: str
    ):
        client = make_app(demo=True).test_client()
        problem = assert_problem(client.post("/v1/auth/tokens", json={"username": username, "password": "guess"}), 401)
        assert problem["detail"] == "there is no such username with this password"

    def test_is_not_given_for_the_demo_s_public_password_where_no_demo_is_on(self, client: FlaskClient):
        for username in ("catherine.m", "keeper.jo"):
            assert_problem(client.post("/v1/auth/tokens", json={"username": username, "password": "petstore-demo"}), 401)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "username"),
            ({"username": "a" * 51, "password": "x"}, "username"),
            ({"username": "ada", "password": "x" * 129}, "password"),
            ({"username": "ada", "password": 1}, "password"),
            ({"username": "ada", "password": "x", "scope": "write:pets"}, "scope"),
        ],
    )
    def test_is_asked_for_with_exactly_these_fields(self, client: FlaskClient, body: dict[str, Any], field: str):
        problem = assert_problem(client.post("/v1/auth/tokens", json=body), 422)
        assert field in [error["field"] for error in problem["errors"]]

    @pytest.mark.parametrize(
        "token",
        [
            "",
            "abcd-9efg=*",
            "{{bearerToken}}",
            "x" * 5000,
            jwt.encode({"sub": STAFF, "scope": "write:pets"}, "another horse battery, long enough", "HS256"),
            bearer.issue("another horse battery", STAFF, "", Scope, time.time_ns() // 1000)[0],
            bearer.issue(SECRET, STAFF, "", Scope, (time.time_ns() - 25 * 3600 * 10**9) // 1000)[0],
            bearer.issue(SECRET, STAFF, TENANT, Scope, time.time_ns() // 1000)[0],
            bearer.issue(SECRET, NOBODY, "", Scope, time.time_ns() // 1000)[0],
            link.sign(SECRET, Link("own", f"users/{STAFF}", "")),
        ],
        ids=["none", "nonsense", "a template", "long", "forged", "another key", "expired", "another tenant", "nobody", "a link"],
    )
    def test_that_is_not_good_is_refused_everywhere_even_where_none_is_needed(self, client: FlaskClient, state: State, token: str):
        before, held = state(), {"Authorization": f"Bearer {token}"}
        for method, path, body in (
            ("PATCH", f"/v1/inventory/{BUDDY}", {"stock": 1}),
            ("GET", f"/v1/users/{STAFF}", None),
            ("POST", "/v1/orders", {"petId": BUDDY}),
            ("GET", "/v1/pets", None),
            ("GET", "/v1/inventory/stream", None),
        ):
            response = client.open(path, method=method, json=body, headers=held)
            assert_problem(response, 401, "invalid_token")
            assert token not in response.text or not token
        assert state() == before
        assert client.get("/healthz", headers=held).status_code == 200

    @pytest.mark.parametrize(
        "claims", [{"exp": str(2**40)}, {"sub": 456}, {"scope": ["write:pets"]}, {"tenant": []}, {"iat": float("inf")}], ids=repr
    )
    def test_of_our_own_key_with_a_claim_of_another_type_is_refused(self, client: FlaskClient, claims: dict[str, Any]):
        good = jwt.decode(authorization(STAFF)["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})
        token = jwt.api_jws.encode(json.dumps(good | claims).encode(), derived_key(SECRET, "bearer"), "HS256")
        assert_problem(client.get("/v1/pets", headers={"Authorization": f"Bearer {token}"}), 401, "invalid_token")

    @pytest.mark.parametrize("algorithm", ["none", "None", "nOnE"])
    def test_with_no_algorithm_is_refused(self, client: FlaskClient, algorithm: str):
        good = authorization(STAFF)["Authorization"].removeprefix("Bearer ")
        _, payload, signature = good.split(".")
        header = jwt.utils.base64url_encode(f'{{"alg":"{algorithm}","typ":"JWT"}}'.encode()).decode()
        for token in (f"{header}.{payload}.", f"{header}.{payload}.{signature}"):
            response = client.patch(f"/v1/inventory/{BUDDY}", json={"stock": 1}, headers={"Authorization": f"Bearer {token}"})
            assert_problem(response, 401, "invalid_token")

    def test_of_another_algorithm_is_refused_though_its_key_is_ours(self, client: FlaskClient):
        claims = jwt.decode(authorization(STAFF)["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})
        with pytest.warns(match="recommended length"):
            token = jwt.encode(claims, derived_key(SECRET, "bearer"), "HS512")
        response = client.patch(f"/v1/inventory/{BUDDY}", json={"stock": 1}, headers={"Authorization": f"Bearer {token}"})
        assert_problem(response, 401, "invalid_token")

    def test_without_the_scope_is_forbidden_and_told_which_it_lacks(self, client: FlaskClient, state: State):
        before = state()
        requests: list[tuple[str, str, Any, Scope]] = [
            ("PATCH", f"/v1/inventory/{BUDDY}", {"stock": 1}, Scope.WRITE_PETS),
            ("POST", "/v1/pets", PET, Scope.WRITE_PETS),
            ("GET", f"/v1/users/{STAFF}", None, Scope.READ_USER),
            ("DELETE", f"/v1/users/{STAFF}", None, Scope.WRITE_USER),
            ("POST", "/v1/orders", {"petId": BUDDY}, Scope.WRITE_ORDERS),
            ("GET", "/v1/orders", None, Scope.READ_ORDERS),
        ]
        for method, path, body, lacking in requests:
            held = authorization(STAFF, scopes=set(Scope) - {lacking})
            response = client.open(path, method=method, json=body, headers=held)
            problem = assert_problem(response, 403, "insufficient_scope")
            assert f'scope="{lacking}"' in response.headers["WWW-Authenticate"]
            assert lacking in problem["detail"]
        assert state() == before

    def test_of_a_customer_can_not_grant_what_only_staff_may(self, client: FlaskClient):
        held = authorization(CUSTOMER, scopes=Scope)
        assert_problem(client.patch(f"/v1/inventory/{BUDDY}", json={"stock": 1}, headers=held), 403, "insufficient_scope")

    def test_of_another_scheme_is_no_bearer_token(self, client: FlaskClient):
        assert client.get("/v1/pets", headers={"Authorization": "Basic dXNlcjpwYXNz"}).status_code == 200
        assert_problem(client.get(f"/v1/users/{CUSTOMER}", headers={"Authorization": "Basic dXNlcjpwYXNz"}), 401)

    def test_is_void_when_the_password_has_changed_and_when_the_account_is_closed(
        self, client: FlaskClient, staff: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(caller, "TRUST_S", 0.0)
        ada = {"username": "ada.l", "email": "ada@example.com", "password": "a long sentence is best"}
        user = client.post("/v1/users", json=ada).get_json()
        me = user["links"]["self"]
        first, second = (authorization(user["id"]) for _ in range(2))
        assert client.put(me, json=ada | {"password": "another long sentence"}, headers=first).status_code == 200
        assert_problem(client.get(me, headers=first), 401, "invalid_token")
        assert_problem(client.get(me, headers=second), 401, "invalid_token")
        third = authorization(user["id"])
        assert client.delete(me, headers=third).status_code == 204
        assert_problem(client.get("/v1/pets", headers=third), 401, "invalid_token")

    @pytest.mark.parametrize("matching", [False, True])
    def test_that_was_stolen_can_not_take_the_account_from_who_has_changed_the_password(self, client: FlaskClient, matching: bool):
        ada = {"username": "ada.l", "email": "ada@example.com", "password": "a long sentence is best"}
        user = client.post("/v1/users", json=ada).get_json()
        me, stolen, own = user["links"]["self"], authorization(user["id"]), authorization(user["id"])
        for held in (stolen, own):
            assert client.get(me, headers=held).status_code == 200, "which is remembered for a while"
        assert client.put(me, json=ada | {"password": "another long sentence"}, headers=own).status_code == 200
        condition = {"If-Match": client.get(me, headers=stolen).headers["ETag"]} if matching else {}
        assert_problem(client.put(me, json=ada, headers=stolen | condition), 401, "invalid_token")
        assert_problem(client.delete(me, headers=stolen | condition), 401, "invalid_token")
        signed_in_again = client.post("/v1/auth/tokens", json={"username": "ada.l", "password": "another long sentence"})
        assert signed_in_again.status_code == 200

    def test_is_void_where_the_password_changes_while_it_is_checked(
        self, app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ):
        ada = {"username": "ada.l", "email": "ada@example.com", "password": "a long sentence is best"}
        user = client.post("/v1/users", json=ada).get_json()
        passwords, shop = app.extensions["petstore"].passwords, Shop(app.extensions["petstore"].log)
        matches, another = passwords.matches, passwords.hash("another long sentence")

        def change_and_match(kept: str | None, password: str) -> bool:
            replace_profile(shop, user["id"], Profile(username="ada.l", email="ada@example.com"), another)
            return bool(matches(kept, password))

        monkeypatch.setattr(passwords, "matches", change_and_match)
        token = client.post("/v1/auth/tokens", json={name: ada[name] for name in ("username", "password")}).get_json()["token"]
        assert_problem(client.get("/v1/orders", headers={"Authorization": f"Bearer {token}"}), 401, "invalid_token")

    def test_is_looked_up_once_and_then_trusted_for_a_while(self, app: Flask):
        now, asked = 1_000_000.0, []
        trust = caller.Trust(SECRET, lambda: now)
        token = authorization(CUSTOMER)["Authorization"].removeprefix("Bearer ")

        def shop(tenant: str) -> Any:
            asked.append(tenant)
            return Shop(app.extensions["petstore"].log, tenant)

        for _ in range(5):
            assert trust.caller(token, shop).user_id == CUSTOMER
        assert asked == [""]
        now += caller.TRUST_S + 1
        trust.caller(token, shop)
        assert asked == ["", ""]

    def test_is_not_trusted_beyond_its_end(self, app: Flask):
        now = time.time()
        trust = caller.Trust(SECRET, lambda: now)
        token, _ = bearer.issue(SECRET, CUSTOMER, "", Scope, round((now - bearer.LIFETIME_S + 20) * 1e6))
        trust.caller(token, lambda tenant: Shop(app.extensions["petstore"].log, tenant))
        now += 21

        def shop(tenant: str) -> Any:
            raise LookupError("it's looked at again")

        with pytest.raises(LookupError):
            trust.caller(token, shop)


class TestAnOrderOfACustomer:
    def test_is_that_customer_s_and_staff_s_and_for_anyone_else_does_not_exist(
        self, client: FlaskClient, customer: FlaskClient, other: FlaskClient, staff: FlaskClient, state: State
    ):
        order = place(customer)
        assert order["userId"] == CUSTOMER
        path = f"/v1/orders/{order['id']}"
        before = state()
        for stranger in (client, other):
            for method, target in (
                ("GET", path),
                ("HEAD", path),
                ("POST", f"{path}/payment"),
                ("DELETE", path),
                ("GET", f"{path}/status/stream"),
                ("GET", f"/v1/stream?topics=orders/{order['id']}"),
            ):
                missing = target.replace(order["id"], NOBODY)
                body: Any = {} if method == "POST" else None
                real, fake = (stranger.open(each, method=method, json=body) for each in (target, missing))
                assert real.status_code == fake.status_code == 404, (method, target, real.text)
                assert real.text == fake.text.replace(NOBODY, order["id"])
        assert state() == before
        for owner in (customer, staff):
            assert owner.get(path).get_json()["id"] == order["id"]
            assert stream(owner, f"{path}/status/stream") == 200
            assert stream(owner, f"/v1/stream?topics=inventory,orders/{order['id']}") == 200

    def test_is_listed_for_that_customer_alone(self, client: FlaskClient, customer: FlaskClient, other: FlaskClient):
        order = place(customer)
        assert order["id"] in [each["id"] for each in customer.get("/v1/orders").get_json()["data"]]
        assert order["id"] not in [each["id"] for each in other.get("/v1/orders").get_json()["data"]]
        assert_problem(client.get("/v1/orders"), 401)

    @pytest.mark.parametrize("first", ["own", "follow"])
    def test_of_two_links_the_one_that_pays_is_given_back_for_that(self, client: FlaskClient, first: str):
        order = place(client)
        tokens = {"own": token_of(order["links"]["payment"])}
        tokens["follow"] = link.sign(SECRET, Link("follow", f"orders/{order['id']}", ""))
        both = [tokens.pop(first), *tokens.values()]
        shown = client.get(f"/v1/orders/{order['id']}?token={both[0]}&token={both[1]}").get_json()
        assert client.post(shown["links"]["payment"], json={}).status_code == 201

    def test_can_be_followed_by_its_link_and_nothing_else_can_be_done_with_that(
        self, client: FlaskClient, customer: FlaskClient, state: State
    ):
        order = place(customer)
        url = order["links"]["statusStream"]
        token = token_of(url)
        assert "token" not in order["links"]["self"] + order["links"]["payment"]
        assert stream(client, url) == 200
        read = client.get(f"/v1/orders/{order['id']}?token={token}")
        assert read.status_code == 200
        assert token_of(read.get_json()["links"]["statusStream"]) == token, "no link that lasts longer"
        assert "token" not in read.get_json()["links"]["payment"]
        assert customer.post(order["links"]["payment"], json={}).status_code == 201
        before = state()
        assert_problem(client.get(f"/v1/orders/{order['id']}/payment?token={token}"), 404)
        assert_problem(client.post(f"/v1/orders/{order['id']}/payment?token={token}", json={}), 404)
        assert_problem(client.delete(f"/v1/orders/{order['id']}?token={token}"), 404)
        assert_problem(client.get(f"/v1/orders?token={token}"), 401)
        assert_problem(client.get(f"/v1/users/{CUSTOMER}?token={token}"), 401)
        assert state() == before

    def test_can_not_be_placed_for_somebody_else(
        self, client: FlaskClient, customer: FlaskClient, staff: FlaskClient, state: State
    ):
        before = state()
        assert_problem(client.post("/v1/orders", json={"petId": BUDDY, "userId": CUSTOMER}), 401)
        assert_problem(customer.post("/v1/orders", json={"petId": BUDDY, "userId": OTHER}), 404)
        assert state() == before
        assert place(customer, userId=CUSTOMER)["userId"] == CUSTOMER
        assert place(staff, userId=OTHER)["userId"] == OTHER
        assert place(staff)["userId"] == STAFF


class TestAnOrderOfAGuest:
    def test_is_read_paid_and_cancelled_by_its_links_and_not_without(self, client: FlaskClient, other: FlaskClient):
        order, second = place(client), place(client)
        for bare in (f"/v1/orders/{order['id']}", f"/v1/orders/{order['id']}/status/stream"):
            assert_problem(client.get(bare), 404)
            assert_problem(other.get(bare), 404)
        assert client.get(order["links"]["self"]).get_json()["links"] == order["links"]
        assert stream(client, order["links"]["statusStream"]) == 200
        assert client.post(order["links"]["payment"], json={}).status_code == 201
        assert client.get(order["links"]["payment"]).status_code == 200
        assert client.delete(second["links"]["self"]).status_code == 204

    def test_can_also_be_followed_and_paid_by_somebody_who_is_signed_in_and_has_the_link(
        self, client: FlaskClient, other: FlaskClient
    ):
        order = place(client)
        assert other.get(order["links"]["self"]).status_code == 200
        assert other.post(order["links"]["payment"], json={}).status_code == 201

    def test_is_opened_by_its_own_token_alone(self, client: FlaskClient, state: State):
        order, other = place(client), place(client)
        token, before = token_of(other["links"]["self"]), state()
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/payment"),
            ("GET", "/status/stream"),
        ):
            body: Any = {} if method == "POST" else None
            response = client.open(f"/v1/orders/{order['id']}{path}?token={token}", method=method, json=body)
            assert_problem(response, 404)
        assert_problem(client.get(f"/v1/stream?topics=orders/{order['id']},orders/{other['id']}&token={token}"), 404)
        assert state() == before

    def test_shares_one_connection_with_another_when_the_query_has_both_tokens(self, client: FlaskClient):
        orders = [place(client), place(client)]
        topics = ",".join(f"orders/{order['id']}" for order in orders)
        tokens = "&".join(f"token={token_of(order['links']['statusStream'])}" for order in orders)
        assert stream(client, f"/v1/stream?topics={topics}&{tokens}") == 200


class TestASignedLink:
    @pytest.mark.parametrize(
        ("power", "at_s", "tenant", "secret"),
        [
            ("follow", -25 * 3600, "", SECRET),
            ("own", -31 * 24 * 3600, "", SECRET),
            ("own", 0, TENANT, SECRET),
            ("own", 0, "", "another horse battery"),
        ],
        ids=["expired", "expired too", "another tenant", "forged"],
    )
    def test_that_is_not_good_is_refused(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, power: Power, at_s: float, tenant: str, secret: str
    ):
        order = place(client)
        now = time.time()
        with monkeypatch.context() as then:
            then.setattr(time, "time", lambda: now + at_s)
            token = link.sign(secret, Link(power, f"orders/{order['id']}", tenant))
        for target in (
            f"/v1/orders/{order['id']}?token={token}",
            f"/v1/orders/{order['id']}/status/stream?token={token}",
            f"/v1/stream?topics=orders/{order['id']}&token={token}",
            f"/v1/pets/recommendations?userId={CUSTOMER}&token={token}",
        ):
            problem = assert_problem(client.get(target), 401, "invalid_token")
            assert token not in str(problem)

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "%00", "x" * 600, "%F0%9F%90%B6"])
    def test_that_is_nonsense_is_refused(self, client: FlaskClient, token: str):
        order = place(client)
        assert_problem(client.get(f"/v1/orders/{order['id']}?token={token}"), 401, "invalid_token")

    def test_is_void_with_the_bearer_token_that_it_was_made_by(
        self, client: FlaskClient, staff: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(caller, "TRUST_S", 0.0)
        ada = {"username": "ada.l", "email": "ada@example.com", "password": "a long sentence is best"}
        user = client.post("/v1/users", json=ada).get_json()
        held, me = authorization(user["id"]), user["links"]["self"]

        def links() -> list[str]:
            order = client.post("/v1/orders", json={"petId": BUDDY}, headers=held).get_json()
            run = client.post("/v1/runs", json={"kind": "RECOMMENDATIONS", "userId": user["id"]}, headers=held).get_json()
            shown = client.get(me, headers=held).get_json()
            return [order["links"]["statusStream"], run["links"]["stream"], shown["links"]["recommendationStream"]]

        def follow(urls: list[str]) -> list[int]:
            return [stream(client, url) for url in urls]

        old = [user["links"]["recommendationStream"], *links()]
        by_staff = staff.get(me).get_json()["links"]["recommendationStream"]
        assert follow(old) == [200] * 4
        changed = client.put(me, json=ada | {"password": "another long sentence"}, headers=held).get_json()
        assert follow([*old, changed["links"]["recommendationStream"]]) == [401] * 5
        held = authorization(user["id"])
        new = links()
        assert follow(new) == [200] * 3
        assert client.delete(me, headers=held).status_code == 204
        assert follow(new) == [401] * 3
        assert client.get(by_staff).status_code == 404

    def test_of_a_guest_s_order_lasts_whoever_else_changes_a_password(self, client: FlaskClient):
        link_of_guest = place(client)["links"]["statusStream"]
        client.post("/v1/users", json={"username": "ada.l", "email": "ada@example.com", "password": "a long sentence is best"})
        assert stream(client, link_of_guest) == 200

    def test_is_looked_up_once_and_then_trusted_for_a_while(self, app: Flask):
        now = 1_000_000.0
        trust, shop = caller.Trust(SECRET, lambda: now), Shop(app.extensions["petstore"].log)
        user = register_customer(shop, Profile(username="ada.l", email="ada@example.com"), "none").id
        moment = time.time_ns() // 1000
        trust.check_maker(shop, user, moment)
        remove_customer(shop, user)
        trust.check_maker(shop, user, moment)
        now += caller.TRUST_S + 1
        with pytest.raises(Unauthorized):
            trust.check_maker(shop, user, moment)

    def test_comes_in_bounded_numbers(self, client: FlaskClient):
        order = place(client)
        token = token_of(order["links"]["self"])
        query = "&".join([f"token={token}"] * 21)
        assert_problem(client.get(f"/v1/orders/{order['id']}?{query}"), 401, "invalid_token")

    def test_is_no_bearer_token_and_a_bearer_token_is_no_link(self, client: FlaskClient, customer: FlaskClient):
        order = place(customer)
        held = authorization(CUSTOMER)["Authorization"].removeprefix("Bearer ")
        assert_problem(client.get(f"/v1/orders/{order['id']}?token={held}"), 401, "invalid_token")


class TestRecommendations:
    STREAM = "/v1/pets/recommendations/stream?userId="

    def test_need_the_customer_s_own_token_or_link(
        self, client: FlaskClient, customer: FlaskClient, other: FlaskClient, staff: FlaskClient
    ):
        mine, theirs = self.STREAM + CUSTOMER, self.STREAM + OTHER
        assert_problem(client.get(mine), 401)
        assert_problem(client.get(self.STREAM + NOBODY), 401)
        assert [stream(who, mine) for who in (customer, other, staff)] == [200, 404, 200]
        assert_problem(customer.get(theirs), 404)
        url = customer.get(f"/v1/users/{CUSTOMER}").get_json()["links"]["recommendationStream"]
        assert stream(client, url) == 200
        assert_problem(client.get(f"{theirs}&token={token_of(url)}"), 404)
        assert client.get(f"/v1/pets/recommendations?userId={CUSTOMER}&token={token_of(url)}").status_code == 200
        assert_problem(client.get(f"/v1/users/{CUSTOMER}?token={token_of(url)}"), 401)

    def test_need_the_scope_whatever_link_comes_along(self, app: Flask, client: FlaskClient):
        narrow = authorization(CUSTOMER, scopes=[Scope.READ_PETS])
        token = link.sign(SECRET, Link("own", f"orders/{NOBODY}", ""))
        assert_problem(client.get(f"{self.STREAM}{CUSTOMER}&token={token}", headers=narrow), 403)

    def test_of_the_demo_s_customers_are_open_in_the_demo_for_who_brings_no_token(self, make_app: Callable[..., Flask]):
        app = make_app(demo=True)
        client, other = app.test_client(), signed_in(app, OTHER)
        assert stream(client, self.STREAM + CUSTOMER) == stream(client, self.STREAM + OTHER) == 200
        assert_problem(client.get(self.STREAM + "user-457"), 401)
        assert_problem(other.get(self.STREAM + CUSTOMER), 404)
        token = link.sign(SECRET, Link("follow", f"users/{OTHER}", ""))
        assert_problem(client.get(f"{self.STREAM}{CUSTOMER}&token={token}"), 404)

    def test_of_a_run_are_no_topic_for_others(self, client: FlaskClient, customer: FlaskClient, other: FlaskClient):
        topic = customer.get(f"/v1/pets/recommendations?userId={CUSTOMER}").get_json()["topic"]
        assert [who.get(f"/v1/stream?topics={topic}").status_code for who in (client, other)] == [404, 404]
        assert stream(customer, f"/v1/stream?topics={topic}") == 200


class TestAUser:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "", None),
            ("PUT", "", {"username": "mine", "email": "a@b"}),
            ("DELETE", "", None),
            ("GET", "/preferences", None),
            ("PUT", "/preferences", {}),
            ("GET", "/likes", None),
            ("PUT", f"/likes/{BUDDY}", None),
            ("DELETE", f"/likes/{BUDDY}", None),
        ],
    )
    def test_is_nobody_else_s_business(
        self, client: FlaskClient, other: FlaskClient, state: State, method: str, path: str, body: Any
    ):
        before = state()
        assert_problem(client.open(f"/v1/users/{CUSTOMER}{path}", method=method, json=body), 401)
        for user_id in (CUSTOMER, NOBODY):
            problem = assert_problem(other.open(f"/v1/users/{user_id}{path}", method=method, json=body), 404)
            assert problem["detail"] == f"there is no customer {user_id}"
        assert state() == before

    def test_is_staff_s_business(self, staff: FlaskClient):
        assert staff.get(f"/v1/users/{CUSTOMER}").get_json()["username"] == "catherine.m"
        assert staff.put(f"/v1/users/{CUSTOMER}/likes/{BUDDY}").status_code == 204
        assert_problem(staff.get(f"/v1/users/{NOBODY}"), 404)


class TestTenants:
    def test_a_token_is_good_in_the_tenant_that_it_was_made_in_alone(self, make_app: Callable[..., Flask]):
        client = make_app(demo=True).test_client()
        credentials = {"username": "keeper.jo", "password": "petstore-demo"}
        held = {"X-Tenant-ID": TENANT}
        answer = client.post("/v1/auth/tokens", json=credentials, headers=held).get_json()
        bearer_header = {"Authorization": f"Bearer {answer['token']}"}
        path = f"/v1/inventory/{BUDDY}"
        assert client.patch(path, json={"stock": 77}, headers=held | bearer_header).status_code == 200
        assert client.get(f"/v1/pets/{BUDDY}", headers=held).get_json()["stock"] == 77
        assert client.get(f"/v1/pets/{BUDDY}").get_json()["stock"] != 77
        for tenant in ({}, {"X-Tenant-ID": NOBODY}):
            assert_problem(client.patch(path, json={"stock": 1}, headers=bearer_header | tenant), 401, "invalid_token")

    def test_a_link_leads_back_to_its_own_tenant_and_opens_nothing_in_another(self, make_app: Callable[..., Flask]):
        client = make_app(demo=True).test_client()
        order = client.post("/v1/orders", json={"petId": BUDDY}, headers={"X-Tenant-ID": TENANT}).get_json()
        url = order["links"]["statusStream"]
        assert f"tenantId={TENANT}" in url
        assert stream(client, url) == 200
        for wrong in (url.replace(TENANT, NOBODY), url.replace(f"tenantId={TENANT}", "x=1")):
            assert_problem(client.get(wrong), 401, "invalid_token")


def test_a_clock_that_was_set_back_keeps_nobody_out(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(identity, "_last_tick", identity._last_tick)  # Ids of an hour to come would stay in this process.
    client, time_ns = make_app().test_client(), time.time_ns
    person = {"username": "clock", "email": "clock@example.com", "password": "a good password"}
    monkeypatch.setattr(time, "time_ns", lambda: time_ns() + 3600 * 10**9)
    user = client.post("/v1/users", json=person).get_json()
    monkeypatch.setattr(time, "time_ns", time_ns)
    token = client.post("/v1/auth/tokens", json={"username": "clock", "password": "a good password"}).get_json()["token"]
    assert client.get(f"/v1/users/{user['id']}", headers={"Authorization": f"Bearer {token}"}).status_code == 200


class TestATokenThatIsNotGood:
    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/v1/orders", {"petId": BUDDY}),
            ("/v1/runs", {"kind": "CHAT", "messages": [{"role": "user", "content": "hello"}]}),
            ("/v1/runs", {"kind": "RECOMMENDATIONS", "userId": CUSTOMER}),
            ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
        ],
    )
    def test_is_refused_before_anything_is_made(self, make_app: Callable[..., Flask], path: str, body: dict[str, Any]):
        app = make_app(demo=True)
        log = app.extensions["petstore"].log
        before = log.head()
        for client in (app.test_client(), signed_in(app, CUSTOMER)):
            assert_problem(client.post(f"{path}?token=x", json=body), 401, "invalid_token")
        assert log.head() == before


def test_no_cache_keeps_what_a_link_has_opened(client: FlaskClient):
    order = place(client)
    for opened in (order["links"]["self"], order["links"]["payment"]):
        assert client.get(opened).headers["Cache-Control"] == "no-store"
