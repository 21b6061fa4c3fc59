"""Workers that are replaced while clients keep coming: none is refused, and those who are in flight get their answer."""

import os
import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.live.client import Exchange
from tests.live.follower import Follower, Writer, told
from tests.live.server import ROOT, Server, wait_until
from tests.live.shop import BUDDY, INVENTORY, JSON, STAFF, ask, get, new_stock
from tests.live.storm import reload

RELOADS = 2


class Caller:
    """Somebody who asks for `target` again and again, each time on a connection of its own, and reads what comes first.

    He doesn't say that he takes event streams, so a server that refuses one does so with 503.
    """

    def __init__(self, server: Server, target: str) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._server = server
        self._target = target
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(0.002):
            try:
                with Exchange(self._server.address, self._target) as answer:
                    answer.read_until(lambda: answer.body)
                    if answer.status != 200:
                        self.failures.append(f"{answer.status}: {answer.body!r}")
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
            self.answered += 1


def test_a_reload_brings_the_code_that_is_installed_by_then(tmp_path: Path):
    root = tmp_path / "installed"
    root.mkdir()
    for name in ("app.py", "wsgi.py", "gunicorn.conf.py"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "petstore", root / "petstore")
    with closing(Server(tmp_path / "var", root=root, PETSTORE_DEMO=1)) as server:
        server.wait_until_ready()
        assert ask(server, "GET", "/healthz").json()["status"] == "ok"
        health = root / "petstore/api/health.py"
        health.write_text(health.read_text().replace('"ok"', '"newer"'))
        for _ in range(2):
            reload(server)
            server.wait_until_ready()
            for pid in server.worker_pids():
                with Exchange(server.address, "/healthz", connection=server.connect(pid)) as answer:
                    assert answer.read_to_end().body.count(b"newer") == 1
        server.terminate()


def hang_up(server: Server) -> None:
    """Reload the server."""
    for _ in range(RELOADS):
        reload(server)
    # The old ones are gone before the new ones answer: until they do, clients wait.
    for pid in server.worker_pids():
        server.connect(pid).close()


def wait_for_replacement(server: Server) -> None:
    """Wait until every worker has served as many requests as it may, and been replaced."""
    old = set(server.worker_pids())
    wait_until(lambda: server.worker_pids() and not old & set(server.worker_pids()), "all workers are replaced")


@pytest.mark.parametrize(
    ("replace", "workers", "arguments"),
    [(hang_up, 2, ""), (wait_for_replacement, 2, "--max-requests 100"), (wait_for_replacement, 1, "--max-requests 100")],
    ids=["HUP", "max_requests of two", "max_requests of one"],
)
def test_no_client_is_refused_and_no_event_lost_while_workers_are_replaced(
    start: Callable[..., Server], replace: Callable[[Server], None], workers: int, arguments: str
):
    server = start(
        workers=workers, PETSTORE_HEARTBEAT_S=1, PETSTORE_RETRY_MS=100, PETSTORE_DRAIN_SPREAD_S=0, GUNICORN_CMD_ARGS=arguments
    )
    cursor = get(server, "/v1/inventory")["lastEventId"]
    with closing(server.open_event_log()) as log:
        followers = [Follower(server, cursor) for _ in range(3)]
        callers = [Caller(server, target) for target in (INVENTORY, INVENTORY, "/v1/inventory", "/healthz")]
        writer = Writer(log, 200, 1)
        replace(server)
        writer.stop()
        for caller in callers:
            caller.stop()
        for follower in followers:
            follower.finish(writer.last_id)
        expected = told(log, cursor)
    print(f"{writer.written} events; {sum(caller.answered for caller in callers)} requests")
    assert [failure for caller in callers for failure in caller.failures] == []
    for follower in followers:
        assert follower.refused == []
        assert follower.cuts == follower.gaps == 0
        assert follower.frames == expected
    assert sum(follower.goodbyes for follower in followers) >= len(followers)


def test_a_worker_that_ends_takes_no_connection_any_more_and_answers_what_is_in_flight(start: Callable[..., Server]):
    server = start(workers=2)
    leaving, staying = server.worker_pids()
    answers: list[Exchange] = []

    def change_stock() -> None:
        target, content = f"/v1/inventory/{BUDDY}", b'{"stock": %d}' % stock
        with Exchange(server.address, target, JSON | STAFF, method="PATCH", content=content, connection=connection) as answer:
            answers.append(answer.read_to_end())

    stock, connection = new_stock(), server.connect(leaving)
    with Exchange(server.address, INVENTORY, connection=server.connect(leaving)) as stream:
        stream.read_until(lambda: stream.chunks)
        with closing(server.open_event_log()) as log, Hold() as hold:
            holding = threading.Thread(target=lambda: log.write(lambda _: hold.keep()))
            holding.start()
            hold.begun.wait()
            changing = threading.Thread(target=change_stock)
            changing.start()
            os.kill(leaving, signal.SIGTERM)
            assert stream.read_to_end().events[-1].type == "goodbye"
            for _ in range(20):
                with Exchange(server.address, "/healthz") as answer:
                    assert answer.read_to_end().status == 200
                    assert server.worker_of(answer.socket) == staying
            assert leaving in server.worker_pids(), "it has not waited for the request in flight"
            hold.let_go()
            holding.join()
            changing.join()
    assert answers[0].status == 200, answers[0].body
    assert answers[0].json()["stock"] == stock
    wait_until(lambda: leaving not in server.worker_pids(), "it is gone")
    assert ask(server, "GET", "/readyz").status == 200


class Hold:
    """Holds a transaction open until it's released, at the latest when its context is left."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._released = threading.Event()

    def __enter__(self) -> "Hold":
        return self

    def __exit__(self, *error: object) -> None:
        self.let_go()

    def keep(self) -> None:
        self.begun.set()
        self._released.wait()

    def let_go(self) -> None:
        self._released.set()
