"""Where a client wants its stream to go on: the HTTP side of cursors (WHATWG HTML section 9.2.4, and our query parameters).

Must not look into the log.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from flask import request
from pydantic import AliasChoices, BeforeValidator, Field, WithJsonSchema

from petstore.api.parameter import Header, Query
from petstore.sse import MAX_LENGTH, InvalidCursor, Requested, read_id, read_since

PARAMETERS = ("lastEventId", "last_event_id", "Last-Event-ID", "evs_last_event_id")
"""Ours first; then the names that EventSource polyfills use because they can't set headers. Of several the newest id counts."""

_DURATION = "^(?:[0-9]{1,6}d)?(?:[0-9]{1,6}h)?(?:[0-9]{1,6}m)?(?:[0-9]{1,9}s)?$"


def _read_held(text: Any) -> Requested:
    asked = read_id(_bounded(text))
    if asked.id is None:
        raise ValueError("must be the id of an event: a whole number")
    return asked


def _read_since(text: Any) -> Requested:
    try:
        return read_since(_bounded(text), datetime.now(UTC))
    except InvalidCursor as error:
        raise ValueError(error.reason) from None


def _bounded(text: str) -> str:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"must not have more than {MAX_LENGTH} characters")
    return text


class StreamQuery(Query):
    """How a stream's events are wanted, and where it begins."""

    events: Annotated[
        Literal["named", "unnamed"],
        Field(description="`unnamed` sends every event without a name, for clients that only listen to `message`."),
    ] = "named"
    last_event_id: Annotated[
        Annotated[
            Requested,
            BeforeValidator(_read_held),
            WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,18}$", "examples": ["1795377599860484"]}),
        ]
        | None,
        Field(
            validation_alias=AliasChoices(*PARAMETERS),
            description="Go on after this event, where a header can't be set. The header `Last-Event-ID` wins.",
        ),
    ] = None
    since: Annotated[
        Annotated[
            Requested,
            BeforeValidator(_read_since),
            WithJsonSchema(
                {
                    "type": "string",
                    "anyOf": [{"pattern": _DURATION, "minLength": 2}, {"format": "date-time"}],
                    "maxLength": MAX_LENGTH,
                    "examples": ["10m", "2026-03-13T10:30:00Z"],
                }
            ),
        ]
        | None,
        Field(description="Begin in the past: a duration such as `90s`, `10m` or `1h30m`, or a time that has passed."),
    ] = None


LAST_EVENT_ID = Header(
    "Last-Event-ID",
    Annotated[str, Field(examples=["1795377599860484"])],
    "Go on after this event. One that isn't one of our ids is answered with `gap`.",
)


def requested(query: StreamQuery) -> Requested | None:
    """Return the cursor of the current request, or None when it brings none.

    The header wins: a browser adds it by itself when it reconnects to a URL that still has its first `lastEventId` or `since`.
    What it says was not the user's doing, so an id that isn't one of ours is no error there; in the query it is.
    """
    header: str = request.environ.get("HTTP_LAST_EVENT_ID", "")
    # Cut where none can be one of ours any more: what `gap` says back of it must be bounded.
    return read_id(header[:MAX_LENGTH]) if header else _newest(query.last_event_id) or query.since


def _newest(held: Requested | None) -> Requested | None:
    """Return the newest of the ids in the query: a polyfill adds its own to a URL that still has its first one under our name."""
    if held is None:
        return None
    others = (read_id(text) for name in PARAMETERS for text in request.args.getlist(name))
    return max(held, *others, key=lambda asked: -1 if asked.id is None else asked.id)
