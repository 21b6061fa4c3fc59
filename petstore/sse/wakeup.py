"""How a stream waits, and the feed: one greenlet, woken by anybody, in any thread.

gevent's Event would do; this one keeps 1 KiB less for each waiting stream, and ten thousand of them wait.

Must not know what is waited for.
"""

from contextlib import suppress
from typing import Any

from gevent import getcurrent
from gevent.hub import get_hub
from gevent.monkey import get_original

_thread_ident = get_original("_thread", "get_ident")


class Wakeup:
    """A flag that one greenlet, in the thread that made it, may wait for. It keeps what was said before the wait."""

    __slots__ = ("_loop", "_said", "_thread", "_waiting")

    def __init__(self) -> None:
        self._loop = get_hub().loop
        self._thread = _thread_ident()
        self._said = False
        self._waiting: Any = None

    def wake(self) -> None:
        """Set the flag and let the greenlet that waits run soon. Returns at once."""
        if _thread_ident() == self._thread:
            self._wake()
        else:
            # A stream that has just ended in another thread has closed its loop, and needs no waking.
            with suppress(ValueError):
                self._loop.run_callback_threadsafe(self._wake)

    def clear(self) -> None:
        """Take the flag down."""
        self._said = False

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when the flag is up, or after `timeout_s` seconds."""
        if self._said:
            return
        timer = None
        if timeout_s is not None:
            timer = self._loop.timer(timeout_s)
            timer.start(self._wake)
        self._waiting = getcurrent()
        try:
            get_hub().switch()
        finally:
            self._waiting = None
            if timer is not None:
                timer.stop()

    def _wake(self) -> None:
        if not self._said and self._waiting is not None:
            self._loop.run_callback(self._resume)
        self._said = True

    def _resume(self) -> None:
        # Asked only now: a greenlet that was killed, or whose time was up, meanwhile waits for something else.
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.switch()
