"""The newest events, in memory, by topic: what streams that keep up are served from.

Must not read the log or know who reads. Bounded by number and by bytes, whatever is appended.
"""

import threading
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Collection
from heapq import merge
from itertools import islice

from petstore.sse.event import Event

MAX_EVENTS = 20_000
"""A worker's ring holds some minutes of a busy shop: enough for nearly every reconnect to be served without the database."""

MAX_BYTES = 16 * 1024 * 1024
"""Of event data. A bulk change of large events must not fill the memory of the worker."""


class Ring:
    """Every event with an id above `floor` and up to `head` is here."""

    def __init__(self, head: int, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self.floor = head
        self.head = head
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._events: deque[Event] = deque()
        self._topics: dict[str, _Topic] = {}
        # Only the development server has real threads here; under gevent the lock is never contended.
        self._lock = threading.Lock()

    def add(self, events: Collection[Event]) -> None:
        """Take the next events of the log, oldest first, and drop the oldest ones that no longer fit."""
        with self._lock:
            for event in events:
                self._events.append(event)
                self._topics.setdefault(event.topic, _Topic()).append(event)
                self._bytes += len(event.data)
                self.head = event.id
            self._drop_oldest()

    def after(self, topics: Collection[str], cursor: int, limit: int) -> list[Event] | None:
        """Return up to `limit` events of `topics` above `cursor`, oldest first; None when the ring doesn't reach back so far.

        The cost grows with what is returned, not with what the ring holds: many streams may be far behind at once.
        """
        with self._lock:
            if cursor < self.floor:
                return None
            found = [self._topics[topic].after(cursor, limit) for topic in topics if topic in self._topics]
        return found[0] if len(found) == 1 else list(islice(merge(*found, key=lambda event: event.id), limit))

    def newest(self, topic: str) -> Event | None:
        """Return the newest event of a topic, if one is here."""
        with self._lock:
            return self._topics[topic].events[-1] if topic in self._topics else None

    def _drop_oldest(self) -> None:
        dropped: Counter[str] = Counter()
        while len(self._events) > self._max_events or self._bytes > self._max_bytes:
            event = self._events.popleft()
            dropped[event.topic] += 1
            self._bytes -= len(event.data)
            self.floor = event.id
        for topic, count in dropped.items():
            self._topics[topic].drop(count)
            if not self._topics[topic].ids:
                del self._topics[topic]


class _Topic:
    """The events of one topic, and their ids in a list of their own, which is searched without touching an event."""

    __slots__ = ("events", "ids")

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.ids.append(event.id)
        self.events.append(event)

    def after(self, cursor: int, limit: int) -> list[Event]:
        start = bisect_right(self.ids, cursor)
        return self.events[start : start + limit]

    def drop(self, count: int) -> None:
        del self.ids[:count]
        del self.events[:count]
