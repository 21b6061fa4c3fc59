"""What a server is using, and what it says about itself: read from outside, from /proc and /metrics.

Must not change anything.
"""

import os
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.live.client import Exchange
from tests.live.server import Server, wait_until

_SAMPLE = re.compile(r"^([a-z_]+)(\{[^}]*\})? (\S+)$", re.MULTILINE)

MEBIBYTE = 1024 * 1024

COUNTS = "/counts"
"""Where a worker that was started with `counting` tells what it holds."""


def metric(server: Server, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels."""
    with Exchange(server.address, "/metrics", {"Connection": "close"}) as exchange:
        text = exchange.read_to_end().body.decode()
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        float(value)
        for found, its_labels, value in _SAMPLE.findall(text)
        if found == name and all(label in its_labels for label in wanted)
    )


def streams_open(server: Server) -> int:
    """Return how many streams the server says are open."""
    return int(metric(server, "petstore_streams_open"))


def ended(server: Server, cause: str) -> int:
    """Return how many streams have ended for this cause."""
    return int(metric(server, "petstore_streams_ended_total", cause=cause))


def wait_until_none_is_open(server: Server) -> None:
    """Wait until the server says that no stream is open."""
    wait_until(lambda: streams_open(server) == 0, "no stream is open")


def descriptors(pid: int) -> Counter[str]:
    """Return how many file descriptors a process has open: sockets, and whatever else."""
    kinds: Counter[str] = Counter()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # It was closed meanwhile.
            kinds["sockets" if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:") else "files"] += 1
    return kinds


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def memory(pid: int) -> int:
    """Return the bytes of memory that a process occupies."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
