"""The feed: follows the log, one in each worker, and wakes the streams whose topics have news.

How a stream gets its events, from a replay to live: a `Subscription` is a cursor, and `take` returns what comes next after
it, from the ring when the ring reaches back that far and from the log when it doesn't. There is no hand-over between the
two to get wrong: whichever answers, it answers "what is above this cursor", and the cursor never passes what was returned.
A stream that falls behind the ring simply reads the log again, so it costs nobody else anything.

Must not know what an event is about, nor how it's sent.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable

from gevent.event import Event as Signal

from petstore.sse.error import LogUnavailable
from petstore.sse.event import ENDINGS, Event
from petstore.sse.event_log import EventLog
from petstore.sse.ring import Ring

PAGE = 200
"""Events that a stream takes at once. It bounds the memory of a replay, and the time before others get their turn."""

COLLECT = 1000
"""Events that the feed reads at once: a bulk change as a whole."""

POLL_S = 1.0
"""How long the feed trusts that it would have been woken. A writer killed before it could ring delays its event by this."""

logger = logging.getLogger(__name__)


class Subscription:
    """One stream's place in the feed: the topics, and the cursor up to which everything has been taken."""

    __slots__ = ("_feed", "cursor", "topics", "wake")

    def __init__(self, feed: "Feed", topics: Collection[str], cursor: int, wake: Callable[[], object]) -> None:
        self._feed = feed
        self.topics = tuple(dict.fromkeys(topics))  # Named twice, a topic would be told twice.
        self.cursor = cursor
        self.wake = wake

    def take(self) -> list[Event]:
        """Return the next events after the cursor, at most PAGE of them, and move the cursor past them.

        An empty list means that there is nothing now; `wake` is called when there may be. Raises LogUnavailable.
        """
        ring = self._feed.ring
        while True:
            # Read before the log is, so that it's a floor under what the log will know.
            head = ring.head
            events = ring.after(self.topics, self.cursor, PAGE)
            from_log = events is None
            if events is None:
                events = self._feed.log.read(self.topics, self.cursor, PAGE)
            if events:
                self.cursor = events[-1].id
                return events
            # Nothing of ours up to the head: that stretch need not be looked at again.
            self.cursor = max(self.cursor, head)
            if not from_log:
                return []

    def close(self) -> None:
        """Leave the feed."""
        self._feed.leave(self)


class Feed:
    """Follows `log` in a thread of its own (a greenlet under gevent) from the first `start` to `stop`."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.ring = Ring(0)
        self.draining = False
        self._topics: dict[str, set[Subscription]] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow the log, if that has not begun. Raises LogUnavailable when it can't be read."""
        with self._lock:
            if self._thread is None:
                # The bell first, the head after it: an event between the two is heard of.
                self.log.wait(0)
                self.ring = Ring(self.log.head())
                self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
                self._thread.start()

    def subscribe(self, topics: Collection[str], cursor: int | None, wake: Callable[[], object]) -> Subscription:
        """Return a place in the feed just after `cursor`, or at the head when that is None.

        `wake` is called, in the feed's thread, whenever there may be something to take; it must return at once.
        """
        self.start()
        subscription = Subscription(self, topics, self.ring.head if cursor is None else cursor, wake)
        with self._lock:
            for topic in subscription.topics:
                self._topics.setdefault(topic, set()).add(subscription)
        return subscription

    def collect(self, topic: str, timeout_s: float) -> list[Event]:
        """Return all events of a topic, waiting for the one that ends it; without that one after `timeout_s` seconds.

        Raises LogUnavailable.
        """
        news = Signal()
        subscription = self.subscribe([topic], 0, news.set)
        collected: list[Event] = []
        until = time.monotonic() + timeout_s
        try:
            while not (collected and collected[-1].type in ENDINGS) and time.monotonic() < until:
                news.clear()
                taken = subscription.take()
                collected += taken
                if not taken:
                    news.wait(until - time.monotonic())
        finally:
            subscription.close()
        return collected

    def leave(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        with self._lock:
            for topic in subscription.topics:
                subscribed = self._topics.get(topic)
                if subscribed is not None:
                    subscribed.discard(subscription)
                    if not subscribed:
                        del self._topics[topic]

    def drain(self) -> None:
        """Tell every stream, now and from now on, to say goodbye."""
        self.draining = True
        self._wake(list(self._topics))

    def stop(self) -> None:
        """End the thread. Streams get nothing more."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._collect()
            except LogUnavailable as error:
                # Streams stay open, and catch up when the log is back.
                logger.warning("the feed waits: %s", error)
            except Exception:
                # Without the feed every stream of this worker would hang, open and silent, until it's restarted.
                logger.exception("the feed failed and goes on")
            self.log.wait(POLL_S)

    def _collect(self) -> None:
        while True:
            events = self.log.read(None, self.ring.head, COLLECT)
            if events:
                self.ring.add(events)
                self._wake({event.topic for event in events})
            if len(events) < COLLECT:
                return

    def _wake(self, topics: Iterable[str]) -> None:
        with self._lock:
            subscribed = [subscription for topic in topics for subscription in self._topics.get(topic, ())]
        for subscription in subscribed:
            subscription.wake()
