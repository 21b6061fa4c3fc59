"""Clients on real sockets, and a server in gunicorn's place that serves them on either of the two paths of a stream.

For processes that gevent has patched (`test_on_gevent.py`). Of gunicorn there is only the function that iterates the body, by
the name that a stream looks for; under another name it stands for everything else that may iterate a body. Real gunicorn is in
`tests/live/`.
"""

import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

import petstore.sse.broadcast
import petstore.sse.feed
from petstore.sse import Admission, Decoder, Event, Feed, Form, Opening, Received, Selection, Stream, Terms
from petstore.sse.broadcast import MOST, Broadcast
from petstore.sse.observer import Silence
from petstore.sse.outlet import chunk
from petstore.sse.stream import HEARTBEAT
from tests.sse.conftest import io_uring_is_offered
from tests.sse.other_process import PATIENCE_S

FIRST = b"retry: 2000\n: open\n"
FROM_THE_START, FROM_NOW = Opening(0), Opening(None)

SERVER = """
def handle_request(stream, connection, yielded, resp=SimpleNamespace(chunked=True)):
    try:
        for item in stream:
            yielded.append(item)
            connection.sendall(chunk(item))
        connection.sendall(b"0\\r\\n\\r\\n")
    except OSError:
        pass
    finally:
        stream.close()
"""

# What matters is the name of the module that iterates, and what it says of the response.
PATHS: dict[str, Any] = {
    "outlet": {"__name__": "gunicorn.workers.base_async", "chunk": chunk, "SimpleNamespace": SimpleNamespace},
    "outlet, one by one": {"__name__": "gunicorn.workers.base_async", "chunk": chunk, "SimpleNamespace": SimpleNamespace},
    "generator": {"__name__": "middleware", "chunk": chunk, "SimpleNamespace": SimpleNamespace},
}
for module in PATHS.values():
    exec(SERVER, module)


class Endings(Silence):
    """Notes why each stream ended, and the number of events that it says it has sent."""

    def __init__(self) -> None:
        self.causes: list[str] = []
        self.sent: list[int] = []

    def ended(self, topics: Any, holders: Any, cause: str, duration_s: float, sent: int) -> None:
        self.causes.append(cause)
        self.sent.append(sent)


class Noting(Broadcast):
    """What the pump sends through. Notes which sockets it has sent to, and which have not taken it all."""

    def __init__(self) -> None:
        super().__init__()
        self.sends = Counter[int]()
        self.cut_sends = Counter[int]()

    def send(self, descriptors: Sequence[int], data: bytes) -> dict[int, int]:
        short = super().send(descriptors, data)
        self.sends.update(descriptors)
        self.cut_sends.update(short)
        return short


class BareSocket:
    """The non-blocking socket inside gevent's, which all but the pump sends through in the end. Notes what is done to it."""

    def __init__(self, bare: Any) -> None:
        self._bare = bare
        self.uses = 0
        self.cut_sends = 0
        self.on_send: Callable[[], object] = lambda: None

    def send(self, data: bytes | memoryview, flags: int = 0) -> int:
        self.uses += 1
        self.on_send()
        sent: int = self._bare.send(data, flags)
        self.cut_sends += sent < len(data)
        return sent

    def __getattr__(self, name: str) -> Any:
        self.uses += 1
        return getattr(self._bare, name)


