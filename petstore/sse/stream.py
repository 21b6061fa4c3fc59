"""The body of a streamed response: a cursor into the log, written out as Server-Sent Events.

The server iterates it. All that it takes (a place in admission, one in the feed, the heartbeat greenlet) is taken when the
iteration begins and given back when it ends, because a server may never begin: it doesn't for HEAD.

The invariants. One writer: only the generator yields bytes; the heartbeat greenlet and the feed do no more than wake it. Order:
bytes go out in the order of ids. A client's cursor never passes what was sent: an event goes out whole, in one chunk, its id
last. No connection of any pool is held between two chunks.

Must not know Flask, a request, or what an event is about.
"""

import logging
import random
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event as Signal
from gevent.hub import get_hub

from petstore.sse.admission import Admission
from petstore.sse.cursor import Gap, Opening
from petstore.sse.error import LogUnavailable
from petstore.sse.event import ENDINGS, PLAIN, Event, Form, encode_comment, encode_control, encode_retry
from petstore.sse.feed import Feed, Subscription
from petstore.sse.heartbeat import Heartbeat

MAX_CHUNK = 256 * 1024
"""Bytes after which a chunk is sent although more events wait. An event larger than that still goes out whole."""

RETRY_S = 1.0
"""How long a stream waits before it asks again a log that did not answer."""

HEARTBEAT = encode_comment("heartbeat")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a server keeps to on all its streams.

    `retry_ms` is what clients are told to wait before they come back, `drain_spread_s` over how many seconds more they are
    spread when many must come back at once, `failure` the data of the `error` event when a stream fails on our side.
    """

    heartbeat_s: float = 15.0
    retry_ms: int = 2000
    drain_spread_s: float = 5.0
    failure: Mapping[str, Any] = field(default_factory=lambda: {"title": "Internal Server Error", "status": 500})


@dataclass(frozen=True, slots=True)
class Selection:
    """What one client wants to see: the topics, in which form, which of their events (`wanted` None: all).

    `snapshot` returns the URL whose body restores the state of a topic after a gap.
    """

    topics: tuple[str, ...]
    snapshot: Callable[[str], str]
    form: Form = PLAIN
    wanted: Callable[[Event], bool] | None = None


class Stream:
    """An iterable of chunks, each made of whole lines. `connection` is the client's socket, where the server shows it.

    `selection.snapshot` is called here and now, while the request is still at hand; `selection.wanted` later, without it.
    """

    def __init__(
        self,
        feed: Feed,
        admission: Admission,
        terms: Terms,
        selection: Selection,
        opening: Opening,
        connection: socket.socket | None = None,
    ) -> None:
        self._feed = feed
        self._admission = admission
        self._terms = terms
        self._selection = selection
        self._cursor = opening.cursor
        self._gaps = b"".join(encode_control("gap", _gap(gap, selection)) for gap in opening.gaps)
        self._connection = connection
        self._running = set(selection.topics) - opening.over
        self._signal = Signal()
        self._left = False
        self._beat_due = False
        self._last_sent = 0.0
        self._heartbeat: Heartbeat | None = None
        self._body: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        self._body = self._admitted()
        return self._body

    def close(self) -> None:
        """End the stream; the server calls this when it's done or the client is gone."""
        if self._body is not None:
            self._body.close()  # type: ignore[attr-defined]

    def _admitted(self) -> Iterator[bytes]:
        if self._admission.full:
            yield goodbye(self._terms, "full")
            return
        with self._admission.place():
            # Before the first byte: whatever is appended after a client has seen that must reach it.
            subscription = self._feed.subscribe(self._selection.topics, self._cursor, self._signal.set)
            try:
                self._note_sent()
                yield encode_retry(self._terms.retry_ms) + encode_comment("open") + self._gaps
                yield from self._chunks(subscription)
            except Exception:
                logger.exception("a stream of %s failed", ", ".join(self._selection.topics))
                yield encode_control("error", self._terms.failure)
            finally:
                subscription.close()
                if self._heartbeat is not None:
                    self._heartbeat.stop()

    def _chunks(self, subscription: Subscription) -> Iterator[bytes]:
        while self._running:
            # Cleared before we look, so that news which comes while we look wakes us again.
            self._signal.clear()
            if self._left:
                return
            if self._feed.draining:
                yield goodbye(self._terms, "draining")
                return
            events = self._take(subscription)
            if events:
                yield from self._join(events)
                gevent.sleep(0)  # A long replay takes turns with everybody else.
            elif self._beat_due:
                self._note_sent()
                yield HEARTBEAT
            else:
                self._park(RETRY_S if events is None else None)

    def _take(self, subscription: Subscription) -> list[Event] | None:
        try:
            return subscription.take()
        except LogUnavailable as error:
            # The stream stays open, its heartbeats go on, and it catches up from its cursor when the log is back.
            logger.warning("a stream of %s waits: %s", ", ".join(self._selection.topics), error)
            return None

    def _join(self, events: list[Event]) -> Iterator[bytes]:
        wanted = self._selection.wanted
        frames: list[bytes] = []
        size = 0
        for event in events:
            ends = event.type in ENDINGS
            if ends:
                self._running.discard(event.topic)
            elif wanted is not None and not wanted(event):
                continue
            frames.append(event.encode(self._selection.form))
            size += len(frames[-1])
            if size >= MAX_CHUNK:
                self._note_sent()
                yield b"".join(frames)
                frames, size = [], 0
        if frames:
            self._note_sent()
            yield b"".join(frames)

    def _park(self, timeout_s: float | None) -> None:
        if self._heartbeat is None:
            # Not before: a stream that ends without ever waiting should not pay for it.
            self._heartbeat = Heartbeat(self._terms.heartbeat_s, self._connection, self._silent_since, self._beat, self._leave)
        self._signal.wait(timeout_s)

    def _note_sent(self) -> None:
        self._beat_due = False
        self._last_sent = get_hub().loop.now()

    def _silent_since(self) -> float:
        return self._last_sent

    def _beat(self) -> None:
        self._beat_due = True
        self._signal.set()

    def _leave(self) -> None:
        self._left = True
        self._signal.set()


def _gap(gap: Gap, selection: Selection) -> dict[str, Any]:
    data = {"requestedId": gap.requested, "oldestId": gap.oldest_id, "snapshot": selection.snapshot(gap.topic)}
    return {"topic": gap.topic, **data} if selection.form.with_topic else data


def goodbye(terms: Terms, reason: str) -> bytes:
    """Return the end of a stream that the server can't serve now: when to come back, jittered, and why (`full`, `draining`).

    A browser's EventSource gives up for good on any status but 200, so this is how one is refused.
    """
    retry_ms = terms.retry_ms + random.randint(0, int(terms.drain_spread_s * 1000))
    return encode_retry(retry_ms) + encode_control("goodbye", {"reason": reason})
