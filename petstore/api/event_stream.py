"""How every stream of this API begins: what it answers before the first byte, and the response that carries it.

Must not know which streams there are.
"""

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from flask import Flask, Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import NotAcceptable
from werkzeug.http import parse_accept_header

from petstore.api.address import CONNECTION, client_address
from petstore.api.error import RateLimited, StreamRefused
from petstore.api.operation import Answer, Events, EventStream
from petstore.api.parameter import Header
from petstore.api.problem import answer
from petstore.api.resume import StreamQuery, requested
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.api.wire import no_content
from petstore.sse import Form, LogUnavailable, Opening, Selection, Stream, goodbye, open_at

CONTENT_TYPE = "text/event-stream"

HEADERS = [
    ("Content-Type", f"{CONTENT_TYPE}; charset=utf-8"),
    ("Cache-Control", "no-cache, no-transform"),
    ("X-Accel-Buffering", "no"),
]
"""Nobody on the way may keep, compress or collect what should be read at once. `Connection` is the server's to say."""


ANSWER_HEADERS = (
    Header("Cache-Control", Literal["no-cache, no-transform"], "Nobody on the way may keep or change the stream."),
    Header("X-Accel-Buffering", Literal["no"], "Tells nginx to pass each event on at once."),
)


def stream_answers(events: Events, with_topic: bool = False) -> dict[int, Answer]:
    """Return how a request for a stream of these events can succeed."""
    return {
        200: Answer(EventStream(events, with_topic), ANSWER_HEADERS, "Events, until the client leaves or nothing can follow."),
        204: Answer(None, (), "The client has had the last event: nothing can follow."),
    }


def accept_event_stream() -> None:
    """Raise NotAcceptable when the client's Accept header excludes event streams."""
    if not _accepts(request.environ.get("HTTP_ACCEPT", "")).any:
        raise NotAcceptable(f"This resource is a stream of events: {CONTENT_TYPE}.")


def admit_stream(*customer_ids: str | None) -> tuple[str, ...]:
    """Return whom a stream is counted for: the client's address, and the customers whose events it brings. Raises StreamRefused."""
    holders = holders_of(*customer_ids)
    reason = services().refusal(holders)
    if reason is not None:
        raise StreamRefused(reason)
    return holders


def holders_of(*customer_ids: str | None) -> tuple[str, ...]:
    """Return whom admission counts the current request for."""
    # Customers of two shops are two, also where they have the same id, as in copies of the demo shop.
    users = dict.fromkeys(f"user {id}{requested_shop().topic_suffix}" for id in customer_ids if id)
    address = client_address()
    return (f"address {address}", *users) if address else tuple(users)


def register_goodbyes(app: Flask) -> None:
    """Refuse a stream in a way that a browser survives, where it may have one later.

    On anything but 200 its EventSource would give up for good. So a client that asks for event streams by name gets one that says
    goodbye, and when to come back.
    """
    for kind in (StreamRefused, RateLimited, LogUnavailable):
        app.register_error_handler(kind, _refuse)


def _refuse(error: StreamRefused | RateLimited | LogUnavailable) -> Response:
    response = answer(error)
    is_stream = request.path.endswith("/stream")
    if isinstance(error, StreamRefused):
        reason = error.reason
    elif isinstance(error, RateLimited):
        reason = "too-many"
    else:
        reason = "unavailable"
    if is_stream or isinstance(error, StreamRefused):
        services().feed.observer.refused(reason)
    # At a draining server everybody gets that: a client that came a moment earlier got the same.
    if is_stream and (reason == "draining" or _accepts(request.environ.get("HTTP_ACCEPT", "")).by_name):
        form = Form(request.args.get("events") != "unnamed")
        # Not a list, of which the length would be told: a stream comes in chunks.
        return _response(iter([goodbye(services().terms, reason, form)]))
    return response


def open_where_asked(topics: Collection[str], query: StreamQuery, otherwise: int | None) -> Opening:
    """Return where a stream of `topics` begins by what the request says; see `open_at`. Raises InvalidCursor, LogUnavailable."""
    parts = services()
    return open_at(parts.log, topics, requested(query), otherwise, parts.feed.ring)


def requested_form(query: StreamQuery, with_topic: bool = False) -> Form:
    """Return how the client wants its events."""
    return Form(query.events == "named", with_topic, requested_shop().topic_suffix if with_topic else "")


def stream_response(selection: Selection, opening: Opening, snapshot: Callable[[str], str], holders: tuple[str, ...]) -> Response:
    """Return the response whose body is this stream; 204, which stops an EventSource, when nothing can follow.

    `snapshot` returns the URL whose body restores the state of a topic after a gap.
    """
    if opening.ended:
        return no_content()
    parts = services()
    parts.feed.start()
    environ = request.environ
    connection = environ.get(CONNECTION)
    stream = Stream(parts.feed, parts.admission, parts.terms, selection, opening, snapshot, connection, holders)
    # The server keeps the environ for as long as the stream lasts; of what Flask has put in, nobody needs anything.
    environ.pop("werkzeug.request", None)
    return _response(stream)


def head_response() -> Response:
    """Return what a stream would begin with, without a body."""
    return _response(())


class _Accepted(NamedTuple):
    """Whether a client takes event streams at all, and whether it asks for them by name."""

    any: bool
    by_name: bool


@lru_cache(maxsize=256)
def _accepts(header: str) -> _Accepted:
    # Kept, because taking one apart takes longer than all else that is asked of a stream's request.
    if not header:
        return _Accepted(True, False)  # An empty header excludes nothing.
    accepted = parse_accept_header(header, MIMEAccept)
    # With its charset it's the same to us, but not to werkzeug.
    named = [media_type for media_type, _ in accepted if media_type.partition(";")[0] == CONTENT_TYPE]
    return _Accepted(any(accepted.quality(form) for form in (CONTENT_TYPE, *named)), bool(named))


def _response(body: Iterable[bytes]) -> Response:
    # Passed through as it is: Flask's own wrappers would cost more than the write for each chunk.
    return Response(body, headers=HEADERS, direct_passthrough=True)
