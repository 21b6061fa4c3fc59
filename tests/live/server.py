"""A real server in processes of its own: gunicorn from this checkout, with its own environment, database and log.

Must not know what a test asks of it. Waiting is always for a condition, with a deadline that a loaded machine meets.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import ClassVar, Self, TypeVar

from petstore.sse import SqlEventLog

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "correct horse battery staple"

DEADLINE_S = 30.0
"""Far longer than anything takes here: a deadline that is met says that something hangs, not that the machine is slow."""

GUNICORN = ("-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app")

_numbers = count()

T = TypeVar("T")


def wait_until(condition: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Return what `condition` returns as soon as that is true."""
    until = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < until, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.01)
    return found


class Server:
    """A running server. `settings` are environment variables; `command` is what Python is called with."""

    running: ClassVar[list["Server"]] = []

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 2,
        command: Sequence[str] = GUNICORN,
        root: Path = ROOT,
        **settings: object,
    ) -> None:
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.database = directory / "petstore.db"
        self.log_path = directory / f"server-{next(_numbers)}.log"
        self.may_fail = False
        """Whether the test provokes what makes the server log a traceback."""
        self.workers = workers
        self._address: tuple[str, int] | None = None
        environment = make_environment(directory, **{"WEB_CONCURRENCY": workers, "PETSTORE_BIND": "127.0.0.1:0", **settings})
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(self)

    def wait_until_ready(self) -> Self:
        """Return when every worker takes streams."""
        wait_until(lambda: self._is_ready(socket.create_connection(self.address, DEADLINE_S)), "the server is ready")
        wait_until(lambda: len(self.worker_pids()) == self.workers, "all workers have started")
        for pid in self.worker_pids():
            wait_until(lambda pid=pid: self._is_ready(self.connect(pid)), f"worker {pid} is ready")  # type: ignore[misc]
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as the server itself tells them."""
        if self._address is None:
            self._address = wait_until(self._find_address, "it listens")
        return self._address

    @property
    def url(self) -> str:
        """Where clients of HTTP find it."""
        host, port = self.address
        return f"http://{host}:{port}"

    @property
    def log(self) -> str:
        """Everything that it has written so far."""
        return self.log_path.read_text("utf-8", "replace")

    def open_event_log(self) -> SqlEventLog:
        """Return the server's event log, opened beside it. Close it."""
        return SqlEventLog(self.database)

    def worker_pids(self) -> list[int]:
        """Return the processes that serve requests, oldest first: those that are alive and not just being replaced."""
        return children(self.process.pid)

    def connect(self, pid: int) -> socket.socket:
        """Return a connection that this worker has taken. The others are stopped for as long as that takes."""
        others = [other for other in self.worker_pids() if other != pid]
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            for other in others:
                wait_until(lambda other=other: _state(other) in "TZX", f"worker {other} has stopped")  # type: ignore[misc]
            connection = socket.create_connection(self.address, DEADLINE_S)
            # No request yet: a worker that was stopped inside a transaction would make this one wait.
            assert self.worker_of(connection) == pid
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)
        return connection

    def worker_of(self, connection: socket.socket) -> int:
        """Return the worker that holds the other end of a client's socket."""
        return wait_until(lambda: self._find_worker_of(connection), "a worker has taken the connection")

    def kill_worker(self, pid: int) -> None:
        """Kill a worker as the kernel's memory killer does, and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in self.worker_pids(), f"worker {pid} is gone")

    def terminate(self) -> int:
        """Ask the server to end, as an operator does, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def close(self) -> None:
        """End it at once, whatever state it is in, and see that it had nothing to complain of.

        To end as it should takes a server some seconds; that's `terminate`, for the tests that ask for it.
        """
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.running.remove(self)
        assert self.may_fail or "Traceback" not in self.log, self.log_tail()

    def log_tail(self, lines: int = 60) -> str:
        """Return the end of its log, for whoever has to find out why a test failed."""
        return "\n".join(self.log.splitlines()[-lines:])

    def _is_ready(self, connection: socket.socket) -> bool:
        with connection, connection.makefile("rb") as answer:
            connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            return answer.readline().split()[1:2] == [b"200"]

    def _find_address(self) -> tuple[str, int] | None:
        assert self.process.poll() is None, f"the server has ended:\n{self.log_tail()}"
        match = re.search(r"(?:Listening at:|Running on) http://([0-9.]+):([0-9]+)", self.log)
        return None if match is None else (match[1], int(match[2]))

    def _find_worker_of(self, connection: socket.socket) -> int | None:
        inode = _inode_of_peer(connection)
        if inode is None:
            return None
        return next((pid for pid in self.worker_pids() if inode in _socket_inodes(pid)), None)


def children(pid: int) -> list[int]:
    """Return the processes that another one has started, oldest first: those that are alive."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [int(child) for child in found if _state(int(child)) not in ("Z", "X")]


def make_environment(directory: Path, **settings: object) -> dict[str, str]:
    """Return an environment that owes nothing to the one that the tests run in, but for how programs are found.

    What is None in `settings` isn't set at all.
    """
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
    environment: dict[str, object] = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"HOME": directory, "PYTHONUNBUFFERED": 1, "PETSTORE_VAR": directory, "PETSTORE_SECRET_KEY": SECRET, **settings}
    return {name: str(value) for name, value in environment.items() if value is not None}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _inode_of_peer(connection: socket.socket) -> str | None:
    """Return the socket at the other end, as the kernel's table of connections has it; None while nobody has accepted it."""
    name = "/proc/net/tcp6" if connection.family == socket.AF_INET6 else "/proc/net/tcp"
    here, there = connection.getsockname()[1], connection.getpeername()[1]
    for line in Path(name).read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(field.rpartition(":")[2], 16) for field in fields[1:3])
        if (local, remote) == (there, here) and fields[9] != "0":
            return fields[9]
    return None


def _socket_inodes(pid: int) -> set[str]:
    inodes = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(entry.path)
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return inodes
