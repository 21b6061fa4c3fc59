"""The composition root: the one place that knows every part and joins them.

Making the application connects to nothing and starts nothing: that is for `prepare`, once on a machine, and for the
background, in each worker.
"""

import logging
import resource
import sqlite3
import sys

from flask import Flask
from sqlalchemy.exc import DatabaseError
from werkzeug.middleware.proxy_fix import ProxyFix

from petstore import api, web
from petstore.ai import EmbeddedRecommender, PetIndexes, Runs
from petstore.api.bearer import derived_key
from petstore.api.caller import Trust
from petstore.api.metrics import Metrics
from petstore.api.problem import describe
from petstore.api.services import Services
from petstore.api.windows import Windows
from petstore.logs import configure_logging
from petstore.migrations import migrate
from petstore.settings import Settings, SettingsError, load
from petstore.shop import Demo, Fulfilment, Passwords, Shop, open_demo_accounts, seed_shop
from petstore.sse import Admission, Background, EventLog, Feed, Job, Retention, SqlEventLog, Terms

logger = logging.getLogger("petstore.app")

SPARE = 1000
"""Connections that are not for streams, so that health checks and orders get through when the streams are full."""


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application. Ends the process with one line when the environment holds a wrong setting."""
    try:
        settings = settings or load()
    except SettingsError as error:
        sys.exit(str(error))
    configure_logging(settings)
    app = Flask(__name__, static_folder=None)
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies)  # type: ignore[method-assign]
    log = SqlEventLog(settings.database_path)
    feed = Feed(log, _metrics(settings))
    indexes = PetIndexes(Shop(log), feed)
    runs = Runs(log, EmbeddedRecommender(indexes.of), settings.retention_h * 3600)
    terms = Terms(settings.heartbeat_s, settings.retry_ms, settings.drain_spread_s, settings.stuck_s, describe(500))
    app.extensions["petstore"] = Services(
        settings,
        log,
        feed,
        Admission(places(settings), settings.max_streams_per_client),
        terms,
        runs,
        Trust(settings.secret_key),
        Passwords(),
        Windows(settings.var_directory / "rates", derived_key(settings.secret_key, "rates")),
    )
    background = Background(feed, [*jobs(settings, log, runs), indexes])
    app.extensions["petstore.background"] = background

    @app.before_request
    def start() -> None:
        # Under gunicorn the hooks have done this; other servers have none, so their first request does it.
        if not background.started:
            prepare(settings)
            background.start()

    api.register(app)
    web.register(app)
    return app


def _metrics(settings: Settings) -> Metrics | None:
    try:
        return Metrics(settings.var_directory / "metrics")
    except OSError as error:
        logger.error("this worker doesn't count its streams: %s", error)
        return None


def jobs(settings: Settings, log: EventLog, runs: Runs) -> list[Job]:
    """Return the work that goes on in one worker at a time."""
    found = [
        Job(log, "fulfilment", Fulfilment(log, settings.fulfilment_step_s).advance),
        Job(log, "retention", Retention(log, settings.retention_h * 3600).trim),
        Job(log, "runs", runs.sweep),
    ]
    if settings.demo:
        demo = Demo(Shop(log), settings.fulfilment_step_s)
        found += [Job(log, "shoppers", demo.shop), Job(log, "clerk", demo.restock)]
    return found


def prepare(settings: Settings) -> None:
    """Bring the database up to date, and in the demo fill it. Safe to call at once in many processes, quick when done.

    Raises SettingsError when there can be no database where the settings say.
    """
    try:
        migrate(settings.database_path)
    except (OSError, DatabaseError, sqlite3.DatabaseError) as error:
        shown = f"is {settings.database_url!r}"
        reason = str(getattr(error, "orig", error))
        raise SettingsError("PETSTORE_DATABASE_URL", shown, f"must be a SQLite file that can be written: {reason}") from error
    if settings.demo:
        log = SqlEventLog(settings.database_path)
        try:
            seed_shop(Shop(log))
            open_demo_accounts(Shop(log))
        finally:
            log.close()


def places(settings: Settings) -> int:
    """Return how many streams a worker can hold: MAX_STREAMS, or fewer where the system allows fewer open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Half of the files at the least are not for streams where there are few: listeners, the database, other requests.
    return min(settings.max_streams, max(1, hard - 2 * spare(hard)))


def spare(files: int) -> int:
    """Return how many connections of a worker are kept for what isn't a stream, when it may open so many files."""
    return min(SPARE, files // 4)
