"""One operation as the document tells it: parameters, body, answers, problems, security, and where its answers lead.

Must not know which operations there are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from petstore.api.openapi.components import LIMIT_REFERENCES, Part, describe_header, problem_reference
from petstore.api.openapi.examples import example_of
from petstore.api.openapi.schemas import Direction, Schema, Schemas, schema_of, without_null
from petstore.api.openapi.streams import chunk_schema, item_schema, stream_models
from petstore.api.operation import Answer, EventStream, Operation
from petstore.api.wire import Representation

API = "/v1/"
"""Where tenants, callers and rate limits count."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where an operation is found. `path` has its variables as the wire names them, `tag` is the blueprint's name."""

    path: str
    method: str
    tag: str
    operation: Operation
    view: Callable[..., Any]


def models_of(operation: Operation) -> Iterator[tuple[type[BaseModel], Direction]]:
    """Yield every model that the operation's description refers to."""
    for model in (operation.path, operation.query, operation.body):
        if model is not None:
            yield model, "in"
    for answer in map(_answer, operation.answers.values()):
        if isinstance(answer.content, EventStream):
            yield from ((model, "out") for model in stream_models(answer.content))
        elif isinstance(answer.content, type):
            yield answer.content, "out"
        if answer.chunks is not None:
            yield from ((model, "out") for model in answer.chunks.models)


def describe_operation(route: Route, routes: Sequence[Route], schemas: Schemas) -> Part:
    """Return the operation object of a route; `routes` are all that its answers may lead to."""
    operation = route.operation
    summary, _, description = (route.view.__doc__ or "").partition("\n\n")
    described: Part = {
        "operationId": operation.id,
        "tags": [route.tag],
        "summary": summary.strip().removesuffix("."),
        "description": " ".join(description.split()),
        "parameters": [*_parameters(operation, schemas), *_common(route)],
        "responses": _responses(route, routes, schemas),
        "security": _security(operation),
    }
    if operation.body is not None:
        reference = schemas.reference(operation.body, "in")
        content: Part = {"schema": reference}
        if operation.body.part_types:
            parts = operation.body.part_types.items()
            content["encoding"] = {name: {"contentType": ", ".join(types)} for name, types in parts}
        else:
            content["example"] = example_of(schemas, reference)
        described["requestBody"] = {
            "required": not operation.body_optional,
            "content": dict.fromkeys(operation.body.media_types, content),
        }
    return {name: value for name, value in described.items() if value not in ("", []) or name == "security"}


def _answer(answer: Answer | type[Representation] | None) -> Answer:
    return answer if isinstance(answer, Answer) else Answer(answer)


def _common(route: Route) -> list[Part]:
    names = ["TenantHeader", "TenantQuery"] if route.path.startswith(API) else []
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _parameters(operation: Operation, schemas: Schemas) -> Iterator[Part]:
    for place, model in (("path", operation.path), ("query", operation.query)):
        if model is None:
            continue
        whole = schemas.resolve(schemas.reference(model, "in"))
        for name, schema in whole["properties"].items():
            yield _parameter(name, place, schema, name in whole.get("required", ()))
    for header in operation.headers:
        yield _parameter(header.name, "header", schema_of(header.type) | {"description": header.description}, header.required)


def _parameter(name: str, place: str, schema: Schema, required: bool) -> Part:
    schema = without_null(schema)
    described: Part = {"name": name, "in": place, "required": required or place == "path"}
    if "description" in schema:
        described["description"] = schema.pop("description")
    if schema.get("examples"):
        described["example"] = schema.pop("examples")[0]
    if schema.get("type") == "array":
        described |= {"style": "form", "explode": False}
    return described | {"schema": schema}


def _responses(route: Route, routes: Sequence[Route], schemas: Schemas) -> Part:
    operation = route.operation
    found = {str(status): _success(route, status, _answer(answer), routes, schemas) for status, answer in operation.answers.items()}
    return found | {str(status): problem_reference(status) for status in sorted(_problems(route))}


def _problems(route: Route) -> set[int]:
    operation = route.operation
    found = set(operation.problems)
    if route.path.startswith(API):
        # A tenant or a token that is none or may not, too many requests, a database that doesn't answer.
        found |= {400, 401, 403, 429, 500, 503}
    if operation.body is not None:
        found |= {413, 415, 422}
    return found


def _success(route: Route, status: int, answer: Answer, routes: Sequence[Route], schemas: Schemas) -> Part:
    headers = {header.name: describe_header(header) for header in answer.headers}
    if route.path.startswith(API):
        headers |= LIMIT_REFERENCES
    described: Part = {"description": answer.description or HTTPStatus(status).phrase, "headers": headers}
    match answer.content:
        case EventStream() as stream:
            described["content"] = {"text/event-stream": {"itemSchema": item_schema(stream, schemas)}}
        case str() as media_type:
            kind = {"text": {"type": "string"}, "image": {}}.get(media_type.partition("/")[0], {"type": "object"})
            described["content"] = {media_type: {"schema": kind}}
        case type() as model:
            reference = schemas.reference(model, "out")
            described["description"] = answer.description or _first_sentence(model)
            described["content"] = {"application/json": {"schema": reference, "example": example_of(schemas, reference)}}
            described["links"] = _links(route, schemas.resolve(reference), reference, routes)
    if answer.chunks is not None:
        described["content"]["text/event-stream"] = {"itemSchema": chunk_schema(answer.chunks, schemas)}
    return {name: value for name, value in described.items() if value != {}}


def _first_sentence(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _links(route: Route, schema: Schema, reference: Schema, routes: Sequence[Route]) -> Part:
    """Return where an answer that creates something leads: to every operation whose path has a variable for its id."""
    name = reference["$ref"].rpartition("/")[2]
    variable = f"{name[0].lower()}{name[1:]}Id"
    if route.method != "post" or "id" not in schema.get("properties", {}):
        return {}
    targets = [other.operation.id for other in routes if f"{{{variable}}}" in other.path]
    return {target: {"operationId": target, "parameters": {f"path.{variable}": "$response.body#/id"}} for target in targets}


def _security(operation: Operation) -> list[Part]:
    ways: list[Part] = [{"bearer": list(operation.scopes)}] if operation.scopes else []
    ways += [{"bearer": [scope]} for scope in operation.either]
    if operation.linked:
        ways.append({"link": []})
    if operation.guests and ways:
        ways.append({})
    return ways
