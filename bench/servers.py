"""The servers that are compared: how each is started, where it streams, and how it is told to publish.

Must not measure anything.
"""

import http.client
import json
import os
import resource
import shutil
import string
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from bench.load import Request

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "bench/.build"
PEERS = ROOT / "bench/.peers"
OURS = ROOT / ".venv/bin"
MAX_STREAMS = 20_000
MAX_CHANGES = 1_000
"""Changes that the petstore takes in one request."""

SECRET_KEY = "only for the benchmarks"


class Server:
    """One server. `key` is what comes before the number that orders its events (see load.c)."""

    name: ClassVar[str]
    title: ClassVar[str]
    key: ClassVar[str] = "id"
    stream: ClassVar[str] = "/stream"
    short: Sequence[str] = ("/short",)

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.directory = directory

    @classmethod
    def missing(cls) -> str | None:
        """Return why this server can't be run here, if so."""
        return None

    def command(self) -> list[str]:
        """Return the command that starts it, after making what it needs in its directory."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Return its environment: nothing of the petstore's settings that happen to be set here."""
        return {name: value for name, value in os.environ.items() if not name.startswith("PETSTORE_")}

    def publish(self, events: int) -> list[Request]:
        """Return the requests that publish so many events at once."""
        return [(b"POST /publish?n=%d HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n" % events, events)]

    def hello(self) -> str:
        """Return a path whose stream has one event at once. The server runs."""
        return "/hello"


