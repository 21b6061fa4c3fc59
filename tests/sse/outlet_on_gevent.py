"""Connections of every kind that gunicorn serves: the same is promised on each, with and without chunks, with and without TLS.

`test_on_gevent.py` runs this in a patched process. Of gunicorn there is only the function that iterates the body, by the name that
a stream looks for.
"""

import random
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

import petstore.sse.feed
import petstore.sse.outlet
from petstore.sse import COMPLETE, Admission, Decoder, Draft, Opening, Received, Selection, Stream, Terms
from petstore.sse.outlet import chunk
from tests.sse.client import FROM_NOW, connect, feed, observer
from tests.sse.other_process import PATIENCE_S

__all__ = ["feed", "observer"]

GUNICORN = {"__name__": "gunicorn.workers.base_async"}
exec(
    """
def handle_request(stream, write, resp):
    try:
        for item in stream:
            write(item)
        write(b"")
    except OSError:
        pass
    finally:
        stream.close()
""",
    GUNICORN,
)
handle_request: Any = GUNICORN["handle_request"]


@dataclass(frozen=True)
class Kind:
    """A kind of connection."""

    name: str
    chunked: bool
    secured: bool


KINDS = [
    Kind("HTTP/1.1", True, False),
    Kind("HTTP/1.0", False, False),
    Kind("HTTP/1.1 over TLS", True, True),
    Kind("HTTP/1.0 over TLS", False, True),
]


class Client:
    """A client, and the greenlet that serves it. `body` is what came, without the chunks' frames."""

    def __init__(self, kind: Kind, stream: Stream, server_end: socket.socket, client_end: socket.socket) -> None:
        self.socket = client_end
        self.socket.settimeout(PATIENCE_S)
        self.yielded: list[bytes] = []
        self._kind = kind
        self._received = b""
        self._server_end = server_end
        self.serving = gevent.spawn(self._serve, stream)

    def _serve(self, stream: Stream) -> None:
        handle_request(stream, self._write, SimpleNamespace(chunked=self._kind.chunked))
        self._server_end.close()

    def _write(self, item: bytes) -> None:
        if item:
            self.yielded.append(item)
        self._server_end.sendall(chunk(item) if self._kind.chunked else item)

    @property
    def body(self) -> bytes:
        body, rest = b"", self._received
        while self._kind.chunked and b"\r\n" in rest:
            size, _, rest = rest.partition(b"\r\n")
            if len(rest) < int(size, 16) + 2:
                return body
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return body + rest

    @property
    def events(self) -> list[Received]:
        return Decoder().feed(self.body)

    def receive_until(self, condition: Callable[[], object], limit: int = 65536) -> None:
        while not condition():
            piece = self.socket.recv(limit)
            assert piece, "the connection has ended"
            self._received += piece

    def receive_to_the_end(self) -> None:
        while piece := self.socket.recv(65536):
            self._received += piece


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a certificate for this test alone, and its key."""
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subject = ("-subj", "/CN=localhost", "-keyout", path, "-out", path.with_suffix(".crt"))
    subprocess.run(["openssl", "req", "-x509", *curve, *subject], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def read(kind, feed, certificate) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []
    admission = Admission(1000)

    def make(opening: Opening = FROM_NOW, buffer: int = 0, **terms: Any) -> Client:
        client_end, server_end = connect(buffer)
        if kind.secured:
            client_end, server_end = secure(client_end, server_end, certificate)
        kept = Terms(**{"heartbeat_s": 3600.0, **terms})
        stream = Stream(feed, admission, kept, Selection(("a",)), opening, str, server_end)
        clients.append(Client(kind, stream, server_end, client_end))
        return clients[-1]

    yield make
    for client in clients:
        client.socket.close()
        client.serving.join(PATIENCE_S)
        assert client.serving.successful(), client.serving.exception
    assert (admission.open, feed.pump._groups) == (0, {})


def secure(client_end: socket.socket, server_end: socket.socket, certificate: Path) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Return both ends of a connection with TLS on it."""
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours.load_cert_chain(certificate)
    theirs.load_verify_locations(certificate)
    accepting = gevent.spawn(ours.wrap_socket, server_end, server_side=True)
    secured = theirs.wrap_socket(client_end, server_hostname="localhost")
    return secured, accepting.get()


def opened(client: Client) -> Client:
    client.receive_until(lambda: b": open\n" in client.body)
    return client


def fill(log: Any, count: int) -> list[int]:
    """Append `count` events of 20 KB."""
    return [
        log.write(lambda transaction: transaction.append([Draft("a", "news", {"text": "x" * 20_000})]))[0].id for _ in range(count)
    ]


def test_everything_after_the_first_bytes_goes_past_the_server(read, append):
    client = opened(read())
    sent = [append(), append(), append(type=COMPLETE)]
    client.receive_to_the_end()
    assert [event.last_event_id for event in client.events] == [str(event.id) for event in sent]
    assert len(client.yielded) == 1


def test_one_that_reads_little_by_little_gets_every_byte_right(read, log, append):
    slow = opened(read(buffer=4096, stuck_s=PATIENCE_S))
    ids = fill(log, 20)
    append(type=COMPLETE)
    slow.receive_until(lambda: len(slow._received) > 300_000, random.choice([1000, 5000, 20_000]))
    slow.receive_to_the_end()
    events = slow.events
    assert [int(event.last_event_id) for event in events[:-1]] == ids
    assert all(event.data == '{"text":"' + "x" * 20_000 + '"}' for event in events[:-1])


def test_heartbeats_come_after_silence(read):
    client = opened(read(heartbeat_s=0.05))
    client.receive_until(lambda: client.body.count(b": heartbeat\n") == 3)


def test_one_that_takes_nothing_is_ended(read, log, observer):
    stuck = opened(read(buffer=4096, stuck_s=0.1))
    fill(log, 100)
    stuck.serving.join(PATIENCE_S)
    assert stuck.serving.ready()
    assert observer.causes == ["stuck"]


def test_one_that_takes_nothing_does_not_keep_an_ending_server(read, log, feed, observer, monkeypatch):
    monkeypatch.setattr(petstore.sse.feed, "GOODBYE_S", 0.1)
    stuck, other = opened(read(buffer=4096, stuck_s=PATIENCE_S * 10)), opened(read())
    ids = fill(log, 100)
    other.receive_until(lambda: f"id: {ids[-1]}\n\n".encode() in other._received[-100:])
    feed.drain()
    other.receive_to_the_end()
    assert other.events[-1].type == "goodbye"
    stuck.serving.join(PATIENCE_S)
    assert stuck.serving.ready()
    assert sorted(observer.causes) == ["drained", "stuck"]


@pytest.mark.parametrize("before", [b"", b"GET /one/more HTTP/1.1\r\n"], ids=["", "with something unread before"])
@pytest.mark.parametrize("politely", [True, False], ids=["says farewell", "says nothing"])
def test_one_that_leaves_is_noticed_without_a_write(read, observer, before, politely):
    client, other = opened(read()), opened(read())
    if before:
        client.socket.sendall(before)
        gevent.sleep(0.02)
    if politely and isinstance(client.socket, ssl.SSLSocket):
        client.socket.settimeout(0.01)
        with pytest.raises(TimeoutError):
            client.socket.unwrap()  # It waits for our farewell in vain, and then closes.
    client.socket.close()
    client.serving.join(PATIENCE_S)
    assert client.serving.ready()
    assert not other.serving.ready()
    assert observer.causes == ["left"]
