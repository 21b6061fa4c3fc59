"""JSON Schemas of our models, as components of the document and references to them.

Must not know operations.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

REFERENCE = "#/components/schemas/{model}"

Schema = dict[str, Any]
Direction = Literal["in", "out"]

_MODES: dict[Direction, JsonSchemaMode] = {"in": "validation", "out": "serialization"}


class _WithoutTitles(GenerateJsonSchema):
    """pydantic's generator, without a title for each field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class Schemas:
    """The schemas of a set of models, each with the direction in which it travels: the two may differ."""

    def __init__(self, models: Iterable[tuple[type[BaseModel], Direction]]) -> None:
        wanted = [(model, _MODES[direction]) for model, direction in dict.fromkeys(models)]
        found, everything = models_json_schema(wanted, ref_template=REFERENCE, schema_generator=_WithoutTitles)
        self._found = {key: _renamed(schema) for key, schema in found.items()}
        self._components: dict[str, Schema] = {_name(name): _renamed(schema) for name, schema in everything["$defs"].items()}

    def reference(self, model: type[BaseModel], direction: Direction) -> Schema:
        """Return a reference to a model's schema."""
        return dict(self._found[model, _MODES[direction]])

    def resolve(self, schema: Schema) -> Schema:
        """Return what a reference stands for, and any other schema as it is."""
        return self._components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def used_by(self, *parts: object) -> dict[str, Schema]:
        """Return the components that these parts of the document refer to, and those that these refer to."""
        used: set[str] = set()
        new = set().union(*map(_names, parts))
        while new:
            used |= new
            new = set().union(*(_names(self._components[name]) for name in new)) - used
        return {name: self._components[name] for name in sorted(used)}


def schema_of(type_: Any) -> Schema:
    """Return the schema of a type that isn't a model, such as a header's."""
    return TypeAdapter(type_).json_schema(schema_generator=_WithoutTitles)


def without_null(schema: Schema) -> Schema:
    """Return the schema of a parameter, for which "not given" is no value: without null, and without null as its default."""
    if "anyOf" in schema and {"type": "null"} in schema["anyOf"]:
        others = [other for other in schema["anyOf"] if other != {"type": "null"}]
        rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
        schema = {**others[0], **rest} if len(others) == 1 else {"anyOf": others, **rest}
    return {name: value for name, value in schema.items() if not (name == "default" and value in (None, []))}


def _names(part: object) -> set[str]:
    """Return the components that a part of the document refers to."""
    found = re.findall(re.escape(f'"{REFERENCE.format(model="")}') + '([^"]+)"', json.dumps(part))
    return set(found)


def _name(name: str) -> str:
    """Return a model's name in the document: a PetRepresentation is a Pet to whoever reads it."""
    return name.replace("Representation", "") or name


def _renamed(schema: Any) -> Any:
    match schema:
        case {"$ref": str(reference), **rest}:
            path, _, name = reference.rpartition("/")
            return {"$ref": f"{path}/{_name(name)}", **_renamed(rest)}
        case dict():
            # A default of null says no more than "may be missing", and in a merge patch something else.
            kept = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
            return {
                key: _name(value) if key == "title" and isinstance(value, str) else _renamed(value) for key, value in kept.items()
            }
        case list():
            return [_renamed(item) for item in schema]
    return schema
