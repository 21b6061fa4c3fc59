"""Every way to start the server works, and a wrong setting stops it with one line."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.client import Exchange
from tests.live.server import DEADLINE_S, GUNICORN, ROOT, Server, make_environment, wait_until
from tests.live.shop import BUDDY, CUSTOMER, INVENTORY, RECOMMENDATIONS, ask, change, data, get, new_stock


@contextmanager
def running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.close()


def start_in_vain(directory: Path, settings: Mapping[str, object], command: Sequence[str] = GUNICORN) -> list[str]:
    """Start a server that can't start, and return the lines that it says."""
    environment = make_environment(directory, **{"PETSTORE_BIND": "127.0.0.1:0", **settings})
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode not in (0, None), done.stdout
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("PETSTORE_HEARTBEAT_S", "0"),
        ("PETSTORE_DEMO", "maybe"),
        ("PETSTORE_BIND", "here"),
        ("PETSTORE_DATABASE_URL", "mysql://root:hush@localhost/petstore"),
        ("PETSTORE_SECRET_KEY", "hush"),
        ("PETSTORE_HEARTBEATS", "15"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it_and_what_is_allowed(tmp_path: Path, setting: str, value: str):
    (line,) = start_in_vain(tmp_path, {setting: value})
    assert line.startswith(f"{setting} ")
    assert "hush" not in line
    if setting not in ("PETSTORE_SECRET_KEY", "PETSTORE_DATABASE_URL", "PETSTORE_HEARTBEATS"):
        assert repr(value) in line
    assert re.search(r": (must be |did you mean )", line)
    assert list(tmp_path.iterdir()) == [], "nothing was made"


@pytest.mark.parametrize("value", ["0", "many", "65"])
def test_a_wrong_number_of_workers_stops_make_run_with_one_line(tmp_path: Path, value: str):
    (line,) = start_in_vain(tmp_path, {"WEB_CONCURRENCY": value}, ("-m", "petstore.settings"))
    assert line.startswith(f"WEB_CONCURRENCY is '{value}': must be ")


def test_without_a_secret_only_the_demo_starts(tmp_path: Path):
    (line,) = start_in_vain(tmp_path, {"PETSTORE_SECRET_KEY": None})
    assert line.startswith("PETSTORE_SECRET_KEY is not set: ")


def test_plain_gunicorn_with_a_secret_serves_an_empty_shop_whose_streams_are_open(tmp_path: Path):
    with running(Server(tmp_path, PETSTORE_HEARTBEAT_S=1)) as server:
        server.wait_until_ready()
        assert get(server, "/v1/pets")["data"] == []
        inventory = get(server, "/v1/inventory")
        assert inventory["data"] == []
        assert inventory["lastEventId"] > 0
        assert ask(server, "GET", RECOMMENDATIONS).status == 404
        with Exchange(server.address, f"{INVENTORY}?lastEventId={inventory['lastEventId']}") as stream:
            stream.read_until(lambda: b": heartbeat\n" in stream.body)
            assert stream.events == []
        assert "curl" not in server.log


def test_the_demo_makes_and_keeps_its_secret_fills_its_shop_once_and_has_something_to_say(tmp_path: Path):
    settings = {"PETSTORE_DEMO": 1, "PETSTORE_SECRET_KEY": None}
    with running(Server(tmp_path, **settings)) as server:  # type: ignore[arg-type]
        server.wait_until_ready()
        secret = (tmp_path / "secret_key").read_text()
        assert len(secret) >= 16
        assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
        assert secret not in server.log
        assert get(server, "/v1/inventory")["pagination"]["totalItems"] >= 60
        (order,) = re.findall(r"(/v1/orders/[0-9a-f-]{36}/status/stream[^']*)", server.log)
        with (
            Exchange(server.address, f"/v1/pets/recommendations/stream?userId={CUSTOMER}") as recommendations,
            Exchange(server.address, order) as status,
            Exchange(server.address, INVENTORY) as inventory,
        ):
            for stream in (recommendations, status, inventory):
                stream.read_events(1)
        assert server.url in server.log
        lines = re.search(r"as staff:\n\n((?:  .+\n)+)", server.log)
        assert lines
        changed = subprocess.run(lines[1], shell=True, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
        assert '"stock":7' in changed.stdout.replace(" ", ""), changed
    with running(Server(tmp_path, **settings)) as server:  # type: ignore[arg-type]
        server.wait_until_ready()
        assert (tmp_path / "secret_key").read_text() == secret
        assert get(server, "/v1/inventory")["pagination"]["totalItems"] < 120


@pytest.mark.parametrize("workers", [1, 3])
def test_web_concurrency_is_the_number_of_workers_and_all_of_them_serve(start: Callable[..., Server], workers: int):
    server = start(workers=workers)
    pids = server.worker_pids()
    assert len(pids) == workers
    streams = [Exchange(server.address, INVENTORY, connection=server.connect(pid)) for pid in pids]
    change(server, BUDDY, stock=(stock := new_stock()))
    for stream in streams:
        with stream:
            assert data(stream.read_events(1)[0])["newStock"] == stock


CTRL_C_WHILE_A_WORKER_STARTS = """
import os, signal
from pathlib import Path
import gevent.events

exec(Path("gunicorn.conf.py").read_text())
begin, finish = post_fork, post_worker_init

def close(moment):
    if os.environ["CLOSE"] == moment:
        os.killpg(0, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGQUIT)

def post_fork(server, worker):
    close("after the fork")
    begin(server, worker)

def watch(event):
    if isinstance(event, gevent.events.GeventWillPatchAllEvent):
        close("before it patches")

gevent.events.subscribers.append(watch)
interrupt = signal.siginterrupt

def siginterrupt(*arguments):
    close("when it has set its handlers")
    interrupt(*arguments)

signal.siginterrupt = siginterrupt

def post_worker_init(worker):
    close("before it serves")
    finish(worker)
"""
"""A configuration of gunicorn's that adds to ours: at one moment of a worker's start every process of its terminal gets a Ctrl-C,
and the worker what gunicorn makes of that."""


@pytest.mark.parametrize("moment", ["after the fork", "before it patches", "when it has set its handlers", "before it serves"])
def test_ctrl_c_while_workers_start_ends_the_server_at_once_and_quietly(tmp_path: Path, moment: str):
    configuration = tmp_path / "ctrl_c.conf.py"
    configuration.write_text(CTRL_C_WHILE_A_WORKER_STARTS)
    command = ("-m", "gunicorn", "-c", str(configuration), "wsgi:app")
    with running(Server(tmp_path, command=command, CLOSE=moment)) as server:
        assert server.process.wait(DEADLINE_S) == 0
        assert "Shutting down: Master" in server.log
        assert "was sent SIG" not in server.log, server.log


def test_flask_run_works_too_and_streams_an_event(tmp_path: Path, seeded: Path):
    (tmp_path / "petstore.db").write_bytes(seeded.read_bytes())
    command = ("-m", "flask", "--app", "app", "run", "--port", "0")
    settings = {"PETSTORE_HEARTBEAT_S": 1, "PETSTORE_FULFILMENT_STEP_S": 0.1, "PETSTORE_BIND": None, "WEB_CONCURRENCY": None}
    with running(Server(tmp_path, workers=0, command=command, **settings)) as server:  # type: ignore[arg-type]
        wait_until(lambda: ask(server, "GET", "/readyz").status == 200, "it answers")
        with Exchange(server.address, INVENTORY) as stream:
            assert stream.header("Content-Type") == "text/event-stream; charset=utf-8"
            stream.read_until(lambda: b": heartbeat\n" in stream.body)
            change(server, BUDDY, stock=(stock := new_stock()))
            assert data(stream.read_events(1)[0])["newStock"] == stock
            order = ask(server, "POST", "/v1/orders", {"petId": BUDDY}).json()
            assert data(stream.read_events(2)[1]) == {"petId": BUDDY, "oldStock": stock, "newStock": stock - 1}
        assert ask(server, "POST", order["links"]["payment"]).status == 201
        for target, count in ((order["links"]["statusStream"], 4), (RECOMMENDATIONS, 11)):
            with Exchange(server.address, target) as stream:
                assert len(stream.read_to_end().events) == count


def test_a_server_may_listen_on_a_socket_of_the_file_system(tmp_path: Path):
    path = tmp_path / "petstore.sock"
    with running(Server(tmp_path, PETSTORE_BIND=f"unix:{path}", PETSTORE_DEMO=1)) as server:
        wait_until(lambda: path.exists() and "Booting worker" in server.log, "it listens")
        (line,) = re.findall(r"^  (curl .*inventory/stream.*)$", server.log, re.MULTILINE)
        command = f"exec {line} --silent --show-error --max-time {DEADLINE_S:g}"
        with subprocess.Popen(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as curl:
            assert curl.stdout is not None
            first = curl.stdout.readline()
            curl.terminate()
        assert first.startswith("retry: "), first


class TestCors:
    ORIGIN = "https://shop.example"

    def test_without_the_setting_no_other_origin_may_read_anything(self, shop: Server):
        for target in (INVENTORY, "/v1/pets", "/nothing"):
            with Exchange(shop.address, target, {"Origin": self.ORIGIN}) as exchange:
                assert not [name for name, _ in exchange.headers if name.startswith("Access-Control")]

    def test_the_origins_of_the_setting_may_read_streams_problems_and_the_rest(self, start: Callable[..., Server]):
        server = start(workers=1, PETSTORE_CORS_ORIGINS=f"{self.ORIGIN}, http://localhost:3000")
        for target in (INVENTORY, "/v1/pets", "/nothing", "/v1/inventory/stream?since=x"):
            for origin in (self.ORIGIN, "http://localhost:3000"):
                with Exchange(server.address, target, {"Origin": origin}) as exchange:
                    assert exchange.header("Access-Control-Allow-Origin") == origin
                    assert exchange.header("Vary") == "Origin"
            with Exchange(server.address, target, {"Origin": "https://other.example"}) as exchange:
                assert exchange.header("Access-Control-Allow-Origin") is None
                assert exchange.header("Vary") == "Origin"

    def test_a_browser_that_asks_first_is_told_that_it_may_send_its_last_event_id(self, start: Callable[..., Server]):
        server = start(workers=1, PETSTORE_CORS_ORIGINS="*")
        asked = {"Origin": self.ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "last-event-id"}
        answer = ask(server, "OPTIONS", INVENTORY, headers=asked)
        assert answer.status in (200, 204)
        assert answer.header("Access-Control-Allow-Origin") == "*"
        assert "last-event-id" in (answer.header("Access-Control-Allow-Headers") or "").lower()
        assert "GET" in (answer.header("Access-Control-Allow-Methods") or "")
        with Exchange(server.address, INVENTORY, {"Origin": self.ORIGIN, "Last-Event-ID": "1"}) as stream:
            assert stream.header("Access-Control-Allow-Origin") == "*"
            assert stream.read_events(1)[0].type == "gap"
