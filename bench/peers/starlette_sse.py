"""sse-starlette on uvicorn, as its README shows it: a queue for each client, and an async generator that reads it.

It keeps no log and resumes nothing.
"""

from asyncio import Queue
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.peers.stock import HEARTBEAT_S, Stock

stock = Stock()
queues: set[Queue[ServerSentEvent]] = set()


def event(type: str = "stock-change") -> ServerSentEvent:
    """Return the next event."""
    id, data = stock.change()
    return ServerSentEvent(data, event=type, id=str(id), sep="\n")


async def follow(first: ServerSentEvent | None) -> AsyncIterator[ServerSentEvent]:
    """Yield events as they come to this client's queue."""
    queue: Queue[ServerSentEvent] = Queue()
    queues.add(queue)
    try:
        yield ServerSentEvent(comment="open", retry=2000, sep="\n")
        if first is not None:
            yield first
        while True:
            yield await queue.get()
    finally:
        queues.discard(queue)


async def stream(request: Request) -> Response:
    """Stream every event."""
    return EventSourceResponse(follow(None), ping=HEARTBEAT_S)


async def hello(request: Request) -> Response:
    """Stream every event, and one at once."""
    return EventSourceResponse(follow(event()), ping=HEARTBEAT_S)


async def ten() -> AsyncIterator[ServerSentEvent]:
    """Yield ten events and the end."""
    for number in range(11):
        yield event("recommendation" if number < 10 else "complete")


async def short(request: Request) -> Response:
    """Stream ten events and the end."""
    return EventSourceResponse(ten(), ping=HEARTBEAT_S)


async def publish(request: Request) -> Response:
    """Give every queue `n` more events."""
    for _ in range(int(request.query_params["n"])):
        next_event = event()
        for queue in queues:
            queue.put_nowait(next_event)
    return Response(status_code=204)


app = Starlette(
    routes=[
        Route("/stream", stream),
        Route("/hello", hello),
        Route("/short", short),
        Route("/publish", publish, methods=["POST"]),
    ]
)
