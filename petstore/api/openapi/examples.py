"""Examples, put together from those that the models' fields give, so that they are as true as the schemas.

Must not invent what a schema doesn't allow.
"""

from typing import Any

from petstore.api.openapi.schemas import Schema, Schemas

_BY_NAME: dict[str, Any] = {
    "id": "019b4132-70aa-764f-b315-e2803d882a24",
    "name": "Fluffy",
    "breed": "Persian",
    "color": "White",
    "description": "A quiet cat who likes to sleep in the sun.",
    "temperament": ["gentle"],
    "ageMonths": 18,
    "stock": 4,
    "healthNotes": None,
    "photos": [],
    "self": "/v1/pets?page=1&limit=20",
    "next": "/v1/pets?page=2&limit=20",
    "prev": None,
    "first": "/v1/pets?page=1&limit=20",
    "last": "/v1/pets?page=4&limit=20",
    "limit": 20,
    "totalItems": 72,
    "totalPages": 4,
    "field": "changes.3.stock",
    "message": "Input should be greater than or equal to 0",
    "code": "out_of_range",
    "topic": "inventory",
    "username": "ada.l",
    "email": "ada@example.com",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "preferences": "/v1/users/user-456/preferences",
    "likes": "/v1/users/user-456/likes",
    "recommendations": "/v1/pets/recommendations?userId=user-456",
    "recommendationStream": "/v1/pets/recommendations/stream?userId=user-456&token=…",
    "currency": "USD",
    "last4": "4242",
    "token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQ1NiJ9.c2lnbmF0dXJl",
}
"""What the members of these names hold, where their fields give no example."""

_BY_FORMAT = {
    "uuid": "019b4127-e295-7be4-976e-b77988a8b015",
    "date-time": "2026-03-13T10:30:00.000Z",
    "uri-reference": "/v1/pets",
    "binary": "",
}
_BY_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None, "object": {}, "array": []}


def example_of(schemas: Schemas, schema: Schema, name: str = "") -> Any:
    """Return a value that the schema, which is that of a member called `name`, allows."""
    schema = {**schemas.resolve(schema), **{key: value for key, value in schema.items() if key != "$ref"}}
    if "const" in schema:
        return schema["const"]
    if schema.get("examples"):
        return schema["examples"][0]
    if "properties" in schema:
        return {key: example_of(schemas, member, key) for key, member in schema["properties"].items()}
    if name in _BY_NAME:
        return _BY_NAME[name]
    if schema.get("default") not in (None, [], ""):
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            first, *others = schema[several]
            # Null where that can be and nothing better is known.
            known = "examples" in first or {"type": "null"} not in others
            return example_of(schemas, first, name) if known else None
    if schema.get("type") == "array":
        return [example_of(schemas, schema["items"])]
    if "additionalProperties" in schema and isinstance(schema["additionalProperties"], dict):
        return {"DOG": example_of(schemas, schema["additionalProperties"])}
    return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE[schema.get("type", "string")])
