"""The database where its threads are its own: what a commit leaves in the write-ahead log, another thread brings into the file.

`test_on_gevent.py` runs this in a patched process; `test_sql_event_log.py` has what holds everywhere.
"""

import sqlite3
from pathlib import Path

import gevent
import pytest
from gevent.monkey import get_original

from petstore.sse import Draft, LogUnavailable, SqlEventLog
from petstore.sse.checkpoint import AFTER_PAGES, AFTER_WRITES, Checkpoints
from petstore.sse.database import READERS, driver_of
from tests.sse.other_process import eventually

DRAFT = Draft("inventory", "stock-change", {"petId": "x" * 100})

TOO_LONG_S = 30


def append(log: SqlEventLog, times: int) -> None:
    for _ in range(times):
        log.write(lambda transaction: transaction.append([DRAFT]))


def begin(checkpoints: Checkpoints) -> None:
    for _ in range(AFTER_WRITES):
        checkpoints.count_write()


def test_what_is_written_gets_into_the_file_long_before_a_commit_would_see_to_it(log: SqlEventLog, database: Path):
    pages = log.write(lambda transaction: driver_of(transaction.connection).execute("PRAGMA wal_autocheckpoint").fetchone())
    assert pages == (AFTER_PAGES,)
    before = database.stat().st_size
    append(log, AFTER_WRITES - 2)
    assert database.stat().st_size == before
    append(log, 1)
    eventually(lambda: database.stat().st_size > before)
    assert len(log.read(None, 0, 2 * AFTER_WRITES)) == AFTER_WRITES - 1


def test_no_write_waits_behind_those_who_want_to_read(log: SqlEventLog, database: Path):
    before = database.stat().st_size
    gate = get_original("threading", "Event")()
    crowd = [gevent.spawn(log._database.read, lambda connection: gate.wait()) for _ in range(3 * READERS)]
    try:
        with gevent.Timeout(TOO_LONG_S):
            append(log, AFTER_WRITES)
        eventually(lambda: database.stat().st_size > before)
    finally:
        gate.set()
        gevent.joinall(crowd, raise_error=True)


def test_closing_waits_for_the_one_that_is_being_made_and_leaves_nothing_open(database: Path):
    begun, gate = get_original("threading", "Event")(), get_original("threading", "Event")()
    made: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        made.append(sqlite3.connect(database, check_same_thread=False))
        begun.set()
        gate.wait()
        return made[0]

    checkpoints = Checkpoints(connect)
    begin(checkpoints)
    eventually(begun.is_set)
    begin(checkpoints)
    closing = gevent.spawn(checkpoints.close)
    gevent.sleep(0)
    assert not closing.ready()
    gate.set()
    closing.get(timeout=TOO_LONG_S)
    assert len(made) == 1
    with pytest.raises(sqlite3.ProgrammingError):
        made[0].execute("SELECT 1")


def test_one_that_fails_is_said_and_the_next_one_made_all_the_same(caplog: pytest.LogCaptureFixture):
    tries: list[int] = []

    def connect() -> sqlite3.Connection:
        tries.append(1)
        raise sqlite3.OperationalError("disk I/O error")

    checkpoints = Checkpoints(connect)
    for count in (1, 2):
        begin(checkpoints)
        eventually(lambda count=count: len(tries) == count and not checkpoints._running)  # type: ignore[misc]
    checkpoints.count_write()
    checkpoints.close()
    assert [record.getMessage().split(": ")[-1] for record in caplog.records] == ["disk I/O error"] * 2


def test_where_no_thread_can_be_had_the_write_is_none_the_worse(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    def refuse(self: object, work: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("petstore.sse.checkpoint.ThreadPool.spawn", refuse)
    checkpoints = Checkpoints(lambda: pytest.fail("there is no thread"))
    begin(checkpoints)
    checkpoints.close()
    assert "can't start new thread" in caplog.text


def test_a_file_that_is_gone_is_not_made_anew(log: SqlEventLog, database: Path):
    log.head()
    database.unlink()
    checkpoints = log._database._checkpoints
    begin(checkpoints)
    eventually(lambda: checkpoints._error is not None)
    assert not database.exists()
    with pytest.raises(LogUnavailable):
        log.head()
