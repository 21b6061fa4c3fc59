"""Tells every process on this machine that follows a SQLite log that something was appended.

SQLite can't notify, and polling it costs CPU or delay. So each follower binds a datagram socket in a directory beside the
database, and whoever commits sends one byte to each; the follower in its own process it wakes without. A datagram to a follower
that has not yet read the last one may be dropped: it is awake already. A ring is a hint and never the truth; the truth is in the
log. So no fault of a bell is anybody's failure: it costs a follower the time until it looks by itself.

Must not know what was appended.
"""

import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from gevent.hub import get_hub

from petstore.sse.loop import READ
from petstore.sse.wakeup import Wakeup

_PATH_LIMIT = 100
"""A UNIX socket's path has 108 bytes at the most; longer ones go through a directory's file descriptor."""

logger = logging.getLogger(__name__)


class Doorbell:
    """One process's bell in `directory`, and the means to ring all bells there.

    `only_own`: between the last two ends of `wait`, only this process has rung.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name = ""
        self._socket: socket.socket | None = None
        self._rung = False
        self._missing = False
        self._news: Wakeup | None = None
        self.only_own = False

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as the bell rings (or has rung since the last wait), False after `timeout_s` seconds.

        The first wait hangs the bell up: others' rings before it are not heard. Where that fails, only this process's own rings are
        heard.
        """
        bell = self._hang_up()
        self._listen(bell, timeout_s)
        # Taken down before our caller looks: what is rung for from now on may have been committed after that look.
        own, self._rung = self._rung, False
        others = bell is not None and _empty(bell)
        self.only_own = own and not others
        if (self._missing or not (own or others)) and not os.path.exists(self._directory / self._name):
            # Somebody cleaned up: nobody else could ring this bell ever again. The next wait hangs up a new one.
            self.close()
        return own or others

    def ring(self) -> None:
        """Ring every bell in the directory, and take down those whose process is gone. Raises nothing: the commit is done."""
        # Our own without a detour through the system: most events are for the streams of the worker that has committed them.
        self._rung = True
        if (news := self._news) is not None:
            news.wake()
        try:
            names = os.listdir(self._directory)
            # Whoever commits all the time never waits in vain, and would not see it otherwise.
            self._missing = self._name not in names
            if others := [name for name in names if name != self._name]:
                self._ring(others)
        except FileNotFoundError:
            self._missing = True  # Or nobody has ever followed.
        except OSError as error:
            logger.warning("the bells in %s could not be rung: %s", self._directory, error)

    def close(self) -> None:
        """Take the bell down."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            with contextlib.suppress(OSError):
                os.unlink(self._directory / self._name)

    def _listen(self, bell: socket.socket | None, timeout_s: float) -> None:
        """Return when there is a ring, or after `timeout_s` seconds."""
        if timeout_s <= 0:
            return
        watcher = None if bell is None else get_hub().loop.io(bell.fileno(), READ)
        self._news = news = Wakeup()
        try:
            if watcher is not None:
                watcher.start(news.wake)
            # Asked only now: whoever rings sees that we wait, or we see that it has rung.
            if not self._rung:
                news.wait(timeout_s)
        finally:
            self._news = None
            if watcher is not None:
                watcher.stop()
                watcher.close()

    def _hang_up(self) -> socket.socket | None:
        try:
            return self._bound()
        except OSError as error:
            logger.warning("no bell can be hung up in %s: %s", self._directory, error)
            return None

    def _bound(self) -> socket.socket:
        if self._socket is None:
            # Without its parents: where a database's directory is gone, an empty one would hide that.
            self._directory.mkdir(mode=0o700, exist_ok=True)
            name = f"{os.getpid()}-{secrets.token_hex(4)}"
            bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                bell.setblocking(False)
                with _short(self._directory) as directory:
                    bell.bind(f"{directory}/{name}")
            except OSError:
                bell.close()
                raise
            self._name, self._socket, self._missing = name, bell, False
        return self._socket

    def _ring(self, names: list[str]) -> None:
        # A socket for each ring: one that is kept would be shared by all threads that write, and opening it is cheap.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, _short(self._directory) as directory:
            sender.setblocking(False)
            for name in names:
                try:
                    sender.sendto(b"\0", f"{directory}/{name}")
                except ConnectionRefusedError:
                    with contextlib.suppress(OSError):
                        os.unlink(self._directory / name)
                except OSError:
                    continue


def _empty(bell: socket.socket) -> bool:
    """Take all rings out of a bell, and say whether there were any."""
    rung = False
    with contextlib.suppress(OSError):
        while bell.recv(1):
            rung = True
    return rung


@contextlib.contextmanager
def _short(directory: Path) -> Iterator[str]:
    if len(os.fsencode(directory)) < _PATH_LIMIT - 24:
        yield str(directory)
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
