"""What gunicorn quotes of a request that it could not read or serve doesn't reach the log: there may be a token in it."""

import logging

import pytest

from petstore.logs import DISCRETION

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
