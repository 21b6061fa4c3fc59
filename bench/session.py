"""One server and one load generator, running: what a measure works with.

Must not measure anything.
"""

import http.client
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import Load
from bench.process import Process
from bench.servers import BUILD, ROOT, Server

START_S = 30.0
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]


@dataclass(frozen=True)
class Session:
    """A server on its core and the load on another. `bare_kib` is the server's memory before the first stream."""

    server: Server
    process: Process
    load: Load
    directory: Path
    bare_kib: int


@contextmanager
def session(kind: type[Server], connections: int) -> Iterator[Session]:
    """Start a server of this kind in a directory of its own, and a load generator with room for so many connections."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        server = kind(_free_port(), directory)
        process = Process(server.command(), SERVER_CORE, directory / "log", server.environment(), ROOT)
        try:
            _wait_until_ready(server.port, process)
            with Load(BUILD / "load", server.port, server.key, LOAD_CORE, directory, connections) as load:
                # Once around first: what a server makes at its first requests is no cost of a stream.
                load.open(20, 500, server.stream)
                load.close()
                time.sleep(0.5)
                yield Session(server, process, load, directory, process.memory_kib())
        finally:
            process.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(port: int, process: Process) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.alive:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/healthz")  # Whoever doesn't know it answers 404, and that is an answer.
            connection.getresponse()
            return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise RuntimeError(f"the server did not start: {process.log.read_text()[-2000:]}")
