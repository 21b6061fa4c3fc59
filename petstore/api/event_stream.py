"""How every stream of this API begins: what it answers before the first byte, and the response that carries it.

Must not know which streams there are.
"""

import ssl
from collections.abc import Callable, Iterable
from typing import Any, Literal

from flask import Response, abort, request
from werkzeug.exceptions import NotAcceptable

from petstore.api.operation import Answer, Events, EventStream
from petstore.api.parameter import Header
from petstore.api.problem import problem
from petstore.api.resume import StreamQuery
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.sse import Form, Opening, Selection, Stream, goodbye

CONTENT_TYPE = "text/event-stream"

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""Nobody on the way may keep, compress or collect what should be read at once. `Connection` is the server's to say."""


ANSWER_HEADERS = (
    Header("Cache-Control", Literal["no-cache, no-transform"], "Nobody on the way may keep or change the stream."),
    Header("X-Accel-Buffering", Literal["no"], "Tells nginx to pass each event on at once."),
)

REFUSALS = {
    "draining": "this server is about to end; another one takes new streams",
    "full": "this server has no place for another stream",
    "too-many": "this client has as many streams as it may",
}


def stream_answers(events: Events, with_topic: bool = False) -> dict[int, Answer]:
    """Return how a request for a stream of these events can succeed."""
    return {
        200: Answer(EventStream(events, with_topic), ANSWER_HEADERS, "Events, until the client leaves or nothing can follow."),
        204: Answer(None, (), "The client has had the last event: nothing can follow."),
    }


def accept_event_stream() -> None:
    """Raise NotAcceptable when the client's Accept header excludes event streams."""
    # An empty header excludes nothing.
    if request.headers.get("Accept") and not request.accept_mimetypes.quality(CONTENT_TYPE):
        raise NotAcceptable(f"This resource is a stream of events: {CONTENT_TYPE}.")


def admit_stream(customer_id: str | None = None) -> tuple[str, ...]:
    """Return whom the stream is counted for, the client's address and the customer; or end the request, when there is no place.

    A client that names event streams in its Accept header may be a browser, whose EventSource would give up for good on a 503.
    So it gets a stream that says goodbye and when to come back.
    """
    holders = tuple(f"{kind} {name}" for kind, name in (("address", request.remote_addr), ("user", customer_id)) if name)
    parts = services()
    reason = parts.refusal(holders)
    if reason is None:
        return holders
    parts.feed.observer.refused(reason)
    if named_event_stream():
        abort(refuse_stream(reason))
    abort(problem(503, detail=REFUSALS[reason], headers={"Retry-After": "2"}))


def named_event_stream() -> bool:
    """Say whether the client names event streams in its Accept header, as browsers do."""
    return any(media_type == CONTENT_TYPE for media_type, _ in request.accept_mimetypes)


def refuse_stream(reason: str) -> Response:
    """Return a stream that says goodbye and when to come back."""
    return _response(iter([goodbye(services().terms, reason)]))


def requested_form(query: StreamQuery, with_topic: bool = False) -> Form:
    """Return how the client wants its events."""
    return Form(query.events == "named", with_topic, requested_shop().topic_suffix if with_topic else "")


def stream_response(selection: Selection, opening: Opening, snapshot: Callable[[str], str], holders: tuple[str, ...]) -> Response:
    """Return the response whose body is this stream; 204, which stops an EventSource, when nothing can follow.

    `snapshot` returns the URL whose body restores the state of a topic after a gap.
    """
    if opening.ended:
        return Response(status=204)
    parts = services()
    parts.feed.start()
    chunked = request.environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
    stream = Stream(parts.feed, parts.admission, parts.terms, selection, opening, snapshot, _connection(), chunked, holders)
    # The server keeps the environ for as long as the stream lasts; of what Flask has put in, nobody needs anything.
    request.environ.pop("werkzeug.request", None)
    return _response(stream)


def head_response() -> Response:
    """Return what a stream would begin with, without a body."""
    return _response(())


def _response(body: Iterable[bytes]) -> Response:
    # Passed through as it is: Flask's own wrappers would cost more than the write for each chunk.
    return Response(body, content_type=f"{CONTENT_TYPE}; charset=utf-8", headers=HEADERS, direct_passthrough=True)


def _connection() -> Any:
    """Return the client's socket where gunicorn shows it and it's plain: TLS may make one readable without a client's word."""
    connection = request.environ.get("gunicorn.socket")
    return None if isinstance(connection, ssl.SSLSocket) else connection
