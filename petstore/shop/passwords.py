"""Passwords: hashed and checked with argon2id, one at a time and never on the event loop.

A hash is meant to be slow, and needs 19 MiB of memory while it's made: done one after another it can fill neither the cores nor
the memory, and whoever comes when too many wait is told to come back. Must not know whose password it is, nor keep one.
"""

import threading
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from gevent.monkey import is_module_patched
from gevent.threadpool import ThreadPool

from petstore.shop.error import SignInBusy

T = TypeVar("T")

MAX_WAITING = 50
"""Passwords that may wait for their turn: the last of them waits a few seconds, and nobody would wait longer to sign in."""

# OWASP's recommendation for argon2id where many may sign in at once; more memory would not fit small machines.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class Passwords:
    """Hashes and checks passwords. Under gevent in one native thread; elsewhere the caller's own thread does it."""

    def __init__(self) -> None:
        self._pool: ThreadPool | None = None
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        self._nobodys: str | None = None

    def hash(self, password: str) -> str:
        """Return what is kept instead of the password. Raises SignInBusy."""
        return self._run(lambda: hash_password(password))

    def matches(self, kept: str | None, password: str) -> bool:
        """Say whether `kept` was made from this password. It takes as long where nothing is kept. Raises SignInBusy."""
        return self._run(lambda: self._matches(kept, password))

    def _matches(self, kept: str | None, password: str) -> bool:
        if kept is None and self._nobodys is None:
            self._nobodys = hash_password("")
        try:
            matching = _HASHER.verify(kept or self._nobodys or "", _normal(password))
        except (VerificationError, InvalidHashError):
            return False
        return matching and kept is not None

    def _run(self, work: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise SignInBusy
        try:
            if not is_module_patched("threading"):
                with self._lock:
                    return work()
            if self._pool is None:
                self._pool = ThreadPool(1)
            result: T = self._pool.apply(work)
            return result
        finally:
            self._places.release()


def hash_password(password: str) -> str:
    """Return the hash of a password, made in the caller's thread: tens of milliseconds in which no event loop may wait."""
    return _HASHER.hash(_normal(password))


def _normal(password: str) -> str:
    # Keyboards differ in how they compose a letter with an accent.
    return unicodedata.normalize("NFKC", password)
