"""The application on a real, migrated and seeded SQLite file (a copy of one that is made once), without background jobs."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, text

from app import create_app
from petstore.api.services import Services
from petstore.migrations import migrate
from petstore.settings import Settings
from petstore.shop import seed_shop
from petstore.sse import EventLog, SqlEventLog

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
NOBODY = "019b4127-0000-7000-8000-000000000000"


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seeded") / "petstore.db"
    migrate(path)
    log = SqlEventLog(path)
    seed_shop(log)
    log.close()
    return path


@pytest.fixture
def make_app(seeded: Path, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        path = tmp_path / f"petstore-{len(made)}.db"
        shutil.copy(seeded, path)
        app = create_app(
            Settings(secret_key="correct horse battery", database_url=f"sqlite:///{path}", var_directory=tmp_path, **settings)
        )
        app.extensions["petstore.background"].started = True  # So that no order moves while a test looks at it.
        made.append(app)
        return app

    yield make
    for app in made:
        close(app.extensions["petstore"])


def close(parts: Services) -> None:
    """End the feed, if a test has started it, and what it follows."""
    parts.feed._stopping = True
    parts.log._doorbell.ring()  # type: ignore[attr-defined]  # Otherwise it would sleep on for a second.
    parts.feed.stop()
    parts.log.close()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def parts(app: Flask) -> Services:
    found: Services = app.extensions["petstore"]
    return found


@pytest.fixture
def log(parts: Services) -> EventLog:
    return parts.log


@pytest.fixture
def state(log: EventLog) -> Callable[[], object]:
    """Returns all that a request could have changed."""

    def read(connection: Connection) -> object:
        return [
            connection.execute(text(f"SELECT * FROM {table} ORDER BY 1")).all()
            for table in ("pets", "orders", "customers", "events", "event_clock", "runs")
        ]

    return lambda: log.query(read)
