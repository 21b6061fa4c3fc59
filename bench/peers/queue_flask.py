"""The streaming Flask that blogs show: a queue for each client, a view that waits at it with a timeout for the heartbeat.

It keeps no log and resumes nothing. Run by the same gunicorn with the same gevent worker as ours.
"""

from collections.abc import Iterator
from queue import Empty, Queue

from flask import Flask, Response, request

from bench.peers.stock import HEARTBEAT_S, Stock

app = Flask(__name__)
stock = Stock()
queues: set[Queue[str]] = set()


def frame(type: str = "stock-change") -> str:
    """Return the next event as text."""
    id, data = stock.change()
    return f"event: {type}\ndata: {data}\nid: {id}\n\n"


def follow(first: str = "") -> Iterator[str]:
    """Yield events as they come to this client's queue."""
    queue: Queue[str] = Queue()
    queues.add(queue)
    try:
        yield "retry: 2000\n: open\n\n" + first
        while True:
            try:
                yield queue.get(timeout=HEARTBEAT_S)
            except Empty:
                yield ": heartbeat\n\n"
    finally:
        queues.discard(queue)


@app.get("/stream")
def stream() -> Response:
    """Stream every event."""
    return Response(follow(), content_type="text/event-stream")


@app.get("/hello")
def hello() -> Response:
    """Stream every event, and one at once."""
    return Response(follow(frame()), content_type="text/event-stream")


@app.get("/short")
def short() -> Response:
    """Stream ten events and the end."""
    frames = (frame("recommendation" if number < 10 else "complete") for number in range(11))
    return Response(frames, content_type="text/event-stream")


@app.post("/publish")
def publish() -> tuple[str, int]:
    """Give every queue `n` more events."""
    for _ in range(int(request.args["n"])):
        text = frame()
        for queue in tuple(queues):
            queue.put(text)
    return "", 204
