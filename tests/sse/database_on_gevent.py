"""The database where its threads are its own: what a commit leaves in the write-ahead log, another thread brings into the file.

`test_on_gevent.py` runs this in a patched process; `test_sql_event_log.py` has what holds everywhere.
"""

from pathlib import Path

import pytest

from petstore.sse import Draft, LogUnavailable, SqlEventLog
from petstore.sse.database import CHECKPOINT_AFTER, CHECKPOINT_PAGES, driver_of
from tests.sse.other_process import eventually


def test_what_is_written_gets_into_the_file_long_before_a_commit_would_see_to_it(log: SqlEventLog, database: Path):
    pages = log.write(lambda transaction: driver_of(transaction.connection).execute("PRAGMA wal_autocheckpoint").fetchone())
    assert pages == (CHECKPOINT_PAGES,)
    before = database.stat().st_size
    for _ in range(CHECKPOINT_AFTER - 2):
        log.write(lambda transaction: transaction.append([Draft("inventory", "stock-change", {"petId": "x" * 100})]))
    assert database.stat().st_size == before
    log.write(lambda transaction: transaction.append([Draft("inventory", "stock-change", {"petId": "x" * 100})]))
    eventually(lambda: database.stat().st_size > before)
    assert len(log.read(None, 0, 2 * CHECKPOINT_AFTER)) == CHECKPOINT_AFTER - 1


def test_a_file_that_is_gone_is_not_made_anew(log: SqlEventLog, database: Path):
    log.head()
    database.unlink()
    log._database._reader.checkpoint()
    log._database._reader._threadpool().join()
    assert not database.exists()
    with pytest.raises(LogUnavailable):
        log.head()
