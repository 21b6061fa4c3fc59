"""Parameters of the query and the path. What breaks a rule raises InvalidRequest, which names the parameter.

Parameters that nobody asks for are ignored. Must not read the body, nor look anything up.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar

from flask import request
from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import int_schema, no_info_before_validator_function

from petstore.api.error import InvalidRequest
from petstore.api.identifier import OrderId, PetId, read_customer_id, read_uuid
from petstore.api.validation import parameter_errors

MAX_PAGE = 1_000_000
"""The database counts its way to a page, so one far beyond any list would cost much and show nothing."""

MAX_LIMIT = 100
DEFAULT_LIMIT = 20

# Python's own int() would also take "+1", "1_000", spaces and other alphabets' digits.
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")

W = TypeVar("W", bound=str)
D = TypeVar("D")


class Parameters(BaseModel):
    """The base of models of parameters, which are text: camelCase on the wire, unknown ones ignored."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    @classmethod
    def check(cls, given: Mapping[str, Any]) -> Self:
        """Return what was given as this model. Raises InvalidRequest, which names every parameter that breaks a rule."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong = parameter_errors(error)
            detail = "some parameters break their rules; errors says which"
            raise InvalidRequest(f"{wrong[0].field} {wrong[0].message}" if len(wrong) == 1 else detail, wrong) from None


class Query(Parameters):
    """The base of queries. A parameter that occurs twice counts with its first value."""

    @classmethod
    def read(cls) -> Self:
        """Return the query of the current request. Raises InvalidRequest."""
        return cls.check(request.args.to_dict())


class Path(Parameters):
    """The base of what a path names; its fields are the variables of the route."""

    names: ClassVar[dict[str, str]] = {}
    """By the variables' names, what they are called on the wire."""

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        cls.names = {name: str(field.alias) for name, field in cls.model_fields.items()}

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> dict[str, Any]:
        """Return a route's variables in the form in which ids are stored. Raises InvalidRequest."""
        return dict(cls.check({cls.names[name]: text for name, text in variables.items()}))


class PetPath(Path):
    """Names a pet."""

    pet_id: PetId


class OrderPath(Path):
    """Names an order."""

    order_id: OrderId


def _read_flag(text: Any) -> Any:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _split(text: Any) -> Any:
    return text.split(",") if isinstance(text, str) else text


Flag = Annotated[bool, BeforeValidator(_read_flag)]
"""`true` or `false`, and nothing else that might be meant by it."""

Listed = BeforeValidator(_split)
"""Makes a tuple of values separated by commas: `Annotated[tuple[Species, ...], Listed]`, after any Field."""


@dataclass(frozen=True, slots=True)
class Between:
    """Makes whole numbers from `lowest` to `highest`: `Annotated[int, Between(1, 100)]`."""

    lowest: int
    highest: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(self._read, int_schema(ge=self.lowest, le=self.highest))

    def _read(self, text: Any) -> int:
        allowed = f"from {self.lowest} to {self.highest}"
        if not _WHOLE_NUMBER.fullmatch(str(text)):
            raise ValueError(f"must be a whole number {allowed}")
        if not self.lowest <= int(text) <= self.highest:
            raise PydanticCustomError("out_of_range", "must be {allowed}", {"allowed": allowed})
        return int(text)


class PageQuery(Query):
    """Which page of a list is wanted, and how many items it has."""

    page: Annotated[int, Between(1, MAX_PAGE)] = 1
    limit: Annotated[int, Between(1, MAX_LIMIT)] = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Header:
    """A header of a request or of an answer, for the description. `type` is what pydantic makes a schema of."""

    name: str
    type: Any
    description: str
    required: bool = False


LOCATION = Header(
    "Location", Annotated[str, WithJsonSchema({"type": "string", "format": "uri-reference"})], "Where it is found.", True
)


def choice(name: str, words: Iterable[W], default: D) -> W | D:
    """Return the one of `words` that the parameter is, or `default` when it isn't given."""
    text = request.args.get(name)
    return default if text is None else _one_of(name, text, words)


def choices(name: str, words: Iterable[W]) -> tuple[W, ...]:
    """Return those of `words` that the parameter lists, separated by commas; none when it isn't given."""
    text = request.args.get(name)
    words = tuple(words)
    return () if text is None else tuple(_one_of(name, part, words) for part in text.split(","))


def boolean(name: str) -> bool | None:
    """Return whether the parameter is `true`, or None when it isn't given."""
    text = choice(name, ("true", "false"), None)
    return None if text is None else text == "true"


def whole_number(name: str, lowest: int, highest: int, default: D) -> int | D:
    """Return the parameter, from `lowest` to `highest`, or `default` when it isn't given."""
    text = request.args.get(name)
    if text is None:
        return default
    if not _WHOLE_NUMBER.fullmatch(text):
        raise InvalidRequest.parameter(name, f"must be a whole number from {lowest} to {highest}")
    number = int(text)
    if not lowest <= number <= highest:
        raise InvalidRequest.parameter(name, f"must be from {lowest} to {highest}", "out_of_range")
    return number


def requested_page(max_limit: int = MAX_LIMIT, default_limit: int = DEFAULT_LIMIT) -> tuple[int, int]:
    """Return `page`, from 1 on, and `limit`, the number of items on it."""
    return whole_number("page", 1, MAX_PAGE, 1), whole_number("limit", 1, max_limit, default_limit)


def identifier(name: str, text: str) -> str:
    """Return `text`, which is the parameter `name`, as a UUID in the form in which ids are stored."""
    return _read(name, text, read_uuid)


def customer_identifier(name: str) -> str:
    """Return the customer id that the query must give as `name`."""
    text = request.args.get(name)
    if text is None:
        raise InvalidRequest.parameter(name, "is required", "required_field")
    return _read(name, text, read_customer_id)


def _one_of(name: str, text: str, words: Iterable[W]) -> W:
    words = tuple(words)
    for word in words:
        if word == text:
            return word
    raise InvalidRequest.parameter(name, f"must be one of {', '.join(words)}")


def _read(name: str, text: str, read: Callable[[str], str]) -> str:
    try:
        return read(text)
    except ValueError as error:
        raise InvalidRequest.parameter(name, str(error)) from None
