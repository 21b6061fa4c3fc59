"""Streams that are refused for now: who gets a goodbye, how it is told, and who gets a problem."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from petstore.sse import Decoder
from petstore.sse.error import Overtaken
from tests.api.conftest import BUDDY

BY_NAME = {"Accept": "text/event-stream"}
INVENTORY = "/v1/inventory/stream"


def refuse_all(app: Flask, reason: str) -> None:
    parts = app.extensions["petstore"]
    if reason == "draining":
        parts.feed.draining = True
    elif reason == "full":
        parts.admission.max_streams = 0
    elif reason == "too-many":
        parts.admission._max_per_holder = 0
    else:
        parts.log.close()
        Path(parts.settings.database_path).rename(Path(parts.settings.database_path).with_suffix(".away"))


@pytest.fixture
def target(make_app: Callable[..., Flask]) -> tuple[FlaskClient, str]:
    client = make_app().test_client()
    return client, client.post("/v1/orders", json={"petId": BUDDY}).get_json()["links"]["statusStream"]


@pytest.mark.parametrize("reason", ["draining", "full", "too-many", "unavailable"])
@pytest.mark.parametrize("form", ["named", "unnamed"])
def test_a_browser_is_told_why_and_when_to_come_back(target: tuple[FlaskClient, str], reason: str, form: str):
    client, url = target
    refuse_all(client.application, reason)
    response = client.get(f"{url}&events={form}", headers=BY_NAME)
    assert (response.status_code, response.mimetype) == (200, "text/event-stream")
    assert "Content-Length" not in response.headers, "a stream comes in chunks"
    decoder = Decoder()
    (event,) = decoder.feed(response.data)
    assert decoder.retry_ms
    assert not decoder.last_event_id
    assert event.type == ("goodbye" if form == "named" else "message")
    assert json.loads(event.data) == {"reason": reason} | ({"event": "goodbye"} if form == "unnamed" else {})


@pytest.mark.parametrize("reason", ["full", "too-many", "unavailable"])
def test_whoever_does_not_ask_for_event_streams_by_name_gets_a_problem(target: tuple[FlaskClient, str], reason: str):
    client, url = target
    refuse_all(client.application, reason)
    response = client.get(url)
    assert (response.status_code, response.mimetype) == (503, "application/problem+json")
    assert int(response.headers["Retry-After"]) > 0


def test_what_is_no_stream_is_unavailable_to_a_browser_too(target: tuple[FlaskClient, str]):
    client, _ = target
    refuse_all(client.application, "unavailable")
    assert client.get("/v1/inventory", headers=BY_NAME).status_code == 503


def test_whoever_is_overtaken_before_it_began_is_answered_by_the_table_too(
    target: tuple[FlaskClient, str], monkeypatch: pytest.MonkeyPatch
):
    def overtake(*_: object) -> None:
        raise Overtaken

    client, url = target
    monkeypatch.setattr("petstore.api.event_stream.open_at", overtake)
    assert client.get(url).status_code == 503
    assert client.get(url, headers=BY_NAME).status_code == 200


def test_each_refused_stream_is_counted(target: tuple[FlaskClient, str], monkeypatch: pytest.MonkeyPatch):
    client, _ = target
    refused: list[str] = []
    monkeypatch.setattr(client.application.extensions["petstore"].feed.observer, "refused", refused.append)
    refuse_all(client.application, "full")
    for headers in (BY_NAME, {}):
        client.get(INVENTORY, headers=headers)
    client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "hello"}]})
    assert refused[:2] == ["full", "full"]
