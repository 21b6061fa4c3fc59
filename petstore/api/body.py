"""JSON bodies: read within bounds, and checked against a model that says what may be in them.

A model describes the wire: names, types, bounds. Must not know the shop's rules, nor what a body is for.
Deliberate: a name that occurs twice counts with its last value, as in every JSON parser that our clients use.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self, TypeVar

from flask import request
from gevent import Timeout
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from petstore.api.address import CONNECTION
from petstore.api.error import FieldError, InvalidBody, InvalidRequest
from petstore.api.identifier import CustomerId as CustomerId
from petstore.api.identifier import PetId as PetId
from petstore.api.services import services
from petstore.api.validation import field_errors

MAX_BODY = 1024 * 1024
"""Bytes of a body, whether or not its length was announced."""

SLOWEST = 16 * 1024
"""Bytes a second that a body may take its time for, on the average; a photo of 5 MiB has five minutes."""

CUT = "the body ended early, or its chunks are malformed"

MAX_UNKNOWN = 10
"""Members of one object beyond those that it may have. A hundred thousand, refused one by one, would stop every stream for a tenth
of a second, and so would thirty in each of a thousand changes."""

logger = logging.getLogger(__name__)

_MONEY = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,2})?")


def _money_schema(digits: int) -> dict[str, Any]:
    """Return the schema of money up to a one with so many zeros."""
    fewer = rf"[1-9][0-9]{{0,{digits - 1}}}(?:\.[0-9]{{1,2}})?"
    text = {"type": "string", "pattern": rf"^(?:{fewer}|1{'0' * digits}(?:\.00?)?|0\.(?:0[1-9]|[1-9][0-9]?))$"}
    number = {"type": "number", "exclusiveMinimum": 0, "maximum": 10**digits, "multipleOf": 0.01}
    return {"anyOf": [text, number], "examples": ["299.99"]}


class Body(BaseModel):
    """The base of all bodies: camelCase on the wire, no conversions, no unknown members."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)

    media_types: ClassVar[tuple[str, ...]] = ("application/json",)
    """What it may be sent as, for the description. Whatever is a kind of JSON is read as JSON."""

    part_types: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The media types of a form's parts, where they aren't text."""

    read_only: ClassVar[frozenset[str]] = frozenset()
    """Members of what is shown that are the server's to set: a client may send them back, and they stay as they are."""

    max_bytes: ClassVar[int] = MAX_BODY

    @classmethod
    def read(cls, *, optional: bool = False) -> Self:
        """Return the body of the current request. One that isn't JSON overrides this; see `read_body`."""
        return read_body(cls, optional=optional)

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if len(given) > len(cls.model_fields) + len(cls.read_only) + MAX_UNKNOWN:
            raise PydanticCustomError("unknown_field", "Too many fields")
        # In JSON, and in JSON Schema, 2.0 is a whole number.
        return {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in given.items()
            if name not in cls.read_only
        }


B = TypeVar("B", bound=Body)


def _read_money(given: Any) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise PydanticCustomError("invalid_type", "must be text or a number")
    # Decimal itself would also read "1e3", "1_000", " 1" and other alphabets' digits.
    if isinstance(given, str) and not _MONEY.fullmatch(given):
        raise ValueError('must be like "299.99"')
    return Decimal(str(given))


Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Text on one line."""

Price = Annotated[
    Decimal, Field(gt=0, le=1_000_000, decimal_places=2), BeforeValidator(_read_money), WithJsonSchema(_money_schema(6))
]
"""Money as a decimal string, or as a number for clients that have nothing better: what one pet costs."""

Amount = Annotated[
    Decimal, Field(gt=0, le=100_000_000, decimal_places=2), BeforeValidator(_read_money), WithJsonSchema(_money_schema(8))
]
"""The same: what an order costs, which may be for a hundred pets."""


def read_body(model: type[B], *, optional: bool = False) -> B:
    """Return the request's body as a `model`; an `optional` one may be missing, which is the same as {}.

    Raises InvalidRequest (not JSON), InvalidBody (JSON that the model doesn't allow), and werkzeug's errors for a body
    that is too large or isn't declared to be JSON.
    """
    content = read_content(model.max_bytes)
    if optional and not content:
        content = b"{}"
    elif not request.is_json:
        raise UnsupportedMediaType("the body must be JSON, sent with Content-Type: application/json")
    return check_body(model, content)


def check_body(model: type[B], content: bytes | str) -> B:
    """Return JSON text as a `model`. Raises InvalidRequest, InvalidBody."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise _refusal(error) from None


def read_content(limit: int = MAX_BODY) -> bytes:
    """Return the bytes of the current request's body. Raises InvalidRequest, and RequestEntityTooLarge above `limit`."""
    # One byte more than we take: werkzeug cuts a body in chunks at its limit and says nothing.
    request.max_content_length = limit + 1
    connection = request.environ.get(CONNECTION)
    try:
        with _patience(connection, limit):
            content = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise
    except Exception as error:
        # A server's errors for a badly framed body have no class in common; gunicorn's are not even OSErrors.
        logger.info("a body could not be read: %r", error)
        raise InvalidRequest(CUT) from error
    if len(content) > limit:
        raise RequestEntityTooLarge
    # A client that hangs up between head and body is no error to gunicorn: what it announced must not be taken for an empty body.
    if len(content) < (request.content_length or 0):
        raise InvalidRequest(CUT)
    return content


@contextmanager
def _patience(connection: Any, limit: int) -> Iterator[None]:
    """Raise TimeoutError at a client that sends nothing for `stuck_s`, or so slowly that its body would hold a place for ever."""
    if connection is None:
        yield
        return
    stuck_s = services().settings.stuck_s
    connection.settimeout(stuck_s)
    try:
        with Timeout(stuck_s + limit / SLOWEST, TimeoutError()):
            yield
    finally:
        connection.settimeout(None)


def _refusal(error: ValidationError) -> InvalidRequest | InvalidBody:
    # Of malformed JSON there is one error; where there are many, to list them takes longer than to find them.
    if error.error_count() == 1:
        only = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if only["type"] == "json_invalid":
            # The parser's text tells the place, and never more of the body than a character.
            return InvalidRequest(only["msg"], [FieldError("", only["msg"], "invalid_format")])
    return InvalidBody(field_errors(error))
