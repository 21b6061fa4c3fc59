"""Where a client wants its stream to go on: the HTTP side of cursors (WHATWG HTML section 9.2.4, and our query parameters).

Must not look into the log.
"""

from datetime import UTC, datetime

from flask import request

from petstore.sse import MAX_LENGTH, InvalidCursor, Requested, read_id, read_since

PARAMETERS = ("lastEventId", "last_event_id", "Last-Event-ID", "evs_last_event_id")
"""Ours first; then the names that EventSource polyfills use because they can't set headers."""


def requested() -> Requested | None:
    """Return the cursor of the current request, or None when it brings none. Raises InvalidCursor.

    The header wins: a browser adds it by itself when it reconnects to a URL that still has its first `lastEventId` or `since`.
    What it says was not the user's doing, so an id that isn't one of ours is no error there; in the query it is.
    """
    header = request.headers.get("Last-Event-ID", "")
    if header:
        return read_id(_bounded("Last-Event-ID", header))
    for parameter in PARAMETERS:
        text = request.args.get(parameter)
        if text is not None:
            asked = read_id(_bounded(parameter, text))
            if asked.id is None:
                raise InvalidCursor(parameter, "must be the id of an event: a whole number")
            return asked
    since = request.args.get("since")
    return None if since is None else read_since(_bounded("since", since), datetime.now(UTC))


def _bounded(parameter: str, text: str) -> str:
    if len(text) > MAX_LENGTH:
        raise InvalidCursor(parameter, f"must not have more than {MAX_LENGTH} characters")
    return text
