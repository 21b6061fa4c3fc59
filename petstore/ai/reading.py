"""Reads what comes over a network in a greenlet of its own, so that whoever waits for it is never stuck in that wait.

What has come in the meantime is handed over together: the faster a model talks, the fewer transactions each of its words costs.
Must not know what is read.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, ClassVar, Generic, TypeVar

from petstore.ai.engine import MODEL, Halt
from petstore.ai.error import EngineFailed
from petstore.sse import close_own_loop

TICK_S = 1.0
"""How often the reader is told that there is nothing new."""

PAUSE_S = 0.02
"""How long what comes is collected, at least, before more is handed over: nobody reads faster than this."""

SHARE_S = 0.02
"""The same for each reading that goes on in this process: what is handed over is written, and others want to write too."""

AHEAD = 1000
"""How many items may be read before they are handed over. A server that sends more is left waiting."""

T = TypeVar("T")


class _End:
    """What the queue holds last: how the reading ended."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


class _Poke:
    """Something else has happened."""


class Reading(Generic[T]):
    """Reads `items(halt)` as long as something is heard of it at least every `silence_s` seconds."""

    _under_way: ClassVar[set[object]] = set()

    def __init__(self, items: Callable[[Halt], Iterator[T]], silence_s: float) -> None:
        self._items = items
        self._silence_s = silence_s
        self._halt = Halt()
        self._queue: queue.SimpleQueue[T | _End | _Poke] = queue.SimpleQueue()

    @property
    def tokens(self) -> int:
        """What it has cost by now."""
        return self._halt.tokens

    def poke(self) -> None:
        """Have an empty list handed over soon."""
        self._queue.put(_Poke())

    def batches(self) -> Generator[list[T], None, None]:
        """Yield what has come, or an empty list when nothing has for a while. Raises what `items` raises, and EngineFailed.

        Closing it hangs up.
        """
        threading.Thread(target=self._read, name="reading", daemon=True).start()
        self._under_way.add(self)
        try:
            while True:
                batch, end = self._take(min(TICK_S, self._silence_s))
                if batch:
                    self._halt.hear()
                elif end is None and time.monotonic() - self._halt.heard_at >= self._silence_s:
                    raise EngineFailed(MODEL, f"nothing came for {self._silence_s:g} s")
                if batch or end is None:
                    yield batch
                if end is not None:
                    if end.error is not None:
                        raise end.error
                    return
                if batch:
                    time.sleep(max(PAUSE_S, SHARE_S * len(self._under_way)))
        finally:
            self._under_way.discard(self)
            self._halt.request()

    def _take(self, timeout_s: float) -> tuple[list[T], _End | None]:
        batch: list[T] = []
        try:
            item = self._queue.get(timeout=timeout_s)
            while True:
                if isinstance(item, _End):
                    return batch, item
                if not isinstance(item, _Poke):
                    batch.append(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return batch, None

    def _read(self) -> None:
        error: Exception | None = None
        try:
            for item in self._items(self._halt):
                self._queue.put(item)
                while self._queue.qsize() >= AHEAD and not self._halt.requested:
                    time.sleep(PAUSE_S)
        except Exception as caught:  # noqa: BLE001 (it is raised again, where it's waited for)
            error = caught
        finally:
            self._queue.put(_End(error))
            close_own_loop()


class ReadingGeneration:
    """A generation that waits for a Reading now and then: `poke` reaches the one under way, `tokens` is what all have cost."""

    def __init__(self) -> None:
        self.tokens = 0
        self._reading: Reading[Any] | None = None

    def poke(self) -> None:
        if (reading := self._reading) is not None:
            reading.poke()

    def _read(self, items: Callable[[Halt], Iterator[T]], silence_s: float) -> Generator[list[T], None, None]:
        """Yield the batches of a Reading. Closing it hangs up."""
        self._reading = reading = Reading(items, silence_s)
        before, batches = self.tokens, reading.batches()
        try:
            for batch in batches:
                self.tokens = before + reading.tokens
                yield batch
        finally:
            self.tokens = before + reading.tokens
            batches.close()
            self._reading = None
