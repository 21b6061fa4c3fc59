"""The whole document: what the API is, its paths, and what they have in common.

Must not know JSON Schema, nor how an operation is told.
"""

import re
from collections.abc import Iterator
from typing import Any

from flask import Flask
from pydantic.alias_generators import to_camel

from petstore.api.openapi.components import COMMON_HEADERS, COMMON_PARAMETERS, SECURITY_SCHEMES, problem_responses
from petstore.api.openapi.operations import Route, describe_operation, models_of
from petstore.api.openapi.schemas import Schemas
from petstore.api.operation import operation_of
from petstore.api.problem import Problem

VERSION = "0.1.0"

DESCRIPTION = """\
The streaming API of the Modern PetstoreAPI: pets, orders and an inventory, and live streams of what happens to them.

Every stream is made of Server-Sent Events. A client that was cut comes back with the last id that it holds, in `Last-Event-ID` or \
`?lastEventId=`, and has lost nothing. Parameters that no operation knows are ignored; unknown members of a body are refused. \
Whatever is refused is a problem (RFC 9457), and has changed nothing.
"""

TAGS = {
    "pets": "The pets that the shop sells.",
    "images": "Photos of pets.",
    "orders": "Orders, from their placing to their shipment.",
    "payments": "Paying for orders.",
    "inventory": "Stock and prices.",
    "users": "Customers and staff: their accounts, what they look for and what they like.",
    "tokens": "Signing in.",
    "recommendations": "Pets that may suit a customer.",
    "chat": "Answers about the shop's pets, for OpenAI's clients.",
    "runs": "Generations, which outlive connections.",
    "streams": "What happens in the shop, as it happens.",
    "health": "For whoever runs the server.",
    "metrics": "For whoever watches the server.",
    "openapi": "This description.",
}

_VARIABLE = re.compile(r"<(?:[^:>]+:)?([a-z_]+)>")


def describe_api(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document of every route of `app` that has an Operation."""
    routes = sorted(_routes(app), key=lambda route: (list(TAGS).index(route.tag), route.path))
    schemas = Schemas([(Problem, "out"), *(model for route in routes for model in models_of(route.operation))])
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method] = describe_operation(route, routes, schemas)
    responses = problem_responses()
    tags = [{"name": name, "description": text} for name, text in TAGS.items() if any(route.tag == name for route in routes)]
    return {
        "openapi": "3.2.0",
        "info": {
            "title": "Petstore",
            "version": VERSION,
            "summary": "A pet shop whose every change can be followed live",
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.used_by(paths, responses),
            "responses": responses,
            "parameters": COMMON_PARAMETERS,
            "headers": COMMON_HEADERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _routes(app: Flask) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        operation = operation_of(app.view_functions[rule.endpoint])
        if operation is not None:
            path = _VARIABLE.sub(lambda match: f"{{{to_camel(match[1])}}}", rule.rule)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield Route(path, method.lower(), rule.endpoint.partition(".")[0], operation, app.view_functions[rule.endpoint])
