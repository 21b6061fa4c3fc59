"""What bad input gets: the right problem, which names what is wrong, and nothing changed."""

from collections.abc import Callable
from io import BytesIO
from typing import Any, ClassVar

import gevent
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import petstore.api.body

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
NOBODY = "019b4127-0000-7000-8000-000000000000"
ORDERS, INVENTORY = "/v1/orders", "/v1/inventory"
JSON = "application/json"

State = Callable[[], object]


@pytest.fixture
def client(staff: FlaskClient) -> FlaskClient:
    """Signed in as staff, so that nothing is refused for want of a right."""
    return staff


def assert_problem(response: TestResponse, status: int, *errors: tuple[str, str]) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    problem: dict[str, Any] = response.get_json()
    assert problem["status"] == status
    assert problem["type"].startswith("https://petstoreapi.com/errors/")
    assert {"type", "title", "status", "instance"} <= problem.keys() <= {"type", "title", "status", "instance", "detail", "errors"}
    assert [(error["field"], error["code"]) for error in problem.get("errors", [])] == list(errors)
    assert all(error["message"] for error in problem.get("errors", []))
    assert "Traceback" not in response.text
    assert ".py" not in response.text
    return problem


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", f"/v1/pets/{NOBODY}", "pet"),
        ("GET", f"/v1/orders/{NOBODY}", "order"),
        ("POST", f"/v1/orders/{NOBODY}/payment", "order"),
        ("DELETE", f"/v1/orders/{NOBODY}", "order"),
    ],
)
def test_an_unknown_id_is_not_found(client: FlaskClient, state: State, method: str, path: str, detail: str):
    before = state()
    problem = assert_problem(client.open(path, method=method), 404)
    assert problem["detail"] == f"there is no {detail} {NOBODY}"
    assert problem["instance"] == path
    assert state() == before


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        (ORDERS, "POST", {"petId": NOBODY}),
        (ORDERS, "POST", {"petId": BUDDY, "userId": "user-457"}),
        (ORDERS, "POST", {"petId": BUDDY, "userId": NOBODY}),
        (f"{INVENTORY}/{NOBODY}", "PATCH", {"stock": 1}),
        (INVENTORY, "PATCH", {"changes": [{"petId": BUDDY, "stock": 77}, {"petId": NOBODY, "stock": 1}]}),
    ],
)
def test_a_body_with_an_unknown_pet_or_user_is_not_found(
    client: FlaskClient, state: State, path: str, method: str, body: dict[str, Any]
):
    before = state()
    assert_problem(client.open(path, method=method, json=body), 404)
    assert state() == before


