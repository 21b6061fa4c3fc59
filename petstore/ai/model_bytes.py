"""What a model's server sends, on its way to the package that understands it: bounded, and never all that the worker does.

A socket that always has something ready never makes whoever reads it wait, so nobody else would get a turn; and the package
keeps an event of any size until it's whole. Must not know what the bytes mean, but for where an event ends.
"""

import time
from collections.abc import Iterator
from typing import Any

from httpx2 import SyncByteStream

from petstore.ai.engine import MODEL
from petstore.ai.error import EngineFailed

PIECE = 1024
"""Bytes that are passed on before others get a turn: a few events, which take a millisecond to understand."""

CHUNK = 64
"""What a chunk counts for at the least: it has its price however small it is."""

TURN_S = 0.001
"""For how long. No less: gevent would come back at once, and serve no socket in between."""

MAX_EVENT = 128 * 1024
"""Bytes of one event: some send a whole answer in one, but none sends a book."""

_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class ModelBytes(SyncByteStream):
    """The body of `response`, of which more than `limit` bytes are an EngineFailed."""

    def __init__(self, response: Any, limit: int) -> None:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise EngineFailed(MODEL, "it sends what isn't as long as it looks, which nobody asked it to")
        self._body = response.stream
        self._limit = limit

    def __iter__(self) -> Iterator[bytes]:
        read = unended = passed = 0
        tail = b""
        for data in self._body:
            for start in range(0, len(data), PIECE):
                piece = data[start : start + PIECE]
                read += len(piece)
                seen = tail + piece
                end = max(seen.rfind(mark) for mark in _ENDS)
                unended, tail = (unended + len(piece)) if end < 0 else len(seen) - end, seen[-3:]
                if read > self._limit or unended > MAX_EVENT:
                    raise EngineFailed(MODEL, f"it sent too much: {read} bytes, {unended} of them in one event")
                yield piece
                passed += max(CHUNK, len(piece))
                if passed >= PIECE:
                    passed = 0
                    time.sleep(TURN_S)

    def close(self) -> None:
        self._body.close()