class Client:
    """A client, its stream, and the greenlet that serves it. What it has received is kept chunk by chunk, and decoded."""

    def __init__(self, path: str, stream_on: Callable[[Any], Stream], ends: tuple[socket.socket, Any]) -> None:
        self.socket, self.server_end = ends
        self.socket.settimeout(PATIENCE_S)
        self.bare = self.server_end._sock = BareSocket(self.server_end._sock)
        self.descriptor: int = self.server_end.fileno()
        self.path = path
        self.yielded: list[bytes] = []
        self.waiting = bytearray()
        self.chunks: list[bytes] = []
        self.bytes_received = 0
        self.ended = False
        self._decoder, self._decoded, self._received = Decoder(), 0, list[Received]()
        self.stream = stream_on(self.server_end)
        self.serving = gevent.spawn(self._serve)

    def _serve(self) -> None:
        PATHS[self.path]["handle_request"](self.stream, self.server_end, self.yielded)
        self.server_end.close()

    def receive(self, limit: int = 65536) -> None:
        """Take what has arrived, waiting for something."""
        data = self.socket.recv(limit)
        self.bytes_received += len(data)
        self.waiting += data
        for content in take_chunks(self.waiting):
            if not content:
                self.ended = True
                break
            self.chunks.append(content)
        assert data or self.ended, "the body was cut"

    def receive_until(self, condition: Callable[[], object], limit: int = 65536) -> None:
        while not condition():
            self.receive(limit)

    def receive_events(self, count: int) -> None:
        """Take what arrives until there are so many events in all."""
        self.receive_until(lambda: len(self.received) >= count)

    def receive_to_the_end(self) -> None:
        self.receive_until(lambda: self.ended)

    @property
    def received(self) -> list[Received]:
        """What has been received, decoded."""
        self._received += self._decoder.feed(b"".join(self.chunks[self._decoded :]))
        self._decoded = len(self.chunks)
        return self._received

    @property
    def ids(self) -> list[int]:
        return [int(event.last_event_id) for event in self.received if event.type not in ("gap", "goodbye", "error")]

    @property
    def heartbeats(self) -> int:
        return self.chunks.count(HEARTBEAT)

    def has_to_wait_with(self, event: Event) -> bool:
        """Return whether `event` is on its way, of which the socket has taken a part at the most."""
        subscription = self.stream._subscription
        return subscription.cursor >= event.id and not subscription.parked

    def assert_received(self, events: Iterable[Event]) -> None:
        """Assert that exactly `events` came, on the path that was meant, and each of them whole between two heartbeats."""
        first, *chunks = self.chunks
        of_events = [content for content in chunks if content != HEARTBEAT]
        assert first == FIRST
        assert all(content.endswith(b"\n\n") and HEARTBEAT not in content for content in of_events)
        assert b"".join(of_events) == b"".join(event.encode(Form()) for event in events)
        assert not self.waiting
        assert self.yielded == (self.chunks if self.path == "generator" else [FIRST])

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def take_chunks(body: bytearray) -> Iterator[bytes]:
    """Take the whole chunks off the beginning of a chunked body; fails where its framing is broken."""
    while (line_end := body.find(b"\r\n", 0, 20)) > 0:
        begin = line_end + 2
        end = begin + int(body[:line_end], 16)
        if len(body) < end + 2:
            return
        content = bytes(body[begin:end])
        assert body[end : end + 2] == b"\r\n"
        del body[: end + 2]
        yield content
    assert line_end < 0 and len(body) < 20


def connect(buffer: int = 0) -> tuple[socket.socket, Any]:
    """Return both ends of a TCP connection, whose buffers hold about `buffer` bytes (0: as many as the system likes).

    Small ones are for clients that read no more: where a small window fills again and again, TCP's timers take seconds.
    """
    with socket.socket() as listener:
        if buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = socket.socket()
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.connect(listener.getsockname())
        return client, listener.accept()[0]


def pair(buffer: int = 0) -> tuple[socket.socket, Any]:
    """Return both ends of a UNIX connection: cheaper than TCP, and with no acknowledgements that a heartbeat could miss."""
    client, server_end = socket.socketpair()
    if buffer:
        server_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    return client, server_end


@pytest.fixture
def admission() -> Admission:
    return Admission(100_000)


@pytest.fixture
def observer() -> Endings:
    return Endings()


@pytest.fixture
def feed(log, observer, path, monkeypatch) -> Iterator[Feed]:
    monkeypatch.setattr(petstore.sse.feed, "POLL_S", 0.02)
    # However few there are, they are sent to in one call, where the system has that; or one by one, however many.
    monkeypatch.setattr(petstore.sse.broadcast, "FEW", MOST + 1 if path == "outlet, one by one" else 1)
    feed = Feed(log, observer)
    feed._broadcast = feed.pump._broadcast = Noting()
    yield feed
    # Or the two paths through the outlet would be one.
    assert feed._thread is None or (feed._broadcast._ring is not None) == io_uring_is_offered()
    feed.stop()


@pytest.fixture
def read(feed, admission, path) -> Iterator[Callable[..., Client]]:
    """Return a function that makes one more client, whose stream takes the path that the fixture `path` names."""
    clients: list[Client] = []

    def make(opening: Opening = FROM_NOW, *topics: str, ends: Any = None, **terms: Any) -> Client:
        kept = Terms(**{"heartbeat_s": 3600.0, **terms})
        selection = Selection(topics or ("a",))

        def stream_on(server_end: socket.socket) -> Stream:
            return Stream(feed, admission, kept, selection, opening, str, server_end)

        clients.append(Client(path, stream_on, ends or connect()))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
    for client in clients:
        client.serving.join(PATIENCE_S)
        assert client.serving.successful(), client.serving.exception
    assert (admission.open, feed.pump._groups) == (0, {})