@pytest.mark.parametrize("id", ["1", "user-456", NOBODY + "0", NOBODY.replace("-", ""), f"%7B{NOBODY}%7D", f"{NOBODY}%0A"])
@pytest.mark.parametrize(
    ("method", "path", "parameter"),
    [
        ("GET", "/v1/pets/{}", "petId"),
        ("GET", "/v1/orders/{}", "orderId"),
        ("POST", "/v1/orders/{}/payment", "orderId"),
        ("DELETE", "/v1/orders/{}", "orderId"),
        ("PATCH", "/v1/inventory/{}", "petId"),
    ],
)
def test_a_malformed_uuid_is_a_bad_request(client: FlaskClient, state: State, method: str, path: str, parameter: str, id: str):
    before = state()
    body = {"json": {"stock": 1}} if method == "PATCH" else {}
    response = client.open(path.format(id), method=method, **body)  # type: ignore[arg-type]
    assert_problem(response, 400, (parameter, "invalid_format"))
    assert state() == before


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ("page=0", "page", "out_of_range"),
        ("page=-1", "page", "out_of_range"),
        ("page=1000000000", "page", "out_of_range"),
        ("page=1.5", "page", "invalid_format"),
        ("page=", "page", "invalid_format"),
        ("page=%2B1", "page", "invalid_format"),
        ("page=1_0", "page", "invalid_format"),
        ("page=%D9%A1", "page", "invalid_format"),
        ("page=1%0A", "page", "invalid_format"),
        ("page=" + "9" * 5000, "page", "invalid_format"),
        ("limit=0", "limit", "out_of_range"),
        ("limit=101", "limit", "out_of_range"),
        ("species=FISH", "species", "invalid_format"),
        ("species=dog", "species", "invalid_format"),
        ("species=DOG%00", "species", "invalid_format"),
        ("status=SOLD", "status", "invalid_format"),
        ("size=", "size", "invalid_format"),
        ("ageMin=-1", "ageMin", "out_of_range"),
        ("ageMax=young", "ageMax", "invalid_format"),
        ("goodWithKids=yes", "goodWithKids", "invalid_format"),
    ],
)
def test_a_parameter_that_breaks_a_rule_is_a_bad_request_that_names_it(client: FlaskClient, query: str, parameter: str, code: str):
    problem = assert_problem(client.get(f"/v1/pets?{query}"), 400, (parameter, code))
    assert problem["instance"] == "/v1/pets"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"petId":',
        b"{'petId': 1}",
        b'{"petId": "a"} and more',
        b'{"petId": "\xe9"}',
        b'{"petId": "\xed\xa0\x80"}',
        rb'{"petId": "\ud800"}',
        '{"petId": "a"}'.encode("utf-16"),
        b'{"quantity": 01}',
        b'{"quantity": ' + b"9" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"petId":' * 100_000,
        b'{"petId":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"petId": "a\nb"}',
        b"\x00",
    ],
    ids=range(16),
)
@pytest.mark.parametrize(("path", "method"), [(ORDERS, "POST"), (INVENTORY, "PATCH"), (f"{INVENTORY}/{BUDDY}", "PATCH")])
def test_malformed_or_deeply_nested_json_is_a_bad_request(
    client: FlaskClient, state: State, path: str, method: str, content: bytes
):
    before = state()
    response = client.open(path, method=method, data=content, content_type=JSON)
    problem = assert_problem(response, 400, ("", "invalid_format"))
    assert problem["detail"].startswith("Invalid JSON")
    assert state() == before


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_is_not_declared_to_be_json_is_an_unsupported_media_type(
    client: FlaskClient, state: State, content_type: str | None
):
    before = state()
    response = client.post(ORDERS, data=b'{"petId": "%s"}' % BUDDY.encode(), content_type=content_type)
    problem = assert_problem(response, 415)
    assert problem["type"] == "https://petstoreapi.com/errors/unsupported-media-type"
    assert state() == before


