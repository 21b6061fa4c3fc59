"""What a stream holds, as the OpenAPI registry models Server-Sent Events: each event is an object with the standard's fields.

`data` is text that is JSON, and `contentSchema` says which: one schema for each type of event. Must not know which streams
there are.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, create_model

from petstore.api.event_data import Failure, Gap, Goodbye
from petstore.api.openapi.examples import example_of
from petstore.api.openapi.schemas import Schema, Schemas
from petstore.api.operation import Chunks, EventStream
from petstore.sse import DEFAULT_TYPE

CONTROLS: Mapping[str, type[BaseModel]] = {"gap": Gap, "goodbye": Goodbye, "error": Failure}
"""The events of every stream that aren't in the log. They carry no id, while the `error` of a run that failed does."""

_DURABLE: Schema = {
    "type": "string",
    "pattern": "^[0-9]{1,18}$",
    "description": "Microseconds since 1970, strictly increasing: what to send as Last-Event-ID to go on after this event.",
    "examples": ["1795377599860484"],
}
_KEPT = {"type": "string", "description": "None is sent. By the standard, a client keeps that of the event before."}
_RETRY = {"type": "integer", "minimum": 0, "description": "Milliseconds to wait before coming back."}


def stream_models(stream: EventStream) -> Iterator[type[BaseModel]]:
    """Yield every model that an event's data can have in this stream."""
    for _, model, _ in _variants(stream):
        yield model


def item_schema(stream: EventStream, schemas: Schemas) -> Schema:
    """Return the schema of one event of this stream."""
    events = [_event(schemas, type_, schemas.reference(model, "out"), durable) for type_, model, durable in _variants(stream)]
    return {"type": "object", "required": ["data"], "anyOf": events}


def chunk_schema(chunks: Chunks, schemas: Schemas) -> Schema:
    """Return the schema of one event of a stream in another dialect than ours."""
    texts: list[Schema] = []
    for model in chunks.models:
        data = schemas.reference(model, "out")
        example = json.dumps(example_of(schemas, data))
        texts.append({"type": "string", "contentMediaType": "application/json", "contentSchema": data, "examples": [example]})
    texts += [{"type": "string", "const": word} for word in chunks.words]
    return {"type": "object", "required": ["data"], "properties": {"data": {"anyOf": texts}}}


def _variants(stream: EventStream) -> Iterator[tuple[str, type[BaseModel], bool]]:
    """Yield each type of event, the model of its data, and whether it's in the log: named, and then as `events=unnamed` has it."""
    durable = [(type_, _told(model, stream)) for type_, models in stream.events.items() for model in models]
    controls = [(type_, _told(model, stream) if model is Gap else model) for type_, model in CONTROLS.items()]
    for type_, model in durable:
        yield type_, model, True
    for type_, model in controls:
        yield type_, model, False
    for type_, model in durable:
        if type_ != DEFAULT_TYPE:
            yield DEFAULT_TYPE, model, True
    for type_, model in controls:
        yield DEFAULT_TYPE, _unnamed(model, type_), False


def _told(model: type[BaseModel], stream: EventStream) -> type[BaseModel]:
    return _with_topic(model) if stream.with_topic else model


@cache
def _with_topic(model: type[BaseModel]) -> type[BaseModel]:
    return create_model(f"{model.__name__}WithTopic", __base__=model, __doc__=model.__doc__, topic=(str, ...))


@cache
def _unnamed(model: type[BaseModel], type_: str) -> type[BaseModel]:
    name: Any = Literal[type_]
    return create_model(f"Unnamed{model.__name__}", __base__=model, __doc__=model.__doc__, event=(name, ...))


def _event(schemas: Schemas, type_: str, data: Schema, durable: bool) -> Schema:
    named = type_ != DEFAULT_TYPE
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    id = {"id": _DURABLE["examples"][0]} if durable else {}
    return {
        "title": type_,
        "required": ["data", *["event"] * named, *["id"] * durable],
        "properties": {"event": {"const": type_}, "data": text, "id": _DURABLE if durable else _KEPT, "retry": _RETRY},
        "examples": [{"event": type_, "data": json.dumps(example_of(schemas, data)), **id}],
    }
