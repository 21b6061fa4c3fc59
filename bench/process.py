"""A server under measurement: a tree of processes on one core, its CPU time and its memory as the kernel counts them.

Must not know which server it is.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

STOP_S = 15.0


class Process:
    """A command that runs on `core` from the moment it's made, in a process group of its own; its output goes to `log`."""

    def __init__(self, command: Sequence[str], core: int, log: Path, environment: Mapping[str, str], directory: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )

    @property
    def alive(self) -> bool:
        """Whether the first process still runs."""
        return self._child.poll() is None

    def stop(self) -> None:
        """End the group: politely, then not."""
        if self.alive:
            self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def cpu_s(self) -> float:
        """CPU seconds of all threads of all processes so far, to the nanosecond."""
        paths = (path for pid in self._tree() for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return sum(int(path.read_text().split()[0]) for path in paths) / 1e9

    def memory_kib(self) -> int:
        """Memory of all processes; what they share is counted once (PSS). The kernel's socket buffers are not in it."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self._tree())
        return sum(int(line.split()[1]) for text in rollups for line in text.splitlines() if line.startswith("Pss:"))

    def _tree(self) -> Iterator[int]:
        waiting = [self._child.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            for path in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, path.read_text().split())
