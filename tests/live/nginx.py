"""A real nginx with the configuration that we ship, in front of a server of the tests.

The copy that it runs with has other paths, ports and addresses, and nothing else. Must not know what a test asks of it.
"""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.live.server import DEADLINE_S, ROOT, children, make_environment, wait_until

CONFIGURATION = ROOT / "deploy" / "nginx.conf"


def nginx() -> str | None:
    """Return where nginx is, None where there is none. A user's PATH may lack the directory of programs for administrators."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin")


class Nginx:
    """Runs while its `with` block does, in front of the server at `upstream`. What it writes is in `directory`."""

    def __init__(self, directory: Path, upstream: tuple[str, int]) -> None:
        program, self._directory = nginx(), directory
        assert program is not None
        error_log, configuration = directory / "error.log", directory / "nginx.conf"
        # As whoever runs the tests: nobody else may look into their directories.
        directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        # Ours from the start, and handed over: so nobody else can have the port, and nobody is refused while it starts.
        with socket.create_server(("127.0.0.1", 0)) as listener, error_log.open("ab") as log:
            self.address: tuple[str, int] = listener.getsockname()
            configuration.write_text(self._configure(CONFIGURATION.read_text(), upstream))
            self._process = subprocess.Popen(
                [program, "-e", error_log, "-c", configuration, "-g", directives],
                env=make_environment(directory, NGINX=f"{listener.fileno()};"),
                stdin=subprocess.DEVNULL,
                stderr=log,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        wait_until(self.worker_pids, "nginx has workers")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(DEADLINE_S)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def worker_pids(self) -> list[int]:
        """Return the processes that hold its connections."""
        assert self._process.poll() is None, (self._directory / "error.log").read_text()
        return children(self._process.pid)

    def kill_workers(self) -> None:
        """Kill what holds its connections, which cuts them all. Others take their place."""
        killed = self.worker_pids()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not set(killed) & set(self.worker_pids()), "its workers are gone")

    def _configure(self, shipped: str, upstream: tuple[str, int]) -> str:
        temporary = "".join(
            f"    {module}_temp_path {self._directory / module};\n"
            for module in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        replaced = {
            "/var/log/nginx/": f"{self._directory}/",
            "/run/nginx.pid": f"{self._directory}/nginx.pid",
            "http {\n": "http {\n" + temporary,
            "server 127.0.0.1:8000;": f"server {upstream[0]}:{upstream[1]};",
            "listen 80;": f"listen 127.0.0.1:{self.address[1]};",
            "listen [::]:80;": "",
        }
        for old, new in replaced.items():
            assert old in shipped, f"deploy/nginx.conf has no {old!r} to be replaced"
            shipped = shipped.replace(old, new)
        return shipped
