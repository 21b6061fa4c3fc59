"""The pump: sends new events to all streams of a worker that wait for the same bytes.

The invariants. One writer at a time: only a parked subscription is sent to. Order, and nothing left out: one is sent to only
when its cursor stands between the last pass's events and this one's, so it has had all before and none of these; any other
one is woken and takes what it misses by itself. A cursor never passes what was sent.

Encoding and framing are done once a pass for all streams that want the same (a group), and the system is called once for
hundreds of them, so the cost of a delivery is the kernel's, whatever the number of topics or of streams that it doesn't
concern. What came while a pass was under way, or in the pause that the feed makes after a busy one, goes out joined in the next:
the more there is to do, the cheaper each event gets.

Must not know what an event is about.
"""

import logging
import time
from collections.abc import Iterable
from heapq import merge

import gevent

from petstore.sse.broadcast import MOST, Broadcast
from petstore.sse.event import Event
from petstore.sse.observer import Observer
from petstore.sse.outlet import chunk
from petstore.sse.selection import Selection
from petstore.sse.subscription import Group, Subscription, page

logger = logging.getLogger(__name__)

TURN = MOST
"""Sends to one group after which everything else in the worker gets its turn."""

SLICE_S = 0.002
"""How long it goes from one group to the next without that. Ten thousand clients who each follow an order of their own beside the
inventory are ten thousand groups, and a change takes some 20 us in each."""


class Pump:
    """The groups of a worker, found by selection and by topic."""

    def __init__(self, observer: Observer, broadcast: Broadcast) -> None:
        self._observer = observer
        self._broadcast = broadcast
        self._groups: dict[Selection, Group] = {}
        self._topics: dict[str, set[Group]] = {}

    def group(self, selection: Selection) -> Group:
        """Return the group of all streams with this selection."""
        group = self._groups.get(selection)
        if group is None:
            group = self._groups[selection] = Group(selection)
            for topic in selection.topics:
                self._topics.setdefault(topic, set()).add(group)
        return group

    def leave(self, subscription: Subscription) -> None:
        """Forget a subscription; forgetting it twice does nothing."""
        subscription.unpark()
        group = subscription.group
        group.awake.discard(subscription)
        # The same selection may have a new group by now, with members of its own.
        if not group.awake and not group.parked and self._groups.get(group.selection) is group:
            del self._groups[group.selection]
            for topic in group.selection.topics:
                self._topics[topic].discard(group)
                if not self._topics[topic]:
                    del self._topics[topic]

    def wake_all(self) -> None:
        """Wake every stream."""
        for group in tuple(self._groups.values()):
            for subscription in group.members:
                subscription.wake()

    def pass_on(self, events: Iterable[Event]) -> None:
        """Bring `events`, the next ones of the log, to every stream that wants them."""
        of_topic: dict[str, list[Event]] = {}
        for event in events:
            of_topic.setdefault(event.topic, []).append(event)
        # Copied in one go, each: in a server of threads streams come and go meanwhile.
        groups = dict.fromkeys(group for topic in of_topic for group in tuple(self._topics.get(topic, ())))
        begun = time.monotonic()
        for group in groups:
            if time.monotonic() - begun > SLICE_S:
                gevent.sleep(0)
                begun = time.monotonic()
            found = [of_topic[topic] for topic in group.selection.topics if topic in of_topic]
            its_events = found[0] if len(found) == 1 else list(merge(*found, key=lambda event: event.id))
            try:
                done = 0
                while some := page(its_events[done:]):
                    self._pass_to(group, some)
                    done += len(some)
            except Exception:
                # What was not brought must be taken: without this the next pass would send what comes after it.
                logger.exception("a pass to the streams of %s failed", ", ".join(group.selection.topics))
                group.skip_pass(its_events[-1].id)

    def skip_all(self, last_id: int) -> None:
        """Have every stream take by itself what it lacks up to `last_id`: a pass has failed, nobody knows where."""
        for group in tuple(self._groups.values()):
            group.skip_pass(last_id)

    def _pass_to(self, group: Group, events: list[Event]) -> None:
        first_id, last_id = events[0].id, events[-1].id
        frames = self._frames(group, events)
        if frames is None:
            group.skip_pass(last_id)
            return
        for subscription in tuple(group.awake):
            if subscription.cursor < last_id:
                subscription.wake()
        group.begin_pass(first_id, last_id, len(frames))
        if not frames:
            group.due.clear()
            return
        group.sent_at = time.monotonic()
        sent = self._send(group, chunk(b"".join(frames)), last_id, len(frames))
        if sent:
            self._observer.delivered(sent * len(frames), last_id)

    def _send(self, group: Group, data: bytes, last_id: int, events: int) -> int:
        """Send `data`, so many events up to `last_id`, to all that are due. Returns how many took it whole."""
        due, whole = group.due, 0
        waiting = list(due)
        for start in range(0, len(waiting), TURN):
            if start:
                gevent.sleep(0)
            # But for who has left meanwhile, or takes these events by itself.
            turn = [descriptor for descriptor in waiting[start : start + TURN] if descriptor in due]
            short = self._broadcast.send(turn, data)
            # Nobody else may run before each stands where what it was sent has brought it.
            for descriptor, sent in short.items():
                group.parked[descriptor].fall_behind(data, sent, last_id, events)
            for descriptor in turn:
                due.pop(descriptor, None)
            whole += len(turn) - len(short)
        return whole

    def _frames(self, group: Group, events: list[Event]) -> list[bytes] | None:
        """Return what to send; None when each stream must see to these events by itself."""
        if any(event.ends for event in events):
            return None  # A stream that ends has more to do than to send.
        try:
            return group.selection.frames(events)
        except Exception:
            # Its streams will meet the same error, and end with it. The other groups must get their events.
            logger.exception("the filter of a stream of %s failed", ", ".join(group.selection.topics))
            return None
