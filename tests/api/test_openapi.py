"""The description: it's valid, it holds every route and nothing else, and what it says by example is true."""

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV32SpecValidator
from pydantic.alias_generators import to_camel

from petstore.api.bearer import Scope
from petstore.sse import Decoder
from tests.api.conftest import NOBODY, STAFF, authorization
from tests.described import offences, told_by

ROOT = Path(__file__).resolve().parents[2]

WEB = "web."
"""Pages are for people: they are no operations."""


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/v1/openapi.json").get_json()
    return found


def test_it_is_a_valid_openapi_document(document: dict[str, Any]):
    assert document["openapi"] == "3.2.0"
    assert document["info"]["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert list(OpenAPIV32SpecValidator(document).iter_errors()) == []


def test_as_yaml_it_says_the_same(client: FlaskClient, document: dict[str, Any]):
    response = client.get("/v1/openapi.yaml")
    assert response.mimetype == "application/yaml"
    assert yaml.safe_load(response.text) == document


def test_every_route_is_an_operation_and_every_operation_a_route(app: Flask, document: dict[str, Any]):
    routes = set()
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith(WEB):
            path = re.sub(r"<(?:[^:>]+:)?([a-z_]+)>", lambda match: f"{{{to_camel(match[1])}}}", rule.rule)
            routes |= {(path, method.lower()) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert routes == {(path, method) for path, item in document["paths"].items() for method in item}


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{method} {path}": operation for path, item in document["paths"].items() for method, operation in item.items()}


def test_every_operation_says_what_it_is_for_under_a_name_of_its_own(document: dict[str, Any]):
    found = operations(document)
    assert len({operation["operationId"] for operation in found.values()}) == len(found)
    for name, operation in found.items():
        assert re.fullmatch("[a-z][A-Za-z]+", operation["operationId"]), name
        assert operation["summary"], name
        assert len(operation["tags"]) == 1, name
    assert {operation["tags"][0] for operation in found.values()} == {tag["name"] for tag in document["tags"]}


def test_every_operation_names_its_problems_and_they_all_look_the_same(document: dict[str, Any]):
    for name, operation in operations(document).items():
        for status, response in operation["responses"].items():
            assert (status >= "400") == (response.get("$ref") == f"#/components/responses/Problem{status}"), name
    for status, response in document["components"]["responses"].items():
        assert list(response["content"]) == ["application/problem+json"], status
        assert response["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_every_operation_needs_of_a_bearer_token_what_it_says(app: Flask, document: dict[str, Any]):
    client = app.test_client()

    def ask(name: str, scopes: Iterable[Scope] | None) -> int:
        method, path = name.split()
        path = re.sub("{[^}]*}", NOBODY, path)
        held = {} if scopes is None else authorization(STAFF, scopes=scopes)
        with client.open(path, method=method, headers=held) as response:
            return response.status_code

    for name, operation in operations(document).items():
        ways = operation["security"]
        asked = [way["bearer"] for way in ways if "bearer" in way]
        if not ways:
            assert not {ask(name, None), ask(name, [])} & {401, 403}, name
        elif {} not in ways:
            assert ask(name, None) == 401, name
        if len(asked) == 1:
            assert [ask(name, set(Scope) - {scope}) for scope in asked[0]] == [403] * len(asked[0]) != [], name
    ways = {operation["operationId"]: operation["security"] for operation in operations(document).values()}
    several = {name for name, ways in ways.items() if sum("bearer" in way for way in ways) > 1}
    assert several == {"streamTopics", "createRun", "getRun", "streamRun", "stopRun"}


def test_every_schema_is_of_use_and_says_what_it_stands_for(document: dict[str, Any]):
    text = json.dumps(document)
    for name, schema in document["components"]["schemas"].items():
        assert f'"#/components/schemas/{name}"' in text, name
        assert schema.get("description"), name
        assert "Body" not in name, name


def media_types(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every media type object that has an example, by where it stands."""
    found: dict[str, dict[str, Any]] = {}
    for name, operation in operations(document).items():
        contents = {"body": operation.get("requestBody", {})} | operation["responses"]
        for place, part in contents.items():
            found |= {f"{name} {place} {kind}": content for kind, content in part.get("content", {}).items()}
    for status, response in document["components"]["responses"].items():
        found[status] = response["content"]["application/problem+json"]
    return {place: content for place, content in found.items() if "example" in content}


def test_every_example_is_valid_and_comes_from_the_shop_s_life(document: dict[str, Any]):
    found = media_types(document)
    assert len(found) > 20
    for place, content in found.items():
        assert offences(document, content["schema"], content["example"]) == [], place
        assert '"text"' not in json.dumps(content["example"]), f"{place}: a field has neither an example nor a default"


def test_every_parameter_s_example_is_valid(document: dict[str, Any]):
    for operation in operations(document).values():
        for parameter in operation.get("parameters", []):
            if "example" in parameter and parameter["schema"].get("type") != "array":
                assert offences(document, parameter["schema"], parameter["example"]) == [], parameter["name"]


def test_every_stream_tells_its_events_one_by_one_each_with_a_true_example(document: dict[str, Any]):
    streams = {
        name: operation["responses"]["200"]["content"]["text/event-stream"]
        for name, operation in operations(document).items()
        if name.startswith("get ") and "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    }
    assert set(streams) >= {f"get {path}" for path in document["paths"] if path.endswith("/stream")}
    for name, content in streams.items():
        events = content["itemSchema"]["anyOf"]
        assert {"gap", "goodbye", "error"} <= {event["title"] for event in events}, name
        for event in events:
            data = event["properties"]["data"]
            assert (data["type"], data["contentMediaType"]) == ("string", "application/json")
            (example,) = event["examples"]
            assert data["contentSchema"]["$ref"].rpartition("/")[2] in told_by(document, name.removeprefix("get "), example)


QUESTION = {"messages": [{"role": "user", "content": "a quiet cat"}]}


@pytest.mark.parametrize("casing", [{}, {"model": "PET_ADVISOR_1"}])
def test_a_chat_is_told_whole_and_in_chunks_as_it_is_answered(
    customer: FlaskClient, document: dict[str, Any], casing: dict[str, Any]
):
    contents = document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    whole = customer.post("/v1/chat/completions", json=QUESTION | casing).get_json()
    assert offences(document, contents["application/json"]["schema"], whole) == []
    *texts, word = contents["text/event-stream"]["itemSchema"]["properties"]["data"]["anyOf"]
    assert word["const"] == "[DONE]"
    options = {"stream": True, "stream_options": {"include_usage": True}}
    streamed = customer.post("/v1/chat/completions", json=QUESTION | casing | options)
    *chunks, done = [event.data for event in Decoder().feed(streamed.data)]
    assert done == word["const"]
    assert chunks
    for chunk in chunks:
        assert sum(offences(document, text["contentSchema"], json.loads(chunk)) == [] for text in texts) == 1
    for text in texts:
        assert offences(document, text["contentSchema"], json.loads(text["examples"][0])) == []


@pytest.mark.parametrize("body", [{"kind": "CHAT", **QUESTION}, {"kind": "RECOMMENDATIONS", "userId": "user-456"}])
def test_a_run_is_shown_and_streamed_as_it_is_described(customer: FlaskClient, document: dict[str, Any], body: dict[str, Any]):
    run = customer.post("/v1/runs", json=body).get_json()
    answers = document["paths"]["/v1/runs/{runId}"]["get"]["responses"]
    shown = customer.get(run["links"]["self"]).get_json()
    assert offences(document, answers["200"]["content"]["application/json"]["schema"], shown) == []
    for event in Decoder().feed(customer.get(run["links"]["stream"]).data):
        fields = {"event": event.type, "data": event.data, "id": event.last_event_id}
        assert len(told_by(document, "/v1/runs/{runId}/stream", fields)) == 1
