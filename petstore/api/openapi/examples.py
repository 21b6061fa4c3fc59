"""Examples, put together from those that the models' fields give, so that they are as true as the schemas.

Must not invent what a schema doesn't allow.
"""

from typing import Any

from petstore.api.openapi.schemas import Schema, Schemas

_BY_FORMAT = {
    "uuid": "019b4127-e295-7be4-976e-b77988a8b015",
    "date-time": "2026-03-13T10:30:00.000Z",
    "uri-reference": "/v1/pets",
    "binary": "",
}
_BY_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None, "object": {}, "array": []}


def example_of(schemas: Schemas, schema: Schema, *, required_only: bool = False) -> Any:
    """Return a value that the schema allows; with `required_only`, without the members that may be left out."""
    schema = {**schemas.resolve(schema), **{name: value for name, value in schema.items() if name != "$ref"}}
    for known in ("const", "default"):
        if schema.get(known) not in (None, [], ""):
            return schema[known]
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return example_of(schemas, schema[several][0], required_only=required_only)
    if "properties" in schema:
        left_out = set(schema["properties"]) - set(schema.get("required", ())) if required_only else set()
        return {
            name: example_of(schemas, member, required_only=required_only)
            for name, member in schema["properties"].items()
            if name not in left_out
        }
    if schema.get("type") == "array" and "items" in schema:
        return [example_of(schemas, schema["items"], required_only=required_only)]
    if "format" in schema:
        return _BY_FORMAT.get(schema["format"], "text")
    return (
        max(_BY_TYPE[schema.get("type", "string")], schema.get("minimum", 0))
        if schema.get("type") == "integer"
        else _BY_TYPE[schema.get("type", "string")]
    )