def test_json_may_be_declared_with_a_charset_or_as_a_kind_of_json(client: FlaskClient):
    for content_type in ("application/json; charset=utf-8", "application/merge-patch+json"):
        response = client.patch(f"{INVENTORY}/{BUDDY}", data=b'{"stock": 9}', content_type=content_type)
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, [("petId", "required_field")]),
        ([], [("", "invalid_type")]),
        ("petId", [("", "invalid_type")]),
        ({"petId": 1}, [("petId", "invalid_type")]),
        ({"petId": None}, [("petId", "invalid_type")]),
        ({"petId": "1"}, [("petId", "invalid_format")]),
        ({"petId": f"{BUDDY}\n"}, [("petId", "invalid_format")]),
        ({"petId": f"{BUDDY[:-1]}\x00"}, [("petId", "invalid_format")]),
        ({"petId": f"{BUDDY}\r\ndata: x"}, [("petId", "invalid_format")]),
        ({"petId": BUDDY, "quantity": 0}, [("quantity", "out_of_range")]),
        ({"petId": BUDDY, "quantity": 101}, [("quantity", "out_of_range")]),
        ({"petId": BUDDY, "quantity": 10**30}, [("quantity", "out_of_range")]),
        ({"petId": BUDDY, "quantity": True}, [("quantity", "invalid_type")]),
        ({"petId": BUDDY, "quantity": 1.5}, [("quantity", "invalid_type")]),
        ({"petId": BUDDY, "quantity": "1"}, [("quantity", "invalid_type")]),
        ({"petId": BUDDY, "quantity": None}, [("quantity", "invalid_type")]),
        ({"petId": BUDDY, "userId": "root"}, [("userId", "invalid_format")]),
        ({"petId": BUDDY, "userId": "user-456\n"}, [("userId", "invalid_format")]),
        ({"petId": BUDDY, "userId": "user-" + "4" * 1000}, [("userId", "invalid_format")]),
        ({"petId": BUDDY, "userId": 456}, [("userId", "invalid_type")]),
        ({"petId": BUDDY, "status": "SHIPPED"}, [("status", "unknown_field")]),
        ({"pet_id": BUDDY}, [("petId", "required_field"), ("pet_id", "unknown_field")]),
        ({"petId": BUDDY, "a\r\nb\x00": 1}, [("a\r\nb\x00", "unknown_field")]),
        ({"petId": BUDDY, "x" * 1000: 1}, [("x" * 200, "unknown_field")]),
        ({"petId": BUDDY} | dict.fromkeys(map(str, range(50)), 1), [("", "unknown_field")]),
    ],
)
def test_an_order_out_of_rules_says_which_field_breaks_which(
    client: FlaskClient, state: State, body: object, errors: list[tuple[str, str]]
):
    before = state()
    problem = assert_problem(client.post(ORDERS, json=body), 422, *errors)
    assert problem["type"] == "https://petstoreapi.com/errors/validation-error"
    assert state() == before


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, [("", "required_field")]),
        ({"stock": None, "price": None}, [("", "required_field")]),
        ({"stock": -1}, [("stock", "out_of_range")]),
        ({"stock": 1_000_001}, [("stock", "out_of_range")]),
        ({"stock": True}, [("stock", "invalid_type")]),
        ({"stock": 1.5}, [("stock", "invalid_type")]),
        ({"stock": "5"}, [("stock", "invalid_type")]),
        ({"price": "9.999"}, [("price", "invalid_format")]),
        ({"price": 9.999}, [("price", "invalid_format")]),
        ({"price": "0"}, [("price", "out_of_range")]),
        ({"price": 0}, [("price", "out_of_range")]),
        ({"price": -1}, [("price", "out_of_range")]),
        ({"price": "-1"}, [("price", "invalid_format")]),
        ({"price": "1000000.01"}, [("price", "out_of_range")]),
        ({"price": 1e300}, [("price", "out_of_range")]),
        ({"price": "1e3"}, [("price", "invalid_format")]),
        ({"price": "1_000"}, [("price", "invalid_format")]),
        ({"price": " 1"}, [("price", "invalid_format")]),
        ({"price": "1\n"}, [("price", "invalid_format")]),
        ({"price": "1\x00"}, [("price", "invalid_format")]),
        ({"price": "\u0661"}, [("price", "invalid_format")]),
        ({"price": "NaN"}, [("price", "invalid_format")]),
        ({"price": float("nan")}, [("price", "out_of_range")]),
        ({"price": float("inf")}, [("price", "out_of_range")]),
        ({"price": True}, [("price", "invalid_type")]),
        ({"price": ["1"]}, [("price", "invalid_type")]),
        ({"stock": 5, "petId": BUDDY}, [("petId", "unknown_field")]),
        ({"stock": -1, "price": "x"}, [("stock", "out_of_range"), ("price", "invalid_format")]),
    ],
)
def test_a_change_out_of_rules_says_which_field_breaks_which(
    client: FlaskClient, state: State, body: object, errors: list[tuple[str, str]]
):
    before = state()
    assert_problem(client.patch(f"{INVENTORY}/{BUDDY}", json=body), 422, *errors)
    assert state() == before


GOOD = {"petId": BUDDY, "stock": 5}


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ([], [("changes", "out_of_range")]),
        ([GOOD] * 1001, [("changes", "out_of_range")]),
        ({}, [("changes", "invalid_type")]),
        ([GOOD, GOOD, GOOD, {"petId": BUDDY, "stock": -1}], [("changes.3.stock", "out_of_range")]),
        ([GOOD, {"petId": BUDDY}], [("changes.1", "required_field")]),
        ([{"stock": 1}], [("changes.0.petId", "required_field")]),
        ([{"petId": BUDDY, "stock": 1, "price.0": 1}], [("changes.0.price.0", "unknown_field")]),
        ([1, None], [("changes.0", "invalid_type"), ("changes.1", "invalid_type")]),
        ([dict.fromkeys("abcdefghijklmn", 1)] * 2, [("changes.0", "unknown_field"), ("changes.1", "unknown_field")]),
    ],
    ids=range(9),
)
def test_many_changes_are_refused_whole_with_the_path_of_what_is_wrong(
    client: FlaskClient, state: State, changes: object, errors: list[tuple[str, str]]
):
    before = state()
    assert_problem(client.patch(INVENTORY, json={"changes": changes}), 422, *errors)
    assert state() == before


