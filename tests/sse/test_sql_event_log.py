"""The event log on a SQLite file: the contract, and what can happen to a file and to the bells beside it."""

import sqlite3
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select

import petstore.sse.sql_event_log
from petstore.sse import Draft, Event, EventLog, LogUnavailable, SqlEventLog, create_log
from petstore.sse.database import READERS, Database
from petstore.sse.sql_event_log import clock
from tests.sse.conftest import OpenLog, create_database, open_descriptors
from tests.sse.event_log_contract import EventLogContract, append, everything, ids
from tests.sse.other_process import PATIENCE_S, OtherProcess


class TestSqlEventLog(EventLogContract):
    """With the fixture `open_log` of conftest, which opens SQLite files."""


def use(log: EventLog) -> list[Any]:
    """Return what every operation that needs the database makes of it: a result, or the error that it raised."""
    operations = (
        lambda: append(log, "a"),
        lambda: everything(log),
        log.head,
        log.origin,
        lambda: log.extents(["a"]),
        lambda: log.topic_of(1),
        lambda: log.trim(1, 1),
    )
    outcomes: list[Any] = []
    for operation in operations:
        try:
            outcomes.append(operation())
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            outcomes.append(error)
    return outcomes


def assert_unavailable(log: EventLog) -> None:
    assert {type(outcome) for outcome in use(log)} == {LogUnavailable}


def files_of(database: Path) -> list[Path]:
    return [path for path in database.parent.glob(database.name + "*") if path.is_file()]


class TestAFileThat:
    """What can happen to a database, and that the log says so and gets over it."""

    def test_was_never_there_is_not_made(self, tmp_path):
        log = SqlEventLog(tmp_path / "missing.db")
        assert_unavailable(log)
        assert log.wait(0) is False
        log.close()
        assert not (tmp_path / "missing.db").exists()

    def test_is_in_a_directory_that_is_not_there_makes_none(self, tmp_path):
        log = SqlEventLog(tmp_path / "missing" / "shop.db")
        assert_unavailable(log)
        assert log.wait(0.001) is False
        assert list(tmp_path.iterdir()) == []

    def test_is_deleted_is_missed_at_once(self, log, database):
        append(log, "a")
        for path in files_of(database):
            path.unlink()
        assert_unavailable(log)
        assert not database.exists()

    def test_is_put_back_is_used_again(self, log, database, tmp_path):
        appended = append(log, "a")
        database.rename(tmp_path / "away")
        assert_unavailable(log)
        (tmp_path / "away").rename(database)
        assert everything(log) == appended
        assert append(log, "a")[0].id > appended[0].id

    def test_is_replaced_gives_way_to_the_new_one(self, log, database, open_log):
        append(log, "a")
        old_origin = log.origin()
        for path in files_of(database):
            path.unlink()
        create_database(database)
        assert everything(log) == []
        assert log.origin() > old_origin, "or an id of the old log would pass for one of ours"
        assert append(log, "b") == everything(open_log())

    def test_is_made_anew_gives_out_no_id_a_second_time(self, log, database):
        old = append(log, *"a" * 50)
        for path in files_of(database):
            path.unlink()
        create_database(database)
        assert log.origin() > old[-1].id
        assert append(log, "a")[0].id > old[-1].id

    def test_is_restored_from_a_copy_gives_out_no_id_a_second_time(self, log, database, tmp_path):
        append(log, "a")
        with sqlite3.connect(database) as source, sqlite3.connect(tmp_path / "copy") as copy:
            source.backup(copy)
        source.close()
        copy.close()
        lost = append(log, "a", "a")
        for path in files_of(database):
            path.unlink()
        (tmp_path / "copy").rename(database)
        assert append(log, "a")[0].id > lost[-1].id
        assert len(everything(log)) == 2

    def test_is_replaced_while_a_read_goes_on_is_not_read_ever_after(self, log, database):
        def replace_it(connection: object) -> None:
            for path in files_of(database):
                path.unlink()
            create_database(database)
            # Another reader notices the new file before this one gives its connection back.
            other = threading.Thread(target=log.head)
            other.start()
            other.join()

        append(log, "a")
        log.query(replace_it)
        assert [everything(log) for _ in range(READERS + 1)] == [[]] * (READERS + 1)

    @pytest.mark.parametrize("content", [b"not a database" * 500, b"\0" * 8192])
    def test_is_not_a_database_is_unavailable(self, log, database, content):
        for path in files_of(database):
            path.unlink()
        database.write_bytes(content)
        descriptors = open_descriptors()
        assert_unavailable(log)
        assert open_descriptors() == descriptors
        assert database.read_bytes() == content
        database.unlink()
        create_database(database)
        assert append(log, "a") == everything(log)

    def test_is_a_directory_is_unavailable(self, tmp_path):
        assert_unavailable(SqlEventLog(tmp_path))

    def test_holds_no_log_is_unavailable(self, tmp_path):
        sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE t (n)").connection.close()
        log = SqlEventLog(tmp_path / "empty.db")
        assert_unavailable(log)
        log.close()

    def test_is_full_is_unavailable_and_goes_on_when_there_is_room(self, log):
        kept = append(log, "a")

        def fill(transaction: Any) -> None:
            pages = transaction.connection.exec_driver_sql("PRAGMA page_count").scalar()
            transaction.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            transaction.append([Draft("a", "news", {"text": "x" * 100_000})])

        with pytest.raises(LogUnavailable) as caught:
            log.write(fill)
        assert "full" in caught.value.cause
        assert everything(log) == kept
        assert len(append(log, "a")) == 1

    def test_has_a_name_with_odd_characters_is_found(self, tmp_path):
        path = tmp_path / "shop?mode=memory#%41 ü.db"
        create_database(path)
        log = SqlEventLog(path)
        assert append(log, "a") == everything(log)
        log.close()


