"""Migrations make the tables that the code describes, once, whoever else is at it, and leave nothing open."""

import contextlib
import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

import petstore.ai  # noqa: F401 (its tables are described beside ours, and migrated with them)
from petstore.migrations import migrate
from petstore.migrations.schema import newest_version
from petstore.sse import SqlEventLog, metadata

ROOT = Path(__file__).resolve().parents[2]


def tables(path: Path) -> dict[str, str]:
    """Return the SQL of every table and index but Alembic's own."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}


def open_files(directory: Path) -> list[str]:
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [link for link in links if link.startswith(str(directory))]


def test_migrations_make_exactly_the_tables_that_the_code_describes(tmp_path: Path):
    migrate(tmp_path / "migrated.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'described.db'}", poolclass=NullPool)
    metadata.create_all(engine)
    assert tables(tmp_path / "migrated.db") == tables(tmp_path / "described.db")


def test_alembic_finds_nothing_left_to_migrate(empty_path: Path):
    with create_engine(f"sqlite:///{empty_path}", poolclass=NullPool).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_file_is_its_owners_alone_and_in_wal_mode_and_its_clock_runs(tmp_path: Path):
    path = tmp_path / "new" / "directories" / "petstore.db"
    before = time.time_ns() // 1000
    migrate(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log = SqlEventLog(path)
    assert before <= log.origin() == log.head() <= time.time_ns() // 1000
    log.close()


@pytest.mark.parametrize("name", ["with space.db", "100%.db", "what?#&.db", "ключ.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str):
    migrate(tmp_path / name)
    migrate(tmp_path / name)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert "pets" in tables(tmp_path / name)


def test_no_connection_stays_open(tmp_path: Path):
    migrate(tmp_path / "petstore.db")
    assert open_files(tmp_path) == []
    migrate(tmp_path / "petstore.db")
    assert open_files(tmp_path) == []


def test_a_database_that_is_up_to_date_keeps_its_data_and_does_not_need_alembic(path: Path):
    before = path.read_bytes()
    script = "import sys; from pathlib import Path; from petstore.migrations import migrate; migrate(Path(sys.argv[1]))"
    script += "; assert not [name for name in sys.modules if name.startswith('alembic')]"
    subprocess.run([sys.executable, "-c", script, path], check=True, cwd=ROOT)
    assert path.read_bytes() == before


def test_several_processes_may_migrate_at_once(tmp_path: Path):
    path = tmp_path / "petstore.db"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(migrate, [path] * 4, chunksize=1)
    log = SqlEventLog(path)
    assert log.origin() == log.head()
    log.close()


MIGRATE_ALOUD = """
import sys; from pathlib import Path
from petstore.migrations import schema
connect = schema._connect

def connect_aloud(path):
    connection = connect(path)
    connection.set_trace_callback(lambda statement: print(statement, flush=True))
    return connection

schema._connect = connect_aloud
schema.migrate(Path(sys.argv[1]))
"""
"""A migration that tells each statement just before it's done."""


def test_whoever_comes_second_waits_for_the_first(tmp_path: Path):
    """A transaction that is open elsewhere holds the migration up; it doesn't break it."""
    path = tmp_path / "petstore.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        with subprocess.Popen([sys.executable, "-c", MIGRATE_ALOUD, path], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert "BEGIN IMMEDIATE\n" in process.stdout, "it never came to the lock"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            other.execute("COMMIT")
            process.stdout.read()
    assert process.returncode == 0
    assert "pets" in tables(path)


def test_a_migration_that_breaks_leaves_nothing_behind_and_can_be_repeated(tmp_path: Path):
    path = tmp_path / "petstore.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (foreign_to_us INTEGER)")
    with pytest.raises(OperationalError):
        migrate(path)
    assert list(tables(path)) == ["orders"]
    assert open_files(tmp_path) == []
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE orders")
    migrate(path)
    assert "demo_orders" in tables(path)


def test_a_patched_process_can_migrate_seed_and_sell(tmp_path: Path):
    script = """
from gevent import monkey; monkey.patch_all()
import sys; from pathlib import Path
from petstore.migrations import migrate
from petstore.shop import Shop, demo_ids, pay_order, place_order, seed_shop, Fulfilment
from petstore.sse import SqlEventLog
path = Path(sys.argv[1])
migrate(path)
log = SqlEventLog(path)
assert seed_shop(Shop(log))
order = place_order(Shop(log), demo_ids(Shop(log)).pet_id, 1)
pay_order(Shop(log), order.id, 0)
Fulfilment(log, 0).advance()
assert len(log.read([f"orders/{order.id}"], 0, 10)) == 4
log.close()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script, tmp_path / "petstore.db"], check=True, cwd=ROOT)


def test_migrations_can_be_taken_back(empty_path: Path):
    config = Config()
    config.set_main_option("script_location", "petstore:migrations")
    config.set_main_option("path_separator", "os")
    with create_engine(f"sqlite:///{empty_path}", poolclass=NullPool).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert tables(empty_path) == {}


def test_migrations_are_one_line_of_numbers():
    config = Config()
    config.set_main_option("script_location", "petstore:migrations")
    config.set_main_option("path_separator", "os")
    numbers = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert numbers == [f"{number:04d}" for number in range(len(numbers), 0, -1)]
    assert newest_version() == numbers[0]


def test_the_tables_of_a_newer_release_are_left_alone(empty_path: Path):
    with contextlib.closing(sqlite3.connect(empty_path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(OSError, match=f"newer release: 9999, and this one knows {newest_version()}"):
        migrate(empty_path)
