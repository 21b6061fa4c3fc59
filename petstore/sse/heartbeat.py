"""The heartbeat of a stream, from the moment the stream first waits until it ends.

It does three things that the stream, which is parked, can't do for itself: it says when there has been silence for too long;
it sees the client leave, by watching the socket, without waiting for a write to fail; and it finds out that the client has
vanished, because what was sent is not acknowledged. The wheel switches straight into its greenlet, which begins with the first
look at the clock: a stream that is over before does not pay for one. No delivery touches it, because a delivery every few
milliseconds must not start and stop a timer.

Must not write to the socket: it calls back into the stream, which writes.
"""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub
from gevent.monkey import get_original
from greenlet import greenlet

from petstore.sse.acknowledgement import Acknowledgements
from petstore.sse.loop import READ
from petstore.sse.wheel import wheel

EARLY = 0.1
"""The part of a heartbeat by which it may come earlier, where many are due at once."""

PATIENCE = 0.8
"""The part of a heartbeat that a client has at least to acknowledge the last one. Mostly it has a whole one; but the next look may
come early, and begins to count only when a beat has left that the stream itself has to send."""

SOON_S = 0.05
"""When to look for a heartbeat that the stream itself has to send, and which is on its way only then."""

UNREAD_S = 0.5
"""How often to look whether a client has left that sent something more before."""

_poll = get_original("select", "poll")
_HALF_CLOSED = getattr(select, "POLLRDHUP", 0)


class Heartbeat:
    """Calls `beat` whenever nothing was sent for `interval_s` seconds, and `left` when the client has closed or vanished.

    `beat` returns whether the heartbeat is sent already, `last_sent` the monotonic time of the last write. Without a socket that is
    ours to watch, only the beats are kept, and the write of a beat finds out who left.
    """

    __slots__ = (
        "_acknowledgements",
        "_beat",
        "_connection",
        "_due",
        "_greenlet",
        "_interval_s",
        "_last_sent",
        "_left",
        "_loop",
        "_on_its_way",
        "_slot",
        "_unread",
        "_watcher",
        "_wheel",
    )

    def __init__(
        self,
        interval_s: float,
        connection: socket.socket | None,
        last_sent: Callable[[], float],
        beat: Callable[[], bool],
        left: Callable[[], object],
    ) -> None:
        self._interval_s = interval_s
        # gevent's socket would wait where we only want to look; the one inside it is non-blocking. That of TLS outside of gevent
        # can't be looked at.
        inner = getattr(connection, "_sock", connection)
        self._connection: Any = None if isinstance(inner, ssl.SSLSocket) else inner
        self._acknowledgements = Acknowledgements(self._connection)
        self._last_sent = last_sent
        self._beat = beat
        self._left = left
        self._loop = get_hub().loop
        self._wheel = wheel()
        self._slot: int | None = None
        self._due = 0.0
        self._on_its_way = False
        self._unread = False
        self._watcher: Any = None if self._connection is None else self._loop.io(self._connection.fileno(), READ)
        self._greenlet: greenlet | None = None
        if self._watcher is not None:
            self._watcher.start(self._on_readable)
        self._look_again(time.monotonic() + interval_s, EARLY * interval_s)

    def stop(self) -> None:
        """End it. The watchers at once: by the next turn of the loop the socket's number may belong to another one."""
        self._look_no_more()
        self._stop_watching()
        if self._greenlet:
            self._loop.run_callback(self._greenlet.throw)

    def look(self) -> None:
        """Called by the wheel, in the hub: see what is due."""
        self._slot = None
        if self._greenlet is None:
            self._greenlet = greenlet(self._run)
        self._greenlet.switch(self._on_beat_sent if self._on_its_way else self._on_time)

    def _run(self, look: Callable[[], None]) -> None:
        hub = get_hub()
        while True:
            look()
            look = hub.switch()

    def _look_again(self, at: float, early_s: float = 0.0, *, on_its_way: bool = False) -> None:
        self._due = min(at, time.monotonic() + UNREAD_S) if self._unread else at
        self._on_its_way = on_its_way
        self._slot = self._wheel.add(self, self._due, early_s)

    def _on_time(self) -> None:
        now, patience_s = time.monotonic(), PATIENCE * self._interval_s
        # The wheel may call us early, and a beat that will be due is. All else counts from the moment that it is.
        silence_s = max(now, self._due) - self._last_sent()
        beats = silence_s >= self._interval_s - 0.001
        if self._unread and _has_left(self._connection):
            self._leave()
            return
        rest_at = (now if beats else self._last_sent()) + self._interval_s
        sent = not beats or self._beat()
        if self._acknowledgements.missing_s(now) >= patience_s - 0.002:
            self._give_up()
        elif not sent:
            self._look_again(now + SOON_S, on_its_way=True)
        else:
            self._rest(rest_at)

    def _on_beat_sent(self) -> None:
        now, due = time.monotonic(), self._last_sent() + self._interval_s
        self._acknowledgements.missing_s(now)
        # One that can't leave yet, as its client takes nothing, stays asked for: to ask again and again would keep us busy.
        self._rest(due if due > now else now + self._interval_s)

    def _rest(self, until: float) -> None:
        """Look again exactly when the silence could be long enough: otherwise it might last for two intervals.

        Or earlier, when what is on its way must have been acknowledged: mostly that is the last beat, and both are one look.
        """
        since = self._acknowledgements.missing_since
        at = until if since is None else min(until, since + self._interval_s)
        self._look_again(at, EARLY * self._interval_s)

    def _give_up(self) -> None:
        self._look_no_more()
        # Whoever still waits until there is room to write must fail now.
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._left()

    def _on_readable(self) -> None:
        if _has_left(self._connection):
            self._leave()
            return
        # Bytes: a pipelined request, read after the stream, or the farewell of TLS, after which the client will close. They stay,
        # so the socket stays readable and tells nothing more.
        self._stop_watching()
        self._unread = True
        self._look_no_more()
        self._look_again(time.monotonic() + self._interval_s, EARLY * self._interval_s)

    def _leave(self) -> None:
        self._look_no_more()
        self._stop_watching()
        self._left()

    def _look_no_more(self) -> None:
        if self._slot is not None:
            self._wheel.remove(self, self._slot)
            self._slot = None

    def _stop_watching(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None


def _has_left(connection: Any) -> bool:
    """Return whether the client has closed, even if there are bytes that came before that and that nobody has read."""
    try:
        unread = connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        poll = _poll()
        poll.register(connection, _HALF_CLOSED)
        return not unread or bool(poll.poll(0))
    except BlockingIOError:
        return False
    except OSError:
        return True