def test_an_answer_lists_a_bounded_number_of_errors(client: FlaskClient):
    response = client.patch(INVENTORY, json={"changes": [dict.fromkeys("abcdefgh", 1)] * 1000})
    assert response.status_code == 422
    assert len(response.get_json()["errors"]) == 100
    assert len(response.data) < 20_000


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/pets", {"GET", "HEAD", "POST", "QUERY", "OPTIONS"}),
        ("POST", f"/v1/pets/{BUDDY}", {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}),
        ("PUT", "/v1/orders", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("PUT", f"/v1/orders/{BUDDY}", {"GET", "HEAD", "DELETE", "OPTIONS"}),
        ("POST", "/v1/inventory", {"GET", "HEAD", "PATCH", "OPTIONS"}),
        ("BREW", "/v1/inventory", {"GET", "HEAD", "PATCH", "OPTIONS"}),
        ("PUT", f"/v1/inventory/{BUDDY}", {"GET", "HEAD", "PATCH", "OPTIONS"}),
        ("POST", "/healthz", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(client: FlaskClient, method: str, path: str, allowed: set[str]):
    response = client.open(path, method=method)
    assert_problem(response, 405)
    assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path", ["/cats", "/v1", "/v1/", "/v1/cats", "/v1/pets/", f"/v1/pets/{BUDDY}/", "/v1/pets/a%2Fb", "/%0D%0AX:%20y"]
)
def test_an_unknown_path_is_not_found(client: FlaskClient, path: str):
    assert_problem(client.get(path), 404)


def test_the_problem_tells_the_path_as_a_uri_and_never_the_query(client: FlaskClient):
    response = client.get("/v1/p%C3%A9ts%0D%0A%00?token=hush")
    assert response.get_json()["instance"] == "/v1/p%C3%A9ts%0D%0A%00"
    assert "hush" not in response.text


MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(("path", "method"), [(ORDERS, "POST"), (INVENTORY, "PATCH"), (f"{ORDERS}/{NOBODY}/payment", "POST")])
@pytest.mark.parametrize("content_type", [JSON, "text/plain"])
def test_a_body_over_one_mebibyte_is_too_large(client: FlaskClient, state: State, path: str, method: str, content_type: str):
    before = state()
    response = client.open(path, method=method, data=b" " * (MEBIBYTE + 1), content_type=content_type)
    problem = assert_problem(response, 413)
    assert problem["title"] == "Content Too Large"
    assert state() == before


def test_a_body_over_one_mebibyte_in_chunks_is_too_large_and_not_read_to_its_end(client: FlaskClient, state: State):
    class Endless(BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size > 0, "reads in bounded pieces"
            self.taken += size
            return b" " * size

        def readinto(self, buffer: Any) -> int:
            buffer[:] = self.read(len(buffer))
            return len(buffer)

    body, before = Endless(), state()
    response = client.post(ORDERS, input_stream=body, content_type=JSON, environ_overrides={"wsgi.input_terminated": True})
    assert_problem(response, 413)
    assert body.taken < 2 * MEBIBYTE
    assert state() == before


def test_a_body_of_exactly_one_mebibyte_is_read(client: FlaskClient):
    body = b'{"petId": "%s"}' % BUDDY.encode()
    assert client.post(ORDERS, data=body.ljust(MEBIBYTE), content_type=JSON).status_code == 201


def test_a_body_in_malformed_chunks_is_a_bad_request(client: FlaskClient, state: State):
    class Malformed(BytesIO):
        def readinto(self, buffer: Any) -> int:
            raise RuntimeError("invalid chunk size")  # gunicorn's errors have no better base.

        read = readinto  # type: ignore[assignment]

    before = state()
    response = client.post(ORDERS, input_stream=Malformed(), content_type=JSON, environ_overrides={"wsgi.input_terminated": True})
    assert_problem(response, 400)
    assert state() == before


def test_a_body_of_which_less_came_than_was_announced_is_not_an_empty_one(client: FlaskClient, state: State):
    order = client.post("/v1/orders", json={"petId": BUDDY}).get_json()
    before = state()
    response = client.post(
        order["links"]["payment"],
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": "10", "wsgi.input": BytesIO(), "wsgi.input_terminated": True},
    )
    assert (response.status_code, state()) == (400, before)


def test_a_body_that_comes_too_slowly_is_not_waited_for(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch):
    class Connection:
        """A client that sends a byte now and then, so that no single wait is long."""

        timeouts: ClassVar[list[float | None]] = []

        def settimeout(self, timeout_s: float | None) -> None:
            self.timeouts.append(timeout_s)

    class Slowly(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            gevent.sleep(0.02)
            return b" "

    monkeypatch.setattr(petstore.api.body, "SLOWEST", 1e9)
    client = make_app(stuck_s=0.2).test_client()
    overrides = {"gunicorn.socket": Connection(), "wsgi.input_terminated": True, "wsgi.input": Slowly()}
    response = client.post("/v1/orders", content_length=100_000, content_type="application/json", environ_overrides=overrides)
    assert response.status_code == 400
    assert Connection.timeouts == [0.2, None]
