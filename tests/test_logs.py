"""The log holds no token and no password, whoever writes the line and however it is written."""

import json
import logging
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from petstore.logs import ServerLogger, discreet, formatter

SECRET = "s3cr3t-t0k3n"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTQ1NiJ9.c2lnbmF0dXJl-_"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"GET /v1/orders/1?token={SECRET}&x=1", "GET /v1/orders/1?token=***&x=1"),
        (f"/v1/stream?x=1&token={SECRET}&token={SECRET}", "/v1/stream?x=1&token=***&token=***"),
        (f"Authorization: Bearer {SECRET}", "Authorization: Bearer ***"),
        (f"authorization=bearer%20{SECRET}", "authorization=bearer%20***"),
        (f'{{"username": "ada", "password": "{SECRET}"}}', '{"username": "ada", "password": "***"}'),
        (f'{{"token":"{SECRET}","tokenType":"Bearer"}}', '{"token":"***","tokenType":"Bearer"}'),
        (f"TOKEN={SECRET} PassWord: {SECRET} BASIC {SECRET}", "TOKEN=*** PassWord: *** BASIC ***"),
        (f"got {JWT} from somebody", "got *** from somebody"),
        (f"{{'password': '{SECRET}'}}", "{'password': '***'}"),
        ("stream opened topics=orders/1 address=127.0.0.1 gaps=0", "stream opened topics=orders/1 address=127.0.0.1 gaps=0"),
        ("the token is not one of ours", "the token is not one of ours"),
    ],
)
def test_secrets_are_taken_out_of_a_line_and_nothing_else(text: str, shown: str):
    assert discreet(text) == shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_neither_form_tells_a_secret_from_message_facts_or_traceback(form: str):
    try:
        raise ValueError(f"GET /v1/x?token={SECRET} with Authorization: Bearer {SECRET}")
    except ValueError as error:
        record = logging.LogRecord(
            "petstore", logging.ERROR, "", 1, "%s failed", (f"/x?token={SECRET}",), (type(error), error, None)
        )
    record.facts = {"target": f"/v1/x?token={SECRET}", "body": {"password": SECRET}}
    line = formatter(form).format(record)
    assert "failed" in line
    assert SECRET not in line
    if form == "json":
        assert json.loads(line)["target"] == "/v1/x?token=***"


def test_gunicorn_s_access_log_if_somebody_turns_it_on_shows_no_secret():
    logger = ServerLogger.__new__(ServerLogger)
    logger.cfg = Config()
    environ = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": f"/v1/orders/1?token={SECRET}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "QUERY_STRING": f"token={SECRET}",
        "PATH_INFO": "/v1/orders/1",
        "HTTP_AUTHORIZATION": f"Bearer {SECRET}",
        "HTTP_REFERER": f"http://shop.example/?token={SECRET}",
    }
    headers = [("Authorization", f"Bearer {SECRET}"), ("Cookie", SECRET)]
    response = SimpleNamespace(status="200 OK", response_length=1, sent=1, headers=[("Location", f"/x?token={SECRET}")])
    took = SimpleNamespace(seconds=0, microseconds=1)
    atoms = logger.atoms(response, SimpleNamespace(headers=headers), environ, took)
    assert atoms["r"] == "GET /v1/orders/1?token=*** HTTP/1.1"
    assert not [name for name, value in atoms.items() if SECRET in str(value)]
