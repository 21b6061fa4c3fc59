"""A migrated database for every test, copied from one that is made once, and event logs on it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from petstore.migrations import migrate
from petstore.shop import Shop, seed_shop
from petstore.sse import EventLog, SqlEventLog


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "petstore.db"
    migrate(path)
    return path


@pytest.fixture(scope="session")
def seeded_database(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copy(empty_database, tmp_path_factory.mktemp("seeded")))
    log = SqlEventLog(path)
    seed_shop(Shop(log))
    log.close()
    return path


@pytest.fixture
def empty_path(empty_database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path))


@pytest.fixture
def path(seeded_database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(seeded_database, tmp_path))


@pytest.fixture
def empty_log(empty_path: Path) -> Iterator[EventLog]:
    log = SqlEventLog(empty_path)
    yield log
    log.close()


@pytest.fixture
def log(path: Path) -> Iterator[EventLog]:
    """The log of a seeded shop."""
    log = SqlEventLog(path)
    yield log
    log.close()


@pytest.fixture
def logs(path: Path) -> Iterator[list[EventLog]]:
    """Four more logs on the same database, as four workers have them."""
    logs: list[EventLog] = [SqlEventLog(path) for _ in range(4)]
    yield logs
    for log in logs:
        log.close()


TENANT = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01"


@pytest.fixture
def other(log: EventLog) -> Shop:
    """A tenant's shop, which began as a copy: its pets and customers have the same ids."""
    shop = Shop(log, TENANT)
    assert seed_shop(shop)
    return shop
