"""What the OpenAPI document allows, as a validator that isn't ours understands it."""

import json
from typing import Any

from openapi_schema_validator import OAS32Validator

Document = dict[str, Any]


def offences(document: Document, schema: Any, value: object) -> list[str]:
    """Return where a value isn't what a schema that stands in the document allows."""
    # The schema's references begin at the root of the document.
    whole = {"components": document["components"], "allOf": [schema]}
    validator = OAS32Validator(whole, format_checker=OAS32Validator.FORMAT_CHECKER)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def item_schema(document: Document, path: str) -> Any:
    """Return the schema of the events of the stream at a path of the document."""
    return document["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]["itemSchema"]


def told_by(document: Document, path: str, event: dict[str, Any]) -> list[str]:
    """Return the data's schemas that allow an event of this stream: none, if it's not described."""
    assert offences(document, item_schema(document, path), event) == []
    found = []
    for variant in item_schema(document, path)["anyOf"]:
        data = variant["properties"]["data"]["contentSchema"]
        if not offences(document, variant, event) and not offences(document, data, json.loads(event["data"])):
            found.append(data["$ref"].rpartition("/")[2])
    return found
