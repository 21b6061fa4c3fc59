"""Servers for the tests: one for all that only look, and new ones for those that kill, fill or stop theirs.

A test that fails shows the end of the log of every server that was running then.
"""

# ruff: noqa: E402 (what is to explain its asserts must be named before it's imported)
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.live.client", "tests.live.server", "tests.live.shop")

from petstore.migrations import migrate
from petstore.shop import Shop, seed_shop
from petstore.sse import SqlEventLog
from tests.ai.model_server import ModelServer, Script, say
from tests.live.browser import browser
from tests.live.nginx import nginx
from tests.live.server import Server
from tests.live.shop import BUDDY, FLUFFY, change_many

NEEDS = {"test_docs.py": "Chromium", "test_page.py": "Chromium", "test_nginx.py": "nginx"}
FOUND = {"Chromium": browser(), "nginx": nginx()}

collect_ignore = [name for name, program in NEEDS.items() if not FOUND[program]]

Start = Callable[..., Server]
Behind = Callable[..., tuple[Server, ModelServer]]
Patient = tuple[Server, ModelServer]


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated and seeded database, to be copied: so a server has a full shop without the demo's shoppers in it."""
    path = tmp_path_factory.mktemp("seeded") / "petstore.db"
    migrate(path)
    log = SqlEventLog(path)
    seed_shop(Shop(log))
    log.close()
    return path


@pytest.fixture(scope="session")
def shop(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of all tests that leave it as they find it, with two workers."""
    directory = tmp_path_factory.mktemp("shop")
    with full_shop(seeded, directory, PETSTORE_HEARTBEAT_S=1, PETSTORE_FULFILMENT_STEP_S=0.1) as server:
        change_many(server, [{"petId": pet_id, "stock": 10_000} for pet_id in (FLUFFY, BUDDY)])
        yield server
        server.terminate()


@pytest.fixture
def start(seeded: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a server of the test's own, on a full shop, and returns it when it's ready."""
    with ExitStack() as servers:
        yield lambda name="server", **settings: servers.enter_context(full_shop(seeded, tmp_path / name, **settings))


@contextmanager
def full_shop(seeded: Path, directory: Path, **settings: object) -> Iterator[Server]:
    """Run a server on a copy of the seeded database."""
    directory.mkdir(exist_ok=True)
    shutil.copy(seeded, directory / "petstore.db")
    server = Server(directory, **settings)  # type: ignore[arg-type]
    try:
        try:
            server.wait_until_ready()
        except AssertionError as error:
            error.add_note(server.log_tail())
            raise
        yield server
    finally:
        server.close()


@pytest.fixture
def behind(start: Start) -> Iterator[Behind]:
    """Starts a server of the test's own, with a model behind it that follows a script."""
    with ExitStack() as models:

        def begin(script: Script, **settings: object) -> tuple[Server, ModelServer]:
            model = models.enter_context(ModelServer(script))
            return start(**{**with_model(model), **settings}), model

        yield begin


@pytest.fixture(scope="module")
def patient(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """A server for all tests of a module, with a model that follows each test's script; its runs wait 2 s for who has left."""
    settings = {"PETSTORE_RUN_LEASE_S": 2, "PETSTORE_HEARTBEAT_S": 15}
    directory = tmp_path_factory.mktemp("patient")
    with ModelServer(say()) as model, full_shop(seeded, directory, **{**with_model(model), **settings}) as server:
        yield server, model


def with_model(model: ModelServer) -> dict[str, object]:
    """Return the settings of a server that has this model."""
    named = {"PETSTORE_LLM_MODEL": "test", "OPENAI_BASE_URL": model.url, "PETSTORE_LLM_SILENCE_S": 30}
    return {**named, "PETSTORE_HEARTBEAT_S": 1}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.failed:  # type: ignore[attr-defined]
        for server in Server.running:
            report.sections.append((f"log of {server.directory.name}", server.log_tail()))  # type: ignore[attr-defined]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name in collect_ignore:
        terminalreporter.write_line(f"tests/live/{name} was left out: it needs {NEEDS[name]}, and there is none here")
