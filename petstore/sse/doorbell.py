"""Tells every process on this machine that follows a SQLite log that something was appended.

SQLite can't notify, and polling it costs CPU or delay. So each follower binds a datagram socket in a directory beside the
database, and whoever commits sends one byte to each. A datagram to a follower that has not yet read the last one may be
dropped: it is awake already. A ring is a hint and never the truth; the truth is in the log. So no fault of a bell is anybody's
failure: it costs a follower the time until it looks by itself.

Must not know what was appended.
"""

import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

_PATH_LIMIT = 100
"""A UNIX socket's path has 108 bytes at the most; longer ones go through a directory's file descriptor."""

OTHERS, OWN = b"\0", b"\1"
"""Who rings: another process, or the one whose bell it is."""

logger = logging.getLogger(__name__)


class Doorbell:
    """One process's bell in `directory`, and the means to ring all bells there.

    `only_own` says whether, since the one before it, the last `wait` was ended by nobody but this process itself.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name = ""
        self._socket: socket.socket | None = None
        self._rung = False
        self.only_own = False

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as the bell rings (or has rung since the last wait), False after `timeout_s` seconds.

        The first wait hangs the bell up: rings before it are not heard.
        """
        try:
            bell = self._hang_up()
        except OSError as error:
            logger.warning("no bell can be hung up in %s: %s", self._directory, error)
            time.sleep(timeout_s)
            return False
        bell.settimeout(timeout_s)
        self.only_own = False
        try:
            rings = bell.recv(1)
        except (TimeoutError, BlockingIOError):
            if not (self._directory / self._name).exists():
                # Somebody cleaned up: nobody could ring this bell ever again. The next wait hangs up a new one.
                self.close()
            return False
        # Before the bell is emptied: what we ring from now on is heard by the next wait.
        self._rung = False
        bell.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                rings += bell.recv(1)
        self.only_own = OTHERS not in rings
        return True

    def ring(self) -> None:
        """Ring every bell in the directory, and take down those whose process is gone. Raises nothing: the commit is done."""
        try:
            names = os.listdir(self._directory)
            if names:
                self._ring(names)
        except FileNotFoundError:
            return  # Nobody has ever followed.
        except OSError as error:
            logger.warning("the bells in %s could not be rung: %s", self._directory, error)

    def close(self) -> None:
        """Take the bell down."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            with contextlib.suppress(OSError):
                os.unlink(self._directory / self._name)

    def _hang_up(self) -> socket.socket:
        if self._socket is None:
            # Without its parents: where a database's directory is gone, an empty one would hide that.
            self._directory.mkdir(mode=0o700, exist_ok=True)
            name = f"{os.getpid()}-{secrets.token_hex(4)}"
            bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                with _short(self._directory) as directory:
                    bell.bind(f"{directory}/{name}")
            except OSError:
                bell.close()
                raise
            self._name, self._socket, self._rung = name, bell, False
        return self._socket

    def _ring(self, names: list[str]) -> None:
        # A socket for each ring: one that is kept would be shared by all threads that write, and opening it is cheap.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, _short(self._directory) as directory:
            sender.setblocking(False)
            for name in names:
                own = name == self._name
                if own and self._rung:
                    continue  # A bell holds ten rings, and ours must leave room for the others'.
                try:
                    self._rung = own or self._rung
                    sender.sendto(OWN if own else OTHERS, f"{directory}/{name}")
                except ConnectionRefusedError:
                    with contextlib.suppress(OSError):
                        os.unlink(self._directory / name)
                except OSError:
                    continue


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
