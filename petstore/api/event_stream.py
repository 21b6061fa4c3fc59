"""How every stream of this API begins: what it answers before the first byte, and the response that carries it.

Must not know which streams there are.
"""

import socket
import ssl
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal, NamedTuple, NoReturn

from flask import Response, abort, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import NotAcceptable
from werkzeug.http import parse_accept_header

from petstore.api.address import CONNECTION, client_address
from petstore.api.operation import Answer, Events, EventStream
from petstore.api.parameter import Header
from petstore.api.problem import problem
from petstore.api.resume import StreamQuery, requested
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.api.wire import no_content
from petstore.sse import Event, Form, Opening, Selection, Stream, goodbye, open_at

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

REFUSALS = {
    "draining": "this server is about to end; another one takes new streams",
    "full": "this server has no place for another stream, nor for another client that waits for an answer",
    "too-many": "this client has as many streams, and answers that it waits for, as it may",
}


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


def admit_stream(customer_id: str | None = None, *, says_goodbye: bool = True) -> tuple[str, ...]:
    """Return whom the stream is counted for, the client's address and the customer; or end the request, when there is no place.

    A client that names event streams in its Accept header may be a browser, whose EventSource would give up for good on a 503.
    So it gets a stream that says goodbye and when to come back, unless the resource isn't for those (`says_goodbye`).
    """
    holders = _holders(customer_id)
    reason = services().refusal(holders)
    if reason is None:
        return holders
    # At an ending server everybody gets that: had he come a moment before, he would have had it too.
    if says_goodbye and (reason == "draining" or named_event_stream()):
        services().feed.observer.refused(reason)
        abort(refuse_stream(reason))
    _refuse(reason)


@contextmanager
def place_to_wait(customer_id: str | None) -> Iterator[None]:
    """Hold a place among the streams while a client waits for a whole answer, or end the request, when there is none.

    Such a client holds a connection for as long as a stream's does, so it's counted like one. Taken before the answer is begun:
    what nobody could wait for isn't made.
    """
    admission, holders = services().admission, _holders(customer_id)
    reason = admission.refusal(holders)
    if reason is not None:
        _refuse(reason)
    admission.take(holders)
    try:
        yield
    finally:
        admission.give_back(holders)


def named_event_stream() -> bool:
    """Say whether the client names event streams in its Accept header, as browsers do."""
    return _accepts(request.environ.get("HTTP_ACCEPT", "")).by_name


def refuse_stream(reason: str) -> Response:
    """Return a stream that says goodbye and when to come back."""
    return _response(iter([goodbye(services().terms, reason)]))


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


def wait_for_end(topic: str, timeout_s: float) -> list[Event]:
    """Return all events of a run for a client that wants the whole; not the last one, if it takes too long or the client leaves.

    Called within `place_to_wait`. A server that is about to end waits for nobody either.
    """
    parts, connection = services(), request.environ.get(CONNECTION)
    return parts.audience.collect(parts.feed, topic, timeout_s, lambda: not parts.feed.draining and is_there(connection))


def is_there(connection: Any) -> bool:
    """Say whether a client that waits for an answer has not hung up, as far as its socket tells."""
    if connection is None or isinstance(connection, ssl.SSLSocket):
        return True  # TLS may make a socket readable without a client's word.
    connection = getattr(connection, "_sock", connection)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
    except OSError:
        return False


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


def _holders(customer_id: str | None) -> tuple[str, ...]:
    # Customers of two shops are two, also where they have the same id, as in copies of the demo shop.
    user = customer_id and customer_id + requested_shop().topic_suffix
    return tuple(f"{kind} {name}" for kind, name in (("address", client_address()), ("user", user)) if name)


def _refuse(reason: str) -> NoReturn:
    services().feed.observer.refused(reason)
    abort(problem(503, detail=REFUSALS[reason], headers={"Retry-After": "2"}))


def _response(body: Iterable[bytes]) -> Response:
    # Passed through as it is: Flask's own wrappers would cost more than the write for each chunk.
    return Response(body, headers=HEADERS, direct_passthrough=True)
