"""The body of a streamed response: a cursor into the log, written out as Server-Sent Events.

The server iterates it. All that it takes (a place in admission, one in the feed, the heartbeat) is taken when the
iteration begins and given back when it ends, because a server may never begin: it doesn't for HEAD.

The invariants. One writer at a time: the stream itself, or, while its subscription is parked, whoever pushes to that. Order:
bytes go out in the order of ids. A client's cursor never passes what was sent: an event goes out whole, in one chunk, its id
last. No connection of any pool is held between two chunks.

Two paths, one meaning. Where the client's socket is ours to write to (`outlet` says where), everything after the first bytes
goes straight to it; everywhere else every chunk is yielded to the server.

Must not know Flask, a request, or what an event is about.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import gevent

from petstore.sse.admission import Admission
from petstore.sse.cursor import Gap, Opening
from petstore.sse.error import LogUnavailable, Overtaken
from petstore.sse.event import Event, Form, encode_comment, encode_control, encode_start
from petstore.sse.feed import Feed
from petstore.sse.heartbeat import Heartbeat
from petstore.sse.loop import close_own_loop
from petstore.sse.outlet import Gone, Outlet, chunk, find_outlet
from petstore.sse.selection import Selection
from petstore.sse.subscription import Subscription
from petstore.sse.terms import Terms, goodbye
from petstore.sse.wakeup import Wakeup

RETRY_S = 1.0
"""How long a stream waits before it asks again a log that did not answer."""

AT_HAND = 16 * 1024
"""Characters of data that may leave with the first bytes. The server writes these, and it would wait for ever for a client that
doesn't read; so much fits into the buffer of any socket."""

HEARTBEAT = encode_comment("heartbeat")
HEARTBEAT_CHUNK = chunk(HEARTBEAT)

logger = logging.getLogger(__name__)


