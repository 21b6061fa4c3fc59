"""The composition root: the one place that knows every part and joins them.

Making the application connects to nothing and starts nothing: that is for `prepare`, once on a machine, and for the
background, in each worker.
"""

import contextlib
import logging
import resource
import sqlite3
import sys

from flask import Flask
from sqlalchemy.exc import DatabaseError

from petstore import api, web
from petstore.ai import (
    EMBEDDED,
    MODEL,
    Advisor,
    Audience,
    Chatting,
    EmbeddedRecommender,
    Generate,
    Keeper,
    PetIndexes,
    Recommending,
    RunKind,
    Runs,
    Sweep,
)
from petstore.api.address import behind_proxies
from petstore.api.bearer import derived_key
from petstore.api.caller import Trust
from petstore.api.metrics import Metrics, Uncounted
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

MOST_BY_MACOS = 10_240
"""Files that a process may open where the system says that there is no limit, and refuses more."""


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application. Ends the process with one line when the environment holds a wrong setting."""
    try:
        settings = settings or load()
    except SettingsError as error:
        sys.exit(str(error))
    configure_logging(settings)
    app = api.Application(__name__)
    if settings.proxies:
        app.wsgi_app = behind_proxies(app.wsgi_app, settings.proxies)  # type: ignore[assignment,method-assign]
    log = SqlEventLog(settings.database_path)
    metrics = _metrics(settings)
    audience = Audience(metrics)
    feed = Feed(log, audience)
    indexes = PetIndexes(Shop(log), feed)
    engine = EMBEDDED if settings.llm_model is None else MODEL
    runs = Runs(log, feed, generations(settings, log, indexes), engine, metrics, settings.run_lease_s)
    terms = Terms(settings.heartbeat_s, settings.retry_ms, settings.drain_spread_s, settings.stuck_s, describe(500))
    app.extensions["petstore"] = Services(
        settings,
        log,
        feed,
        Admission(places(settings), settings.max_streams_per_client),
        terms,
        runs,
        audience,
        Trust(settings.secret_key),
        Passwords(),
        Windows(settings.var_directory / "rates", derived_key(settings.secret_key, "rates")),
    )
    # Ended in this order: runs are handed over while the indexes that they may wait for are still there.
    background = Background(feed, [*jobs(settings, log, runs), Keeper(runs, audience), indexes])
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


def _metrics(settings: Settings) -> Metrics | Uncounted:
    try:
        return Metrics(settings.var_directory / "metrics")
    except OSError as error:
        logger.error("this worker doesn't count its streams: %s", error)
        return Uncounted()


def generations(settings: Settings, log: EventLog, indexes: PetIndexes) -> dict[RunKind, Generate]:
    """Return what makes the content of each kind of run: the embedded engines, and a language model where one is named."""
    advisor, recommender = Advisor(link_to_pet), EmbeddedRecommender(indexes.of)
    if settings.llm_model is None:
        return {RunKind.RECOMMENDATIONS: Recommending(log, recommender), RunKind.CHAT: Chatting(log, advisor)}
    try:
        from petstore.ai.model import Model
        from petstore.ai.model_advisor import ModelAdvisor
        from petstore.ai.model_ranking import ModelRanking
    except ImportError:
        remedy = "needs the openai package: pip install -r requirements-llm.txt"
        sys.exit(f"PETSTORE_LLM_MODEL is {settings.llm_model!r}: {remedy}")
    silence_s = settings.llm_silence_s
    model = Model(settings.llm_model, settings.llm_base_url, settings.llm_api_key, silence_s)
    return {
        RunKind.RECOMMENDATIONS: Recommending(log, recommender, ModelRanking(model), silence_s),
        RunKind.CHAT: Chatting(log, advisor, ModelAdvisor(model, link_to_pet), silence_s),
    }


def link_to_pet(shop: Shop, pet_id: str) -> str:
    """Return where the API shows a pet of a shop, for text that is written where no request is at hand."""
    return f"/v1/pets/{pet_id}" + (f"?tenantId={shop.tenant}" if shop.tenant else "")


def jobs(settings: Settings, log: EventLog, runs: Runs) -> list[Job]:
    """Return the work that goes on in one worker at a time."""
    found = [
        Job(log, "fulfilment", Fulfilment(log, settings.fulfilment_step_s).advance),
        Job(log, "retention", Retention(log, settings.retention_h * 3600).trim),
        Job(log, "runs", Sweep(log, runs, settings.retention_h * 3600).sweep),
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
    # Half of the files at the least are not for streams where there are few: listeners, the database, other requests.
    return min(settings.max_streams, max(1, open_files() - 2 * spare()))


def spare() -> int:
    """Return how many connections of a worker are kept for what isn't a stream."""
    return min(SPARE, open_files() // 4)


def open_files() -> int:
    """Return how many files a process may open, after asking the system for as many as it gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for files in (hard, MOST_BY_MACOS):
        if files > soft:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
                return files
    return soft
