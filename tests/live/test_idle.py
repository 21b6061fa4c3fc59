"""A server on which nothing happens uses no processor to speak of, however many streams are open."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.live.client import Exchange
from tests.live.server import Server, wait_until
from tests.live.shop import INVENTORY, from_now, place

STREAMS = 20

WINDOW_S = 2.0
"""How long is observed. It's a measurement, not a wait for anything."""


def cpu_s(pid: int) -> float:
    """Return the seconds of a processor's time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_idle_workers_with_open_streams_use_next_to_no_processor_time(start: Callable[..., Server]):
    server = start(PETSTORE_HEARTBEAT_S=1)
    workers = server.worker_pids()
    order = place(server)
    held = from_now(server)
    with ExitStack() as stack:
        streams = []
        for number in range(STREAMS):
            target = INVENTORY if number % 2 else order["links"]["statusStream"]
            streams.append(stack.enter_context(Exchange(server.address, target, held)))
        for stream in streams:
            stream.read_until(lambda stream=stream: b": heartbeat\n" in stream.body)  # type: ignore[misc]
        before, begun = {pid: cpu_s(pid) for pid in workers}, time.monotonic()
        wait_until(lambda: time.monotonic() - begun > WINDOW_S, "the window is over")
        window_s = time.monotonic() - begun
        shares = {pid: (cpu_s(pid) - before[pid]) / window_s for pid in workers}
        for stream in streams:
            stream.read_until(lambda stream=stream: stream.body.count(b": heartbeat\n") >= 3)  # type: ignore[misc]
            assert stream.events == []
    print(", ".join(f"worker {pid}: {share:.1%} of a core" for pid, share in shares.items()))
    assert server.worker_pids() == workers
    assert all(share < 0.1 for share in shares.values())
