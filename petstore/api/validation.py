"""From what pydantic finds wrong to the errors of a problem: which field, what is wrong with it, and one of our few codes.

Must not know where the input came from.
"""

from collections.abc import Sequence
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from petstore.api.error import Code, FieldError

MAX_ERRORS = 100
"""Errors that one answer lists: nobody grows wiser from more."""

MAX_PATH = 200
"""Characters of an error's field, which is the client's text where the field is unknown."""


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return what broke the rules of a model, each with the path to it."""
    found = error.errors(include_url=False, include_input=False)[:MAX_ERRORS]
    return [
        FieldError(".".join(map(str, details["loc"]))[:MAX_PATH], _message(details), _code(details["type"])) for details in found
    ]


def parameter_errors(error: ValidationError) -> list[FieldError]:
    """Return the same of parameters: each is named once, however many of the values that it lists are wrong."""
    found: dict[str, FieldError] = {}
    for wrong in field_errors(error):
        name = wrong.field.partition(".")[0]
        found.setdefault(name, FieldError(name, wrong.message, wrong.code))
    return list(found.values())


def _message(details: ErrorDetails) -> str:
    """Return what goes on from the field's name: "must be a UUID"."""
    match details["type"]:
        case "missing":
            return "is required"
        case "enum" | "literal_error":
            return f"must be {details['ctx']['expected'].replace(chr(39), '')}"
    return details["msg"].removeprefix("Value error, ")


_OURS: Sequence[Code] = get_args(Code)

_CODES: dict[str, Code] = {
    **{code: code for code in _OURS},
    "missing": "required_field",
    "extra_forbidden": "unknown_field",
    "int_from_float": "invalid_type",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "finite_number": "out_of_range",
    "too_long": "out_of_range",
    "too_short": "out_of_range",
    "string_too_long": "out_of_range",
    "string_too_short": "out_of_range",
}


def _code(kind: str) -> Code:
    """Return our code for pydantic's kind of error, of which there are a hundred, and more with each release."""
    return _CODES.get(kind) or ("invalid_type" if kind.endswith("_type") else "invalid_format")
