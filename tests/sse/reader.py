"""A reader of one stream, in the place of the server: takes its chunks and decodes them, and never waits for ever."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import gevent
from gevent.monkey import is_module_patched

from petstore.sse import Decoder, Received, Stream
from tests.sse.other_process import PATIENCE_S


def patience() -> AbstractContextManager[object]:
    """Return a context that ends after PATIENCE_S, except in a thread whose loop the stream closes when it ends."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return gevent.Timeout(PATIENCE_S) if in_main_thread or is_module_patched("threading") else nullcontext()


class Reader:
    """Iterates `stream` as a server does, from its first chunk when `next` is first called to `close`."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.decoder = Decoder()
        self.received: list[Received] = []
        self._body: Iterator[bytes] | None = None

    def next(self) -> bytes:
        """Return the next chunk. Raises StopIteration at the end."""
        if self._body is None:
            self._body = iter(self.stream)
        with patience():
            chunk = next(self._body)
        assert chunk.endswith(b"\n"), "a chunk is made of whole lines"
        self.received += self.decoder.feed(chunk)
        return chunk

    def read_until(self, condition: Callable[[], object]) -> None:
        """Take chunks until `condition` holds."""
        while not condition():
            self.next()

    def read_events(self, count: int) -> list[Received]:
        """Take chunks until so many more events have come, and return them all."""
        before = len(self.received)
        self.read_until(lambda: len(self.received) >= before + count)
        return self.received[before:]

    def read_to_the_end(self) -> list[Received]:
        """Take every chunk that is left, and return the events in them."""
        before = len(self.received)
        while True:
            try:
                self.next()
            except StopIteration:
                return self.received[before:]

    def close(self) -> None:
        """Do what a server does at the end, whatever has happened."""
        self.stream.close()

    @property
    def ids(self) -> list[int]:
        """The ids of all events that have come, control events left out."""
        return [int(event.last_event_id) for event in self.received if event.type not in ("gap", "goodbye", "error")]
