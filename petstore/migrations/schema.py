"""Creates the database and brings its tables up to date, by the migrations in `petstore/migrations`.

`migrate` runs once where a server starts, before anything forks. Alembic is imported only where there is something to
do: most starts find nothing, and the import costs more than all the rest.

Must not be needed by a running server, and leaves no connection open.
"""

import contextlib
import os
import re
import sqlite3
import time
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

WAIT_S = 60.0
"""How long to wait for another process that is migrating the same database."""


def migrate(path: Path) -> None:
    """Create the SQLite file at `path` if there is none, and upgrade it to the newest tables, all or nothing.

    Several processes may call it at once: one works, the others wait and find nothing to do. Raises OSError where the
    file can't be made or is a newer release's, and sqlalchemy's or sqlite3's errors for a database that can't be migrated.
    """
    _create(path)
    version, newest = _version(path), newest_version()
    if version == newest:
        return
    if version is not None and version > newest:
        raise OSError(f"its tables are those of a newer release: {version}, and this one knows {newest}")
    _use_wal(path)
    engine = create_engine("sqlite://", creator=lambda: _connect(path), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The lock is taken before the version is read: whoever comes second must see what the first one did.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        _upgrade(connection)


def newest_version() -> str:
    """Return the newest migration's number: the digits that its file's name begins with."""
    names = [entry.name for entry in files("petstore.migrations").joinpath("versions").iterdir()]
    return max(match[0] for name in names if (match := re.match("[0-9]{4}(?=_.*[.]py$)", name)))


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "petstore:migrations")
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Only where there is none: to open and close a database beside SQLite would drop the locks that this process has.
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=WAIT_S)
    connection.isolation_level = None  # Ours to begin: the driver's own BEGIN comes too late for the lock.
    return connection


def _version(path: Path) -> str | None:
    with contextlib.closing(_connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone():
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row[0])


def _use_wal(path: Path) -> None:
    """Switch to WAL mode, which stays with the file. SQLite doesn't wait when another process is busy with that."""
    deadline = time.monotonic() + WAIT_S
    with contextlib.closing(_connect(path)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