class Stream:
    """An iterable of chunks, each made of whole lines.

    `connection` is the client's socket, where the server shows it. `snapshot` returns the URL whose body restores the state of a
    topic; it's called here and now, while the request is at hand.
    """

    __slots__ = (
        "_admission",
        "_beat_due",
        "_body",
        "_cause",
        "_connection",
        "_cursor",
        "_feed",
        "_first",
        "_gaps",
        "_heartbeat",
        "_holders",
        "_last_sent",
        "_left",
        "_outlet",
        "_running",
        "_selection",
        "_sending",
        "_subscription",
        "_terms",
        "_told",
        "_wakeup",
    )

    def __init__(
        self,
        feed: Feed,
        admission: Admission,
        terms: Terms,
        selection: Selection,
        opening: Opening,
        snapshot: Callable[[str], str],
        connection: Any = None,
        holders: Sequence[str] = (),
    ) -> None:
        self._feed = feed
        self._admission = admission
        self._terms = terms
        self._selection = selection
        self._cursor = opening.cursor
        self._told = opening.told
        gaps = [encode_control("gap", _gap(gap, selection.form, snapshot(gap.topic)), selection.form) for gap in opening.gaps]
        self._first = b"".join([encode_start(terms.retry_ms, selection.form), *gaps])
        self._running = set(selection.topics) - opening.over
        self._connection = connection
        self._holders = holders
        self._gaps = len(gaps)
        self._cause = "left"
        self._outlet: Outlet | None = None
        self._left = False
        self._beat_due = False
        self._last_sent = 0.0
        self._sending = 0
        self._heartbeat: Heartbeat | None = None
        self._body: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        self._outlet = find_outlet(self._connection, sys._getframe().f_back, partial(self._feed.patience_s, self._terms.stuck_s))
        self._body = self._run()
        return self._body

    def close(self) -> None:
        """End the stream; the server calls this when it's done or the client is gone."""
        if self._body is not None:
            self._body.close()  # type: ignore[attr-defined]

    def _run(self) -> Iterator[bytes]:
        refusal = self._admission.refusal(self._holders)
        if refusal is not None:
            self._feed.observer.refused(refusal)
            yield goodbye(self._terms, refusal, self._selection.form)
            return
        begun = self._begin()
        try:
            self._feed.observer.opened(self._selection.topics, self._holders, self._cursor is not None, self._gaps)
            yield self._begin_with()
            if self._outlet is None:
                while (data := self._next()) is not None:
                    self._note_sent()
                    yield data
            else:
                self._pour(self._outlet)
        except Gone as gone:
            self._cause = "stuck" if gone.stuck else "left"
        except Exception:
            self._cause = "failed"
            logger.exception("a stream of %s failed", ", ".join(self._selection.topics))
            last_words = encode_control("error", self._terms.failure, self._selection.form)
            if self._outlet is None:
                yield last_words
            else:
                with contextlib.suppress(Gone):
                    self._outlet.write(self._outlet.frame(last_words))
        finally:
            self._end(time.monotonic() - begun)

    def _begin(self) -> float:
        """Take all that the stream needs, and return the moment."""
        self._admission.take(self._holders)
        self._wakeup = Wakeup()
        try:
            # Before the first byte: whatever is appended after a client has seen that must reach it.
            self._subscription = self._feed.subscribe(self._selection, self._cursor, self._wakeup.wake, self._told)
        except BaseException:
            self._admission.give_back(self._holders)
            raise
        self._note_sent()
        return time.monotonic()

    def _begin_with(self) -> bytes:
        """Return the first bytes, and what follows them at once: for a client that comes back, or for a short run, that is all."""
        # A fresh stream begins at the head, where nothing follows.
        events = self._subscription.take_at_hand(AT_HAND) if self._cursor is not None and self._running else []
        return self._first + self._frame(events) if events else self._first

    def _end(self, duration_s: float) -> None:
        self._admission.give_back(self._holders)
        self._feed.leave(self._subscription)
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None  # It knows us as we know it: a circle, which would wait for the garbage collector.
        close_own_loop()
        self._feed.observer.ended(self._selection.topics, self._holders, self._cause, duration_s, self._subscription.sent)

    def _pour(self, outlet: Outlet) -> None:
        """Send everything through the outlet. A plain loop: a second generator would cost each waiting stream half a KiB."""
        while (data := self._next()) is not None:
            self._note_sent()
            outlet.write(outlet.frame(data))

    def _next(self) -> bytes | None:
        """Return what is to be sent next, however long it takes until there is something; None when the stream is over."""
        subscription = self._subscription
        replaying = self._count_delivered()
        while self._running:
            # Cleared before we look, so that news which comes while we look wakes us again.
            self._wakeup.clear()
            if self._left:
                return None
            self._write_rest(subscription)
            if self._feed.draining:
                return self._break_off("draining", "drained")
            try:
                events = subscription.take()
            except Overtaken:
                return self._break_off("behind", "behind")  # A client that comes back with its cursor is told the gap.
            except LogUnavailable as error:
                # The stream stays open, its heartbeats go on, and it catches up from its cursor when the log is back.
                logger.warning("a stream of %s waits: %s", ", ".join(self._selection.topics), error)
                events = None
            if events:
                if replaying:
                    gevent.sleep(0)  # A long replay takes turns with everybody else.
                replaying = True
                if data := self._frame(events):
                    return data
            elif self._beat_due:
                return HEARTBEAT
            else:
                self._park(subscription, RETRY_S if events is None else None)
        if self._cause == "left":
            self._cause = "complete"
        return None

    def _break_off(self, reason: str, cause: str) -> bytes:
        """Return the last words of a stream that its client has to begin anew."""
        self._running.clear()
        self._cause = cause
        if self._outlet is not None:
            self._outlet.hang_up()
        return goodbye(self._terms, reason, self._selection.form)

    def _frame(self, events: list[Event]) -> bytes:
        frames = self._selection.frames(events)
        self._sending = len(frames)
        self._running.difference_update(event.topic for event in events if event.ends)
        return b"".join(frames)

    def _count_delivered(self) -> bool:
        """Count the events that `_next` returned last, which are sent by now. Returns whether there were any."""
        sent, self._sending = self._sending, 0
        if sent:
            self._subscription.sent += sent
            self._feed.observer.delivered(sent, self._subscription.cursor)
        return sent > 0

    def _write_rest(self, subscription: Subscription) -> None:
        if subscription.rest is not None:
            rest, subscription.rest = subscription.rest, None
            assert self._outlet is not None
            self._outlet.write(rest)

    def _park(self, subscription: Subscription, timeout_s: float | None) -> None:
        if self._heartbeat is None:
            # Not before: a stream that ends without ever waiting should not pay for it.
            self._heartbeat = Heartbeat(self._terms.heartbeat_s, self._connection, self._sent_at, self._beat, self._leave)
        if timeout_s is None:
            subscription.park(self._outlet if self._outlet is not None and self._outlet.shared else None)
        try:
            self._wakeup.wait(timeout_s)
        finally:
            subscription.unpark()

    def _note_sent(self) -> None:
        self._beat_due = False
        self._last_sent = time.monotonic()

    def _sent_at(self) -> float:
        subscription = self._subscription
        return max(self._last_sent, subscription.group.sent_at) if subscription.parked else self._last_sent

    def _beat(self) -> bool:
        subscription = self._subscription
        if subscription.parked:
            if subscription.push(HEARTBEAT_CHUNK):
                self._note_sent()
                return True
            if subscription.rest is None:
                self._beat_due = True  # The stream sends it, and waits: that finds out who is stuck.
        else:
            self._beat_due = True
            self._wakeup.wake()
        return False

    def _leave(self) -> None:
        self._left = True
        self._wakeup.wake()


def _gap(gap: Gap, form: Form, snapshot: str) -> dict[str, Any]:
    data = {"requestedId": gap.requested, "oldestId": gap.oldest_id, "snapshot": snapshot}
    return {"topic": form.shown(gap.topic), **data} if form.with_topic else data
