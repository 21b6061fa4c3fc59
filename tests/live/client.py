"""A client on a bare socket, stricter than any library: it keeps every byte, and takes no framing but the standard's.

It reads an answer's head at once and its body as a test asks for it. A mistake in the framing is an AssertionError; a body
that was cut is `Cut`, because a test may want that. Must not retry, follow or reconnect by itself.

`frames` is as strict about what is in the body: it takes events of the log, as the design says they must stand on the wire.
"""

import json
import re
import socket
import struct
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from petstore.sse import Decoder, Received

DEADLINE_S = 30.0
"""Far longer than any answer takes: a deadline that is met says that something hangs, not that the machine is slow."""

_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


_FRAME = re.compile(rb"(?:event: [a-z-]+\n)?data: \{[^\r\n]*\}\nid: [0-9]{16}\n\n")
"""An event of the log: one line for each field, in the order in which no client can lose it."""

_BETWEEN = re.compile(rb"(?:retry: [0-9]+\n|: [^\r\n]+\n)+")
"""What may stand between events. A blank line after it would make an empty event in some clients."""


def frames(body: bytes, *, cut: bool = False) -> list[bytes]:
    """Return the events in a body, or in one chunk of it, which holds nothing that began before it.

    Nothing may end after it either, unless it was `cut`.
    """
    found, rest = [], body
    if cut:
        last, separator, _ = body.rpartition(b"\n\n")
        rest = last + separator
    while rest:
        match = _BETWEEN.match(rest)
        if match is None:
            match = _FRAME.match(rest)
            assert match, f"neither an event nor a line between two: {rest[:500]!r}"
            found.append(match[0])
        rest = rest[match.end() :]
    return found


class Cut(ConnectionError):
    """The connection ended before the body did."""


class Exchange:
    """One request and its answer, on a connection of its own.

    `body` is what has been read of the body so far, `chunks` the same in the pieces in which it was sent, `events` what it
    decodes to. `ended` says that the body is complete, by its own framing. `stop_after` makes it a client whose network fails:
    it gets so many bytes, of the head and all, and then Cut.
    """

    def __init__(
        self,
        address: tuple[str, int],
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        version: str = "HTTP/1.1",
        content: bytes = b"",
        connection: socket.socket | None = None,
        stop_after: int | None = None,
        wait: bool = True,
    ) -> None:
        self.method = method
        self._stop_after = stop_after
        self.socket = connection or socket.create_connection(address, DEADLINE_S)
        self.body = b""
        self.chunks: list[bytes] = []
        self.events: list[Received] = []
        self.decoder = Decoder()
        self.ended = False
        self._rest = b""
        sent = {"Host": f"{address[0]}:{address[1]}"} | ({"Content-Length": str(len(content))} if content else {})
        lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in (sent | dict(headers or {})).items())]
        try:
            self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + content)
            if wait:
                self.read_head()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def header(self, name: str) -> str | None:
        """Return the value of a header, which must not come twice."""
        values = [value for other, value in self.headers if other.lower() == name.lower()]
        assert len(values) <= 1, f"{name} comes {len(values)} times"
        return values[0] if values else None

    def read_until(self, predicate: Callable[[], object], deadline_s: float = DEADLINE_S) -> Self:
        """Read on until `predicate()` is true. The body must not end before that, nor `deadline_s` pass."""
        until = time.monotonic() + deadline_s
        while not predicate():
            assert not self.ended, f"the body ended too early: {self.body[-500:]!r}"
            self._read_piece(until)
        return self

    def read_events(self, count: int) -> list[Received]:
        """Return the first `count` events, reading on until they have come."""
        return self.read_until(lambda: len(self.events) >= count).events[:count]

    def read_to_end(self, deadline_s: float = DEADLINE_S) -> Self:
        """Read on until the body ends as its framing says. Raises Cut when the connection ends before."""
        until = time.monotonic() + deadline_s
        while not self.ended:
            self._read_piece(until)
        return self

    def json(self) -> Any:
        """Return the whole body, which is JSON."""
        return json.loads(self.read_to_end().body)

    def is_at_end_of_connection(self) -> bool:
        """Wait for the server to close, and say whether it did so without another byte."""
        return not self._rest and self.socket.recv(1) == b""

    def cut(self) -> None:
        """End the connection at once and rudely, with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """End the connection as browsers do."""
        self.socket.close()

    def read_head(self) -> Self:
        """Read the answer's head. The constructor has done so, unless it was told not to `wait`."""
        until = time.monotonic() + DEADLINE_S
        while b"\r\n\r\n" not in self._rest:
            self._receive(until)
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.version, _, status = first.partition(" ")
        self.status = int(status[:3])
        self.headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        self.chunked = self.header("Transfer-Encoding") == "chunked"
        length = self.header("Content-Length")
        assert not (self.chunked and length), "two framings at once"
        self._left = None if length is None else int(length)
        if self.method == "HEAD" or self.status in (204, 304):
            assert not self.chunked, "an answer without a body says that it has one"
            self._left = 0
        self.ended = self._left == 0
        return self

    def _read_piece(self, until: float) -> None:
        if self.chunked:
            self._read_chunk(until)
        elif self._left is None:
            try:
                self._take(self._rest or self._receive(until))
            except Cut:
                self.ended = True  # In HTTP/1.0 this is how a body ends.
            self._rest = b""
        else:
            piece = (self._rest or self._receive(until))[: self._left]
            self._rest = self._rest[len(piece) :]
            self._left -= len(piece)
            self.ended = self._left == 0
            self._take(piece)

    def _read_chunk(self, until: float) -> None:
        while b"\r\n" not in self._rest:
            self._receive(until)
        size = self._rest.partition(b"\r\n")[0]
        assert _CHUNK_SIZE.fullmatch(size), f"not a chunk's size: {size!r}"
        length = int(size, 16)
        head = len(size) + 2
        try:
            while len(self._rest) < head + length + 2:
                self._receive(until)
        except ConnectionError:
            # A client works with what it has of a chunk; it has no reason to wait for the rest.
            self._take(self._rest[head : head + length])
            raise
        chunk, end = self._rest[head : head + length], self._rest[head + length : head + length + 2]
        self._rest = self._rest[head + length + 2 :]
        assert end == b"\r\n", f"a chunk of {length} bytes ends with {end!r}"
        if length:
            self.chunks.append(chunk)
            self._take(chunk)
        else:
            self.ended = True

    def _take(self, piece: bytes) -> None:
        self.body += piece
        self.events += self.decoder.feed(piece)

    def _receive(self, until: float) -> bytes:
        limit = 65536 if self._stop_after is None else min(65536, self._stop_after)
        if limit == 0:
            raise Cut("as the test wants it")
        self.socket.settimeout(max(0.01, until - time.monotonic()))
        try:
            received = self.socket.recv(limit)
        except TimeoutError:
            raise AssertionError(f"silence until the deadline, after {self.body[-500:]!r}") from None
        if not received:
            raise Cut("the server closed the connection")
        if self._stop_after is not None:
            self._stop_after -= len(received)
        self._rest += received
        return received
