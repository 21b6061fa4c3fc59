"""Transactions on a SQLite file, run in threads of their own so that no query and no lock can stop the event loop.

Under gevent a call that waits for SQLite would freeze every stream of the worker (a 2 s lock froze every heartbeat for
2.06 s); handed to a native thread it freezes only its caller. One thread writes, because SQLite has one writer and a queue
in front of it is fairer than its busy handler; a few threads read. Without monkey patching (tests, commands, the development
server) the caller's own thread does the work.

Must not know tables, and never creates the file: a database that vanished must be an error, not a fresh empty one.
Nothing connects before the first transaction, so the object may be made before a fork.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from gevent.monkey import is_module_patched
from gevent.threadpool import ThreadPool
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.pool import NullPool

from petstore.sse.checkpoint import AFTER_PAGES, Checkpoints
from petstore.sse.error import Error, LogUnavailable

T = TypeVar("T")

_File = tuple[int, int]
"""Device and inode: which file a path leads to. A file that a connection holds open keeps its inode to itself."""

READERS = 4
"""Threads that read at once. A read takes well under a millisecond; more threads would only fight for the interpreter."""

BUSY_TIMEOUT_S = 5.0
"""How long a writer waits, for those before it in the queue and for another process's transaction, before LogUnavailable."""


class Database:
    """A SQLite file in WAL mode: many readers, one writer at a time, each transaction whole or not at all."""

    def __init__(self, path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._writer = _Lane(path, "IMMEDIATE", 1, busy_timeout_s)
        self._reader = _Lane(path, "DEFERRED", READERS, busy_timeout_s)
        self._checkpoints = Checkpoints(lambda: _open(path, busy_timeout_s))

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction that holds the write lock from its start, and commit it.

        Raises LogUnavailable when the database can't be reached or locked, and whatever `work` raises, after a rollback.
        """
        result = self._writer.run(work)
        if _on_gevent():
            self._checkpoints.count_write()
        return result

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot: all its queries see the same moment. Raises as `write` does."""
        return self._reader.run(work)

    def close(self) -> None:
        """Close what is open. A process that is about to fork calls it: SQLite connections must not cross a fork."""
        self._writer.close()
        self._reader.close()
        self._checkpoints.close()


class _Lane:
    """Up to `threads` transactions at once, each on a connection that is kept for the next one."""

    def __init__(self, path: Path, begin: str, threads: int, busy_timeout_s: float) -> None:
        self._path = path
        self._threads = threads
        self._pool: ThreadPool | None = None
        self._engine = _engine(path, begin, busy_timeout_s)
        self._locks = begin == "IMMEDIATE"
        self._busy_timeout_s = busy_timeout_s
        self._idle: list[tuple[_File, Connection]] = []
        # Without patching this is what puts writers in a queue; under gevent the pool's one thread does it.
        self._slots = threading.BoundedSemaphore(threads)

    def run(self, work: Callable[[Connection], T]) -> T:
        until = time.monotonic() + self._busy_timeout_s
        if not _on_gevent():
            with self._slots:
                return self._transact(work, until)
        if self._pool is None:
            self._pool = ThreadPool(self._threads)
        result, error = self._pool.apply(self._outcome, (work, until))
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def _outcome(self, work: Callable[[Connection], Any], until: float) -> tuple[Any, BaseException | None]:
        # The pool would print the traceback of an error that its caller is about to handle.
        try:
            return self._transact(work, until), None
        except BaseException as error:  # noqa: BLE001 (it is raised again, in the greenlet that waits)
            return None, error

    def _transact(self, work: Callable[[Connection], T], until: float) -> T:
        try:
            file, connection = self._connect()
            try:
                if self._locks:
                    # Counted from the moment it was asked for. Each in a queue of ten would wait its whole time for the same lock.
                    left_ms = max(0, ceil(10 * (until - time.monotonic())) * 100)  # Of few values: SQLite keeps their statements.
                    driver_of(connection).execute(f"PRAGMA busy_timeout = {left_ms}")
                with connection.begin():
                    result = work(connection)
            except Error:
                # A rule said no, and the transaction is rolled back: the connection is as good as before.
                self._idle.append((file, connection))
                raise
            except BaseException:
                # A new connection costs a millisecond, a doubtful one costs a night.
                connection.close()
                raise
        except (IntegrityError, ProgrammingError, DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError):
            raise
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise LogUnavailable(str(getattr(error, "orig", error))) from error
        self._idle.append((file, connection))
        return result

    def _connect(self) -> tuple[_File, Connection]:
        # A connection outlives the file that it opened: without this look, a database that was deleted or replaced would
        # go on living in our connections and take events that nobody will ever read.
        status = os.stat(self._path)
        file = (status.st_dev, status.st_ino)
        while True:
            try:
                opened, connection = self._idle.pop()
            except IndexError:
                return file, self._engine.connect()
            if opened == file:
                return file, connection
            connection.close()

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def close(self) -> None:
        self._drop_idle()
        if self._pool is not None:
            self._pool.kill()
            self._pool = None


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Return the driver's own connection, for statements that SQLAlchemy need not see."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _on_gevent() -> bool:
    return bool(is_module_patched("threading"))


def _open(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    # Connections move between the threads of a lane, one user at a time, which SQLite allows when it's told so.
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, check_same_thread=False, timeout=busy_timeout_s)


def _engine(path: Path, begin: str, busy_timeout_s: float) -> Engine:
    def connect() -> sqlite3.Connection:
        connection = _open(path, busy_timeout_s)
        connection.isolation_level = None  # Ours to begin: the driver's own BEGIN would come too late for the lock.
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            if _on_gevent():
                connection.execute(f"PRAGMA wal_autocheckpoint = {AFTER_PAGES}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    # Without hide_parameters the text of an error, which is logged, would quote what was to be stored: a password's hash, say.
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        driver_of(connection).execute(f"BEGIN {begin}")

    return engine
