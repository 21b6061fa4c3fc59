"""What the tests of the streaming core share: logs on a database of their own, a feed, and a look at what is left behind."""

import gc
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import gevent
import pytest
from hypothesis import settings
from sqlalchemy import URL, Column, Integer, MetaData, Table, create_engine

import petstore.sse.feed
from petstore.sse import Draft, Event, Feed, SqlEventLog, create_log, metadata
from petstore.sse.broadcast import Broadcast

pytest.register_assert_rewrite("tests.sse.event_log_contract")

# Random in every run. What fails is printed as a line that repeats it.
settings.register_profile("petstore", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("petstore")


def io_uring_is_offered() -> bool:
    """Return whether this machine has io_uring and lets us use it: containers often don't."""
    broadcast = Broadcast()
    broadcast.open()
    offered = broadcast._ring is not None
    broadcast.close()
    return offered


collect_ignore = [] if io_uring_is_offered() else ["test_io_uring.py"]

OpenLog = Callable[[], SqlEventLog]

changes = Table("changes", MetaData(), Column("n", Integer, primary_key=True))
"""Stands for the tables of whoever uses the log: a change is a row here."""


def create_database(path: Path) -> None:
    """Make a SQLite file with the tables of a log and `changes`, as a migration would."""
    engine = create_engine(URL.create("sqlite", database=str(path)))
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        metadata.create_all(connection)
        changes.create(connection)
        create_log(connection)
    engine.dispose()


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Hold every test to leaving no thread and no file descriptor."""
    gevent.get_hub()  # Its loop's descriptors stay open to the end.
    threads, descriptors = threading.active_count(), open_descriptors()
    yield
    if open_descriptors().items() - descriptors.items():
        gc.collect()
    assert threading.active_count() <= threads, threading.enumerate()
    assert not open_descriptors().items() - descriptors.items()


Pairs = Callable[..., list[tuple[socket.socket, socket.socket]]]


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    """Return a function that makes so many pairs of sockets that don't wait, of which the first has so small a buffer."""
    made: list[socket.socket] = []

    def make(count: int, buffer: int = 0) -> list[tuple[socket.socket, socket.socket]]:
        ends = [socket.socketpair() for _ in range(count)]
        for ours, theirs in ends:
            made.extend((ours, theirs))
            ours.setblocking(False)
            theirs.setblocking(False)
            if buffer:
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        return ends

    yield make
    for one in made:
        one.close()


def received(end: socket.socket) -> bytes:
    """Return all that has arrived at an end of such a pair."""
    data = b""
    with suppress(BlockingIOError):
        while more := end.recv(1_000_000):
            data += more
    return data


def open_descriptors() -> dict[str, str]:
    """Return this process's open files: what each number stands for."""
    with os.scandir("/proc/self/fd") as listed:
        names = [entry.name for entry in listed]
    targets = {name: _target(name) for name in names}
    return {name: target for name, target in targets.items() if target}  # Without the one that listed the others.


def loops() -> int:
    """Return how many gevent loops this process has open."""
    return sum(target == "anon_inode:[eventpoll]" for target in open_descriptors().values())


def _target(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except FileNotFoundError:
        return ""


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "shop.db"
    create_database(path)
    return path


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path))


@pytest.fixture
def open_log(database: Path) -> Iterator[OpenLog]:
    """Return a function that opens one more log on the same database, as another process would."""
    opened: list[SqlEventLog] = []

    def open_one() -> SqlEventLog:
        opened.append(SqlEventLog(database))
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log: OpenLog) -> SqlEventLog:
    return open_log()


@pytest.fixture
def feed(log: SqlEventLog, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    """Return a feed of `log` that ends soon after the test."""
    monkeypatch.setattr(petstore.sse.feed, "POLL_S", 0.02)
    feed = Feed(log)
    yield feed
    feed.stop()


def start(feed: Feed) -> None:
    """Start a feed and return when it waits, for which it has a loop of its own."""
    feed.start()
    while feed.log._doorbell._news is None:  # type: ignore[attr-defined]
        gevent.sleep(0.001)


@pytest.fixture
def append(log: SqlEventLog) -> Callable[..., Event]:
    """Return a function that appends one event to `log`."""

    def append_one(topic: str = "a", type: str = "news", **data: object) -> Event:
        return log.write(lambda transaction: transaction.append([Draft(topic, type, data)]))[0]

    return append_one
