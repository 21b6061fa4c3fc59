"""Who is there: which runs have a stream, or a request that waits for them, in this worker.

An observer of the streams that passes everything on to another one. Must not do I/O: the keeper writes what is known here.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from petstore.ai.run import id_in
from petstore.sse import Event, Feed, Observer


class Audience:
    """See `petstore.sse.Observer` for the contract. `on_leave` is called when the last one has left a run before its end."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._lock = threading.Lock()
        self._present: Counter[str] = Counter()
        self._left: set[str] = set()
        self.on_leave: Callable[[], object] = lambda: None
        # Called for each event and stream: as directly as can be.
        self.refused, self.delivered, self.lagged = observer.refused, observer.delivered, observer.lagged

    def opened(self, topics: Sequence[str], holders: Sequence[str], replays: bool, gaps: int) -> None:
        self._observer.opened(topics, holders, replays, gaps)
        for run_id in _runs(topics):
            self._come(run_id)

    def ended(self, topics: Sequence[str], holders: Sequence[str], cause: str, duration_s: float, events: int) -> None:
        self._observer.ended(topics, holders, cause, duration_s, events)
        for run_id in _runs(topics):
            self._leave(run_id, early=cause != "complete")

    def collect(self, feed: Feed, topic: str, timeout_s: float, wanted: Callable[[], bool]) -> list[Event]:
        """Return all events of a run, as `Feed.collect` does, whose client counts as being there. Raises LogUnavailable."""
        events: list[Event] = []
        (run_id,) = _runs((topic,))
        self._come(run_id)
        try:
            events = feed.collect(topic, timeout_s, wanted)
        finally:
            self._leave(run_id, early=not (events and events[-1].ends))
        return events

    def present(self) -> list[str]:
        """Return the runs that have somebody here."""
        with self._lock:
            return list(self._present)

    def take_left(self) -> list[str]:
        """Return the runs whose last client here has left since the last call."""
        with self._lock:
            left, self._left = self._left, set()
            return list(left)

    def put_back(self, left: Sequence[str]) -> None:
        """Have the next `take_left` return these too, but for those that somebody has come back to since."""
        with self._lock:
            self._left.update(run_id for run_id in left if run_id not in self._present)

    def _come(self, run_id: str) -> None:
        with self._lock:
            self._present[run_id] += 1
            self._left.discard(run_id)

    def _leave(self, run_id: str, early: bool) -> None:
        with self._lock:
            self._present[run_id] -= 1
            last = self._present[run_id] <= 0
            if last:
                del self._present[run_id]
                if early:
                    self._left.add(run_id)
        if last and early:
            self.on_leave()


def _runs(topics: Sequence[str]) -> list[str]:
    return [run_id for topic in topics if (run_id := id_in(topic)) is not None]
