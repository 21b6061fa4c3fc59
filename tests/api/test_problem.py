"""Problems: their types and titles, the table from errors to HTTP, and what an unexpected error may not tell."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

import petstore.shop
from petstore.api import error
from petstore.api.problem import describe
from petstore.shop import NotSeeded
from petstore.sse import Error, InvalidCursor, LogUnavailable


@pytest.mark.parametrize(
    ("status", "slug", "title"),
    [
        (400, "bad-request", "Bad Request"),
        (401, "unauthorized", "Unauthorized"),
        (403, "forbidden", "Forbidden"),
        (404, "not-found", "Not Found"),
        (405, "method-not-allowed", "Method Not Allowed"),
        (406, "not-acceptable", "Not Acceptable"),
        (409, "conflict", "Conflict"),
        (412, "precondition-failed", "Precondition Failed"),
        (413, "content-too-large", "Content Too Large"),
        (415, "unsupported-media-type", "Unsupported Media Type"),
        (422, "validation-error", "Validation Error"),
        (429, "rate-limit-exceeded", "Too Many Requests"),
        (500, "internal-server-error", "Internal Server Error"),
        (503, "service-unavailable", "Service Unavailable"),
    ],
)
def test_every_status_has_its_type_and_title(status: int, slug: str, title: str):
    assert describe(status) == {"type": f"https://petstoreapi.com/errors/{slug}", "title": title, "status": status}


def errors_of(module: object) -> list[type[Error]]:
    # NotSeeded is met when a demo starts, and never by a view.
    found = [value for value in vars(module).values() if isinstance(value, type)]
    return [kind for kind in found if issubclass(kind, Error) and kind not in (Error, NotSeeded)]


@pytest.mark.parametrize("kind", [*errors_of(petstore.shop), *errors_of(error), InvalidCursor, LogUnavailable])
def test_every_error_that_a_view_can_meet_has_a_status(app: Flask, kind: type[Error]):
    assert kind in app.error_handler_spec[None][None]


def failing(app: Flask, failure: Exception) -> FlaskClient:
    def fail() -> str:
        raise failure

    app.add_url_rule("/fail", view_func=fail)
    app.add_url_rule("/fail/<rest>", "fail_too", lambda rest: fail())
    return app.test_client()


def test_an_unexpected_error_is_logged_with_its_traceback_and_not_told(app: Flask, caplog: pytest.LogCaptureFixture):
    client = failing(app, RuntimeError("the password is swordfish"))
    response = client.get("/fail?token=hush", headers={"Accept": "text/html"})
    assert response.status_code == 500
    assert response.get_json() == describe(500, instance="/fail")
    assert "swordfish" in caplog.text
    assert "Traceback" in caplog.text
    assert "hush" not in caplog.text


def test_a_path_with_line_breaks_cannot_forge_a_line_of_the_log(app: Flask, caplog: pytest.LogCaptureFixture):
    failing(app, RuntimeError()).get("/fail/%0D%0A2026-03-13 ERROR forged")
    assert [record.getMessage() for record in caplog.records] == [r"GET '/fail/\r\n2026-03-13 ERROR forged' failed"]


def test_a_database_that_does_not_answer_is_a_503_with_a_time_to_come_back_and_no_cause(app: Flask):
    response = failing(app, LogUnavailable("/var/lib/petstore.db is locked", retry_after_s=7)).get("/fail")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "7"
    assert "locked" not in response.text


def test_a_cursor_that_cannot_be_read_is_a_bad_request_that_names_its_parameter(app: Flask):
    response = failing(app, InvalidCursor("since", "must not lie in the future")).get("/fail")
    assert response.status_code == 400
    assert response.get_json()["errors"] == [{"field": "since", "message": "must not lie in the future", "code": "invalid_format"}]
