"""What gunicorn quotes of a request that it could not read or serve doesn't reach the log: there may be a token in it."""

import logging

import pytest

from petstore.logs import DISCRETION, HIDING

TARGET = "/v1/orders/7/status/stream?token=hush"


@pytest.mark.parametrize(
    ("message", "arguments", "shown"),
    [
        ("Error handling request %s %s", ("GET", TARGET), "Error handling request GET /v1/orders/7/status/stream"),
        ("Error handling request %s", (TARGET,), "Error handling request /v1/orders/7/status/stream"),
        ("Error handling request (no URI read)", (), "Error handling request (no URI read)"),
        (
            f"Invalid request from ip=10.0.0.1: Invalid HTTP request line: 'GET {TARGET} 100% HTTP/7'",
            (),
            "Invalid request from ip=10.0.0.1: Invalid HTTP request line",
        ),
        ("Worker exiting (pid: %s)", (7,), "Worker exiting (pid: 7)"),
    ],
)
def test_nothing_is_quoted_that_may_hold_a_token(message: str, arguments: tuple[object, ...], shown: str):
    record = logging.LogRecord("gunicorn.error", logging.ERROR, "", 0, message, arguments, None)
    assert DISCRETION.filter(record)
    assert record.getMessage() == shown


def test_the_development_server_s_line_for_a_request_shows_no_token():
    arguments = (f'10.0.0.1 - - [23/Nov/2026 10:00:00] "GET {TARGET} HTTP/1.1" 200 -', "a", "b")
    record = logging.LogRecord("werkzeug", logging.INFO, "", 0, "%s %s %s", arguments, None)
    assert HIDING.filter(record)
    assert "hush" not in record.getMessage()
    assert "/v1/orders/7/status/stream?token=*** HTTP/1.1" in record.getMessage()