class Petstore(Server):
    """Ours: the real application, its real database, its real endpoints."""

    name = "petstore"
    title = "petstore (Flask, gunicorn gevent)"
    stream = "/v1/inventory/stream"
    workers = 1
    pet_count = 0
    """More pets than the demo has, where that matters."""

    def command(self) -> list[str]:
        seed = [str(OURS / "python"), "-m", "bench.seed", str(self.database), SECRET_KEY, str(self.pet_count)]
        made = json.loads(subprocess.run(seed, cwd=ROOT, check=True, capture_output=True).stdout)
        self.pets: list[str] = made["pets"]
        self.short = made["recommendations"]
        self.headers = {"Content-Type": "application/json", "Authorization": f"Bearer {made['token']}"}
        self._changes = 0
        return [str(OURS / "gunicorn"), "-c", "gunicorn.conf.py", "wsgi:app"]

    @property
    def database(self) -> Path:
        """The file of the shop and its event log."""
        return self.directory / "petstore.db"

    def environment(self) -> dict[str, str]:
        return super().environment() | {
            "PETSTORE_BIND": f"127.0.0.1:{self.port}",
            "PETSTORE_VAR": str(self.directory),
            "PETSTORE_SECRET_KEY": SECRET_KEY,
            "PETSTORE_MAX_STREAMS": str(MAX_STREAMS),
            "WEB_CONCURRENCY": str(self.workers),
        }

    def publish(self, events: int) -> list[Request]:
        return [self._patch(min(MAX_CHANGES, events - done)) for done in range(0, events, MAX_CHANGES)]

    def _patch(self, events: int) -> Request:
        body = json.dumps({"changes": [self._change() for _ in range(events)]}, separators=(",", ":")).encode()
        headers = {"Host": "127.0.0.1", **self.headers, "Content-Length": str(len(body))}
        lines = ["PATCH /v1/inventory HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + body, events

    def hello(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/v1/inventory")
        cursor = json.load(connection.getresponse())["lastEventId"]
        body = json.dumps({"changes": [self._change()]})
        connection.request("PATCH", "/v1/inventory", body, self.headers)
        connection.getresponse().read()
        connection.close()
        return f"{self.stream}?lastEventId={cursor}"

    def _change(self) -> dict[str, str | int]:
        # Each pet's stock goes up by one each time round, so that every change is real and makes its event.
        lap, place = divmod(self._changes, len(self.pets))
        self._changes += 1
        return {"petId": self.pets[place], "stock": 100_000 + lap}


class Nchan(Server):
    """nginx's streaming module. Its ids are of its own kind, so the publisher's time is in the data."""

    name = "nchan"
    title = "nginx + nchan"
    key = "at"
    short = ()

    @classmethod
    def missing(cls) -> str | None:
        return None if cls._file("usr/sbin/nginx").exists() else "Debian's nginx and libnginx-mod-nchan could not be downloaded"

    @staticmethod
    def _file(path: str) -> Path:
        return PEERS / "nchan" / path

    def command(self) -> list[str]:
        values = {
            "module": self._file("usr/lib/nginx/modules/ngx_nchan_module.so"),
            "port": self.port,
            "directory": self.directory,
            "files": min(30_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        }
        text = (ROOT / "bench/peers/nginx.conf").read_text()
        (self.directory / "nginx.conf").write_text(string.Template(text).substitute(values))
        return [str(self._file("usr/sbin/nginx")), "-p", str(self.directory), "-c", "nginx.conf", "-e", "error.log"]

    def publish(self, events: int) -> list[Request]:
        data = self._data("@" * 16)  # where the load generator writes its time
        head = "POST /publish HTTP/1.1\r\nHost: 127.0.0.1\r\nX-EventSource-Event: stock-change\r\n"
        request = f"{head}Content-Length: {len(data)}\r\n\r\n{data}".encode()
        return [(request, 1)] * events

    def hello(self) -> str:
        """Publish a message first: its stream begins with the newest one, and waits if there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        body = self._data(str(time.time_ns() // 1000))
        connection.request("POST", "/publish", body, {"X-EventSource-Event": "stock-change"})
        if (status := connection.getresponse().status) >= 300:
            raise RuntimeError(f"nchan answered {status} to a message")
        connection.close()
        return "/hello"

    @staticmethod
    def _data(at: str) -> str:
        return f'{{"petId":"019b4127-e295-7be4-976e-b77988a8b015","oldStock":100000,"newStock":100001,"at":{at}}}'


class Writer(Server):
    """The limit (writer.c)."""

    name = "writer"
    title = "C epoll, one send per event (the limit)"

    def command(self) -> list[str]:
        return [str(BUILD / "writer"), str(self.port)]


class QueueFlask(Server):
    """The Flask that blogs show, on the same gunicorn."""

    name = "queue-flask"
    title = "Flask + gunicorn gevent, a queue per client"

    def command(self) -> list[str]:
        bind = ["-b", f"127.0.0.1:{self.port}"]
        return [str(OURS / "gunicorn"), "-c", "bench/peers/queue_flask.conf.py", *bind, "bench.peers.queue_flask_worker:app"]


class StarletteSse(Server):
    """sse-starlette on uvicorn with uvloop and httptools."""

    name = "sse-starlette"
    title = "sse-starlette on uvicorn (uvloop)"

    @classmethod
    def missing(cls) -> str | None:
        return None if (PEERS / "python/bin/uvicorn").exists() else "requirements-bench.txt is not installed"

    def command(self) -> list[str]:
        options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning", "--backlog", "4096"]
        return [str(PEERS / "python/bin/uvicorn"), *options, "--port", str(self.port), "bench.peers.starlette_sse:app"]


class BetterSse(Server):
    """better-sse on Node."""

    name = "better-sse"
    title = "better-sse on Node"

    @classmethod
    def missing(cls) -> str | None:
        if shutil.which("node") is None:
            return "there is no Node here"
        return None if (PEERS / "node/node_modules/better-sse").exists() else "npm could not install better-sse"

    def environment(self) -> dict[str, str]:
        return super().environment() | {"NODE_PATH": str(PEERS / "node/node_modules")}

    def command(self) -> list[str]:
        return ["node", str(ROOT / "bench/peers/better_sse.cjs"), str(self.port)]


SERVERS: tuple[type[Server], ...] = (Petstore, Nchan, Writer, QueueFlask, StarletteSse, BetterSse)
