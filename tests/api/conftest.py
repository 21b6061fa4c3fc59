"""The application on a real, migrated and seeded SQLite file (a copy of one that is made once), without background jobs."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, text

from app import create_app
from petstore.api import bearer
from petstore.api.bearer import Scope
from petstore.api.services import Services
from petstore.migrations import migrate
from petstore.settings import Settings
from petstore.shop import Shop, seed_shop
from petstore.sse import EventLog, SqlEventLog

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
NOBODY = "019b4127-0000-7000-8000-000000000000"


STAFF = "019b4020-5f2e-7c41-9b6a-4d1e8f3a7c52"
CUSTOMER = "user-456"
SECRET = "correct horse battery"


def authorization(user_id: str, tenant: str = "", scopes: Iterable[Scope] = Scope) -> dict[str, str]:
    """Return the header that makes a request this user's, by a token like those that signing in gives out."""
    token, _ = bearer.issue(SECRET, user_id, tenant, scopes, time.time_ns() // 1000)
    return {"Authorization": f"Bearer {token}"}


def signed_in(app: Flask, user_id: str, tenant: str = "") -> FlaskClient:
    """Return a client whose every request is this user's."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = authorization(user_id, tenant)["Authorization"]
    return client


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seeded") / "petstore.db"
    migrate(path)
    log = SqlEventLog(path)
    seed_shop(Shop(log))
    log.close()
    return path


@pytest.fixture
def make_app(seeded: Path, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    made: list[Flask] = []

    def make(database: Flask | None = None, **settings: Any) -> Flask:
        """Return an application on a database of its own, or on that of another one, as a second worker would be."""
        path = tmp_path / f"petstore-{len(made)}.db"
        if database is not None:
            path = database.extensions["petstore"].settings.database_path
        else:
            shutil.copy(seeded, path)
        own = {"secret_key": SECRET, "database_url": f"sqlite:///{path}", "var_directory": tmp_path}
        app = create_app(Settings(**{**own, **settings}))
        app.extensions["petstore.background"].started = True  # So that no order moves while a test looks at it.
        made.append(app)
        return app

    yield make
    for app in made:
        services: Services = app.extensions["petstore"]
        app.extensions["petstore.background"].stop()  # The feed and the indexes, where a test has asked for recommendations.
        services.log.close()
        services.windows.close()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def customer(app: Flask) -> FlaskClient:
    """Signed in as the example customer."""
    return signed_in(app, CUSTOMER)


@pytest.fixture
def staff(app: Flask) -> FlaskClient:
    """Signed in as a member of the staff."""
    return signed_in(app, STAFF)


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
            for table in ("pets", "orders", "payments", "customers", "idempotency_keys", "events", "event_clock", "runs")
        ]

    return lambda: log.query(read)
