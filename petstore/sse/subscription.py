"""One stream's place in the feed: what it wants, how far it has come, and who may write to its client just now.

How a stream gets its events, from a replay to live: `take` returns what comes next after the cursor, from the ring when the
ring reaches back that far and from the log when it doesn't. There is no hand-over between the two to get wrong: whichever
answers, it answers "what is above this cursor", and the cursor never passes what was handed over.

One writer at a time. A stream that has taken everything may `park`: from then on its socket belongs to its group, whose pump
sends, and to the heartbeat greenlet (`push`). It takes the socket back by `unpark`, before it writes anything itself. A send
that the socket doesn't take whole unparks and wakes the stream, which sends the rest first and then catches up at its own
speed.

Must not know what an event is about.
"""

from collections.abc import Callable, Collection
from typing import Protocol

from petstore.sse.error import Overtaken
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

    A pass to thousands of streams is mostly the time in which their memory comes to the processor, so it touches of each as
    little as can be: the descriptor of its socket, by which a stream is known as long as it's parked. Those that are parked and
    have had every pass are settled: they stand at `last_id`, the newest event that was passed on, which is not noted in each. A
    newcomer has parked since the last pass, and stands where its own cursor says. `due` are, while a pass is under way, the
    settled ones to which it has not come yet: they stand at `before_id`. `passed` and `before_passed` count the events that went
    to whoever is settled. `sent_at` is the monotonic time of the last pass.
    """

    __slots__ = ("awake", "before_id", "before_passed", "due", "last_id", "newcomers", "parked", "passed", "selection", "sent_at")

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.awake: set[Subscription] = set()
        self.parked: dict[int, Subscription] = {}
        self.newcomers: set[int] = set()
        self.due: dict[int, bool] = {}
        self.last_id = self.before_id = 0
        self.passed = self.before_passed = 0
        self.sent_at = 0.0

    @property
    def members(self) -> "list[Subscription]":
        """All of them."""
        return [*self.awake, *self.parked.values()]

    def begin_pass(self, first_id: int, last_id: int, events: int) -> None:
        """Move on to `last_id`, with so many events to send for those from `first_id` on. Nobody else may run meanwhile.

        A stream that stands before them all is due. One that has had some of them, or missed something before, takes what it lacks
        by itself; one that has had all is left alone.
        """
        for descriptor in tuple(self.newcomers):
            one = self.parked[descriptor]
            if self.last_id <= one.cursor < first_id:
                one.settle()
            elif one.cursor < last_id:
                one.unpark()
                one.wake()
        self.due = dict.fromkeys(self.parked, True)
        for descriptor in self.newcomers:
            del self.due[descriptor]
        self.before_id, self.before_passed = self.last_id, self.passed
        self.last_id, self.passed = last_id, self.passed + events

    def skip_pass(self, last_id: int) -> None:
        """Move on to `last_id`, and have everybody take what came up to there by themselves."""
        for one in self.members:
            if one.cursor < last_id:
                one.unpark()
                one.wake()
        self.due.clear()
        self.last_id = last_id


class Subscription:
    """A cursor into the topics of its group; `wake` is called when there may be something to take or to write."""

    __slots__ = ("_base", "_began", "_cursor", "_outlet", "_source", "_told", "group", "rest", "sent", "wake")

    def __init__(self, source: Source, group: Group, cursor: int, wake: Callable[[], object], told: int | None = None) -> None:
        self._source = source
        self._cursor = self._began = cursor
        self._told = told
        self._outlet: Outlet | None = None
        self._base = 0
        self.group = group
        self.wake = wake
        self.sent = 0
        """Events handed to the client's socket, but for those that came while it was parked."""

        self.rest: memoryview | None = None
        """What is left of a send that the socket took in part: the stream's first business."""

        group.awake.add(self)

    @property
    def parked(self) -> bool:
        """Whether the socket belongs to others."""
        return self._outlet is not None

    @property
    def cursor(self) -> int:
        """The newest event that was handed over or sent, or after which there was nothing."""
        group, outlet = self.group, self._outlet
        if outlet is None or outlet.descriptor in group.newcomers:
            return self._cursor
        return group.before_id if outlet.descriptor in group.due else group.last_id

    def take(self) -> list[Event]:
        """Return the next events after the cursor, at most a page of them, and move the cursor past them.

        An empty list means that there is nothing now. Raises LogUnavailable, and Overtaken once.
        """
        source, topics = self._source, self.group.selection.topics
        while True:
            # Read before the log is, so that it's a floor under what the log will know.
            head = source.ring.head
            events = source.ring.after(topics, self._cursor, PAGE)
            from_log = events is None
            if events is None:
                events = self._read(source.log, topics)
            if events:
                taken = page(events)
                self._cursor = taken[-1].id
                return taken
            # Nothing of ours up to the head: that stretch need not be looked at again.
            self._cursor = max(self._cursor, head)
            if not from_log:
                return []

    def take_at_hand(self, size: int) -> list[Event]:
        """Return what `take` would, as far as that is in memory and no more than `size` characters of data.

        Waits for nothing, so it may leave out everything; `take` then goes on with that.
        """
        events = self._source.ring.after(self.group.selection.topics, self._cursor, PAGE)
        if not events or sum(len(event.data) for event in events) > size:
            return []
        self._cursor = events[-1].id
        return events

    def go_back(self, cursor: int) -> None:
        """Take what follows `cursor` once more. The subscription must not be parked."""
        self._cursor = self._began = min(self._cursor, cursor)
        self._told = None

    def _read(self, log: EventLog, topics: Collection[str]) -> list[Event]:
        """Read on in the log, where retention may have come between the cursor and what it still has. Raises Overtaken."""
        cursor = self._cursor
        if self._told is None and cursor == self._began:
            # It begins where it asked nobody whether all is there.
            self._told = log.trimmed()
            return log.read(topics, cursor, PAGE)
        events, trimmed_id = log.read(topics, cursor, PAGE), log.trimmed()
        known = max(cursor, self._told or 0)
        if trimmed_id > known:
            self._told = trimmed_id
            if any(extent.trimmed_id > known for extent in log.extents(topics).values()):
                raise Overtaken
        return events

    def park(self, outlet: Outlet | None) -> None:
        """Leave the socket to others, if it's ours at all, right after `take` came back empty.

        It must stay open until `unpark`: others write to its number, which could be another client's by then.
        """
        if outlet is not None:
            group = self.group
            self._outlet = outlet
            group.awake.discard(self)
            group.parked[outlet.descriptor] = self
            group.newcomers.add(outlet.descriptor)

    def unpark(self) -> None:
        """Take the socket back: from now on nobody else writes."""
        group, outlet = self.group, self._outlet
        if outlet is None:
            return
        descriptor = outlet.descriptor
        if descriptor in group.newcomers:
            group.newcomers.remove(descriptor)
        elif descriptor in group.due:
            del group.due[descriptor]
            self.advance(group.before_id, group.before_passed - self._base)
        else:
            self.advance(group.last_id, group.passed - self._base)
        del group.parked[descriptor]
        self._outlet = None
        group.awake.add(self)

    def settle(self) -> None:
        """Go on with the others of the group, from where they stand."""
        assert self._outlet is not None
        group = self.group
        group.newcomers.remove(self._outlet.descriptor)
        self._base = group.passed

    def advance(self, cursor: int, events: int) -> None:
        """Note that so many events were sent, up to `cursor`."""
        self._cursor = max(self._cursor, cursor)
        self.sent += events

    def push(self, data: bytes) -> bool:
        """Send `data`, framed as it must stand on the wire and without an event. Returns whether the socket took it all.

        The subscription must be parked.
        """
        assert self._outlet is not None
        try:
            sent = self._outlet.send(data)
        except OSError:
            sent = 0
        if sent != len(data):
            self.fall_behind(data, sent, self.cursor, 0)
            return False
        return True

    def fall_behind(self, data: bytes, sent: int, cursor: int, events: int) -> None:
        """Take the socket back, which took only `sent` bytes of `data`: so many events, up to `cursor`.

        Full, or gone: the stream's own write will wait for the one or find out the other. What was begun must be ended first.
        """
        self.unpark()
        if sent:
            self.advance(cursor, events)
            self.rest = memoryview(data)[sent:]  # All that are as slow as this one share the bytes.
        self.wake()


def page(events: list[Event]) -> list[Event]:
    """Return the first of `events`, as many as may go out as one chunk: a bulk of large ones must not become a gigabyte."""
    size = 0
    for count, event in enumerate(events, start=1):
        size += len(event.data)
        if size >= MAX_PAGE:
            return events[:count]
    return events
