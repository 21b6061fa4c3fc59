"""Parameters of the query and the path, as models, and headers as they are described. A parameter that breaks a rule raises
InvalidRequest, which names it; one that nobody asks for is ignored. Must not read the body, nor look anything up.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from flask import request
from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import int_schema, no_info_before_validator_function

from petstore.api.error import InvalidRequest
from petstore.api.identifier import OrderId, PetId
from petstore.api.validation import parameter_errors

MAX_PAGE = 1_000_000
"""The database counts its way to a page, so one far beyond any list would cost much and show nothing."""

MAX_LIMIT = 100
DEFAULT_LIMIT = 20

# Python's own int() would also take "+1", "1_000", spaces and other alphabets' digits.
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")


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
        return cls.check(request.args.to_dict()) if request.environ.get("QUERY_STRING") else cls.none()

    @classmethod
    @cache
    def none(cls) -> Self:
        """Return what an empty query says, made once: a query never changes. Raises InvalidRequest."""
        return cls.check({})


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
