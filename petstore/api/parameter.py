"""Parameters of the query and the path. What breaks a rule raises InvalidRequest, which names the parameter.

Parameters that nobody asks for are ignored. Must not read the body, nor look anything up.
"""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from flask import request

from petstore.api.error import InvalidRequest
from petstore.api.identifier import read_customer_id, read_uuid

MAX_PAGE = 1_000_000
"""The database counts its way to a page, so one far beyond any list would cost much and show nothing."""

MAX_LIMIT = 100
DEFAULT_LIMIT = 20

# Python's own int() would also take "+1", "1_000", spaces and other alphabets' digits.
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")

W = TypeVar("W", bound=str)
D = TypeVar("D")


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
