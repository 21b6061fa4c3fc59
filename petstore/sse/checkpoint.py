"""Checkpoints: what stands in SQLite's write-ahead log is brought into the database's file, in a thread of its own.

That waits for the disk. SQLite has the commit do it that made the log too long, one in two hundred, and whoever came for that
commit waits too. Here a thread does it after so many writes, and a commit only where that isn't enough: where writes are large, or
come faster than the disk takes them.

For gevent only. Must never hold up a commit, nor make one fail: it comes after it.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing

from gevent.threadpool import ThreadPool

logger = logging.getLogger(__name__)

AFTER_WRITES = 200
"""Writes after which there is a checkpoint: of one event each, they are about a thousand pages."""

AFTER_PAGES = 8000
"""Pages of the write-ahead log at which a commit makes one itself after all. SQLite's own is 1,000."""


class Checkpoints:
    """Makes one checkpoint at a time. Only the loop's thread may touch it."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._writes = 0
        self._running = False
        self._error: sqlite3.Error | None = None
        self._pool: ThreadPool | None = None

    def count_write(self) -> None:
        """Count a write that is committed, and begin a checkpoint where it's time for one. Waits for nothing."""
        if self._error is not None:
            # Said here: the thread that met it must not wait for a lock of the loop's greenlets.
            logger.warning("the write-ahead log could not be brought into the database's file: %s", self._error)
            self._error = None
        self._writes += 1
        if self._writes >= AFTER_WRITES and not self._running:
            self._begin()

    def close(self) -> None:
        """Wait for the one that is being made; then nothing of it is open."""
        if self._pool is not None:
            self._pool.kill()
            self._pool = None

    def _begin(self) -> None:
        self._writes = 0
        if self._pool is None:
            self._pool = ThreadPool(1)
        self._running = True
        try:
            # With one at a time there is always room: it would wait for some.
            self._pool.spawn(self._make)
        except RuntimeError as error:
            self._running = False
            logger.warning("no thread could be started for a checkpoint: %s", error)

    def _make(self) -> None:
        try:
            with closing(self._connect()) as connection:
                # PASSIVE: it waits for nobody, and nobody for it. What is being read or written is left for the next one.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            self._error = error
        finally:
            self._running = False
