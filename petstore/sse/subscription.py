"""One stream's place in the feed: what it wants, how far it has come, and who may write to its client just now.

How a stream gets its events, from a replay to live: `take` returns what comes next after the cursor, from the ring when the
ring reaches back that far and from the log when it doesn't. There is no hand-over between the two to get wrong: whichever
answers, it answers "what is above this cursor", and the cursor never passes what was handed over.

One writer at a time. A stream that has taken everything may `park`: from then on its socket belongs to whoever calls `push`
(the pump, the heartbeat greenlet), and its cursor moves with what they send. It takes the socket back by `unpark`, before it
writes anything itself. A `push` that the socket doesn't take whole unparks and wakes the stream, which sends the rest first
and then catches up at its own speed.

Must not know what an event is about.
"""

from collections.abc import Callable
from typing import Protocol

from petstore.sse.event import Event
from petstore.sse.event_log import EventLog
from petstore.sse.outlet import Outlet
from petstore.sse.ring import Ring
from petstore.sse.selection import Selection

PAGE = 200
"""Events that a stream takes at once. It bounds the memory of a replay, and the time before others get their turn."""

MAX_PAGE = 256 * 1024
"""Characters of data after which a page ends although more events wait. An event larger than that still comes whole."""


class Source(Protocol):
    """Where a subscription takes events from: the feed."""

    ring: Ring
    log: EventLog


class Group:
    """The subscriptions with one selection: they are sent the same bytes.

    `last_id` is the newest event that was passed on to them, `sent_at` the loop's time of that.
    """

    __slots__ = ("last_id", "members", "selection", "sent_at")

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.members: set[Subscription] = set()
        self.last_id = 0
        self.sent_at = 0.0


class Subscription:
    """A cursor into the topics of its group; `wake` is called when there may be something to take or to write."""

    __slots__ = ("_outlet", "_source", "cursor", "group", "parked", "rest", "sent", "wake")

    def __init__(self, source: Source, group: Group, cursor: int, wake: Callable[[], object]) -> None:
        self._source = source
        self._outlet: Outlet | None = None
        self.group = group
        self.cursor = cursor
        self.wake = wake
        self.parked = False
        self.sent = 0
        """Events handed to the client's socket."""

        self.rest: memoryview | None = None
        """What is left of a push that the socket took in part: the stream's first business."""

        group.members.add(self)

    def take(self) -> list[Event]:
        """Return the next events after the cursor, at most a page of them, and move the cursor past them.

        An empty list means that there is nothing now. Raises LogUnavailable.
        """
        source, topics = self._source, self.group.selection.topics
        while True:
            # Read before the log is, so that it's a floor under what the log will know.
            head = source.ring.head
            events = source.ring.after(topics, self.cursor, PAGE)
            from_log = events is None
            if events is None:
                events = source.log.read(topics, self.cursor, PAGE)
            if events:
                taken = page(events)
                self.cursor = taken[-1].id
                return taken
            # Nothing of ours up to the head: that stretch need not be looked at again.
            self.cursor = max(self.cursor, head)
            if not from_log:
                return []

    def take_at_hand(self, size: int) -> list[Event]:
        """Return what `take` would, as far as that is in memory and no more than `size` characters of data.

        Waits for nothing, so it may leave out everything; `take` then goes on with that.
        """
        events = self._source.ring.after(self.group.selection.topics, self.cursor, PAGE)
        if not events or sum(len(event.data) for event in events) > size:
            return []
        self.cursor = events[-1].id
        return events

    def park(self, outlet: Outlet | None) -> None:
        """Leave the socket to `push`, if it's ours at all, right after `take` came back empty."""
        self._outlet = outlet
        self.parked = outlet is not None

    def unpark(self) -> None:
        """Take the socket back: from now on nobody else writes."""
        self.parked = False

    def push(self, data: bytes, cursor: int, events: int) -> bool:
        """Send `data`, so many events framed as they must stand on the wire, and move the cursor to theirs.

        Returns whether the socket took it all.

        The subscription must be parked.
        """
        assert self._outlet is not None
        try:
            sent = self._outlet.send(data)
        except OSError:
            # Full, or gone: the stream's own write will wait for the one or find out the other. Nothing of this was sent.
            sent = 0
        if sent == len(data):
            self.cursor = cursor
            self.sent += events
            return True
        self.parked = False
        if sent:
            self.cursor = cursor
            self.sent += events
            self.rest = memoryview(data)[sent:]  # All that are as slow as this one share the bytes.
        self.wake()
        return False


def page(events: list[Event]) -> list[Event]:
    """Return the first of `events`, as many as may go out as one chunk: a bulk of large ones must not become a gigabyte."""
    size = 0
    for count, event in enumerate(events, start=1):
        size += len(event.data)
        if size >= MAX_PAGE:
            return events[:count]
    return events