class TestALock:
    @pytest.fixture
    def impatient_log(self, database, monkeypatch):
        monkeypatch.setattr(petstore.sse.sql_event_log, "Database", partial(Database, busy_timeout_s=0.02))
        log = SqlEventLog(database)
        yield log
        log.close()

    @pytest.fixture
    def lock(self, database):
        """Return another program's connection that holds the write lock."""
        connection = sqlite3.connect(database, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.close()

    def test_that_lasts_too_long_fails_writers_and_lets_readers_read(self, impatient_log, log, lock):
        lock.rollback()
        kept = append(log, "a")
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailable) as caught:
            append(impatient_log, "a")
        assert "locked" in caught.value.cause
        assert caught.value.retry_after_s >= 1
        assert everything(impatient_log) == kept

    def test_that_ends_lets_the_same_log_write(self, impatient_log, lock):
        with pytest.raises(LogUnavailable):
            append(impatient_log, "a")
        lock.rollback()
        assert append(impatient_log, "a") == everything(impatient_log)

    def test_that_is_short_is_waited_for(self, log, lock):
        thread = threading.Thread(target=append, args=(log, "a"))
        thread.start()
        lock.execute("UPDATE event_clock SET last_id = last_id + 5")
        lock.commit()
        thread.join()
        assert len(everything(log)) == 1

    def test_is_waited_for_once_by_all_that_stand_in_the_queue(self, database, monkeypatch, lock):
        monkeypatch.setattr(petstore.sse.sql_event_log, "Database", partial(Database, busy_timeout_s=0.3))
        log, waited_s = SqlEventLog(database), list[float]()

        def write() -> None:
            begun = time.monotonic()
            with pytest.raises(LogUnavailable):
                append(log, "a")
            waited_s.append(time.monotonic() - begun)

        writers = [threading.Thread(target=write) for _ in range(20)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        # Each for itself would be 6 s for the last one.
        assert len(waited_s) == 20
        assert max(waited_s) < 3
        log.close()

    def test_on_the_whole_file_is_unavailable(self, tmp_path, monkeypatch):
        # Restored, perhaps, and not yet in WAL mode: the first connection of all has to change that, and can't.
        create_database(tmp_path / "shop.db")
        sqlite3.connect(tmp_path / "shop.db").execute("PRAGMA journal_mode = DELETE").connection.close()
        monkeypatch.setattr(petstore.sse.sql_event_log, "Database", partial(Database, busy_timeout_s=0.02))
        log = SqlEventLog(tmp_path / "shop.db")
        other = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        assert_unavailable(log)
        other.close()
        assert append(log, "a") == everything(log)
        log.close()


def test_many_processes_may_be_the_first_to_open_a_database(open_log):
    def write(tell: Any) -> list[Event]:
        log = open_log()
        tell("ready")
        return [event for _ in range(5) for event in append(log, "a")]

    writers = [OtherProcess(write) for _ in range(4)]
    for writer in writers:
        writer.next()
    written = [event for writer in writers for event in writer.end()]
    assert sorted(ids(written)) == ids(everything(open_log()))


def test_a_clock_that_runs_is_not_started_again(log, database):
    append(log, "a")
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        before = connection.execute(select(clock)).all()
        create_log(connection)
        assert connection.execute(select(clock)).all() == before
    engine.dispose()


class TestTheBells:
    @pytest.fixture
    def bells(self, database: Path) -> Path:
        return database.with_name(database.name + "-followers")

    def test_are_hung_up_by_those_who_wait_and_taken_down_at_the_end(self, log, bells):
        append(log, "a")
        assert not bells.exists()
        log.wait(0)
        assert len(list(bells.iterdir())) == 1
        log.close()
        assert list(bells.iterdir()) == []

    def test_are_for_the_owner_alone(self, log, bells):
        log.wait(0)
        assert bells.stat().st_mode & 0o077 == 0

    def test_of_processes_that_were_killed_are_taken_down(self, open_log: OpenLog, bells):
        def follow(tell: Any) -> None:
            log = open_log()
            log.wait(0)
            tell("ready")
            log.wait(PATIENCE_S)

        followers = [OtherProcess(follow) for _ in range(3)]
        for follower in followers:
            follower.next()
            follower.kill()
        log = open_log()
        log.wait(0)
        assert len(list(bells.iterdir())) == 4
        append(log, "a")
        assert len(list(bells.iterdir())) == 1

    def test_that_were_cleaned_away_are_hung_up_again(self, log, open_log: OpenLog, bells):
        log.wait(0)
        for bell in bells.iterdir():
            bell.unlink()
        bells.rmdir()
        append(open_log(), "a")
        assert log.wait(0.001) is False
        log.wait(0)
        append(open_log(), "a")
        assert log.wait(PATIENCE_S) is True

    def test_can_not_fail_a_write_that_is_committed(self, log, bells):
        bells.write_text("a file where the directory should be")
        assert append(log, "a") == everything(log)
        assert log.wait(0.001) is True, "one's own need no bell"
        assert log.wait(0.001) is False

    def test_are_not_disturbed_by_what_else_lies_there(self, log, bells):
        log.wait(0)
        (bells / "notes.txt").write_text("a file is no bell")
        (bells / "directory").mkdir()
        (bells / ("x" * 200)).write_text("no socket has so long a name")
        append(log, "a")
        assert log.wait(PATIENCE_S) is True

    def test_ring_however_long_the_path_is(self, tmp_path):
        directory = tmp_path.joinpath(*["d" * 50] * 4)
        directory.mkdir(parents=True)
        create_database(directory / "shop.db")
        log = SqlEventLog(directory / "shop.db")
        log.wait(0)
        append(log, "a")
        assert log.wait(PATIENCE_S) is True
        log.close()
