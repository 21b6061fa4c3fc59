"""The long runs, for `make soak`: what the tests show in seconds, with the numbers that are promised. Takes some minutes.

Prints a table of figures; ends with an error when something is lost, left behind or refused. How fast it all was is printed beside
what is promised. `--events`, `--clients`, `--streams`, `--requests` and `--live-events` make it smaller, `--only` runs one part.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

from petstore.migrations import migrate
from petstore.shop import Shop, seed_shop
from petstore.sse import EventLog, SqlEventLog
from tests.live.conftest import full_shop
from tests.live.crowd import END, Crowd
from tests.live.follower import append
from tests.live.server import Server
from tests.live.shop import INVENTORY
from tests.live.storm import run
from tests.live.test_draining import BOUND_S, GOODBYE_CHUNK
from tests.live.test_fuzz import fuzz

Rows = list[tuple[str, str]]

PATIENCE_S = 300.0
"""For what takes long where so many take part, on a machine that has other things to do."""

LIVE, STUCK, TURNS = 50, 3, 3

BATCH, PER_S, PADDING = 5, 500, 300
"""Events of half a kilobyte: what a stuck reader misses is more than the kernel takes for it."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Nothing lost, nobody hung: the long runs.")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--per-second", type=float, default=400.0)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--live-events", type=int, default=20_000)
    parser.add_argument("--only", choices=[part.__name__ for part in PARTS])
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="petstore-soak-"))
    seeded = directory / "seeded.db"
    migrate(seeded)
    log = SqlEventLog(seeded)
    seed_shop(Shop(log))
    log.close()
    for part in (part for part in PARTS if chosen.only in (None, part.__name__)):
        print(f"{part.__name__} ...", flush=True)
        for name, figure in part(seeded, directory / part.__name__, chosen):
            print(f"  {name:40}  {figure}", flush=True)
    shutil.rmtree(directory)


def storm(seeded: Path, directory: Path, chosen: argparse.Namespace) -> Rows:
    settings = {"PETSTORE_HEARTBEAT_S": 1, "PETSTORE_RETRY_MS": 100, "PETSTORE_DRAIN_SPREAD_S": 0}
    with full_shop(seeded, directory, **settings) as server:
        figures = run(
            server,
            clients=chosen.clients,
            events=chosen.events,
            per_s=chosen.per_second,
            cut_every=300,
            seed=chosen.seed,
            pause_s=8.0,
        )
    return [
        ("clients, events", f"{figures.clients}, {figures.events}"),
        ("cut by their network", f"{figures.cuts} times"),
        ("workers killed, reloads", f"{figures.kills}, {figures.reloads}"),
        ("goodbyes", f"{figures.goodbyes}"),
        ("lost, doubled or reordered", "0"),
        ("duration", f"{figures.duration_s:.0f} s"),
    ]


def drain(seeded: Path, directory: Path, chosen: argparse.Namespace) -> Rows:
    settings = {"PETSTORE_MAX_STREAMS": 20_000, "PETSTORE_MAX_STREAMS_PER_CLIENT": 20_000, "PETSTORE_DRAIN_SPREAD_S": 30}
    with full_shop(seeded, directory, workers=1, **settings) as server:
        return drain_streams(server, chosen.streams)


def drain_streams(server: Server, streams: int) -> Rows:
    with Crowd(server.address, INVENTORY, streams) as crowd:
        crowd.wait_until_open(PATIENCE_S)
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        crowd.read_until(
            lambda: all(member.received.endswith(END) for member in crowd.members), "every stream has ended", PATIENCE_S
        )
        streams_s = time.monotonic() - begun
        assert server.process.wait(60) == 0
        gone_s = time.monotonic() - begun
        matches = [GOODBYE_CHUNK.search(member.received) for member in crowd.members]
        assert all(matches)
        retries = sorted(int(match[1]) for match in matches if match)
    return [
        (
            f"drain of {streams} streams",
            f"the last goodbye after {streams_s:.2f} s, the server gone after {gone_s:.2f} s (promised: {BOUND_S:g})",
        ),
        ("clients told to come back after", f"{retries[0] / 1000:.1f} to {retries[-1] / 1000:.1f} s"),
    ]


def fuzz_streams(seeded: Path, directory: Path, chosen: argparse.Namespace) -> Rows:
    with full_shop(seeded, directory, workers=1, PETSTORE_HEARTBEAT_S=1) as server:
        storm_of_requests = fuzz(server, chosen.seed, chosen.requests)
    return [
        ("malformed requests", f"{chosen.requests}: no traceback, nothing left behind, memory flat"),
        ("answers by status", ", ".join(f"{status}: {count}" for status, count in storm_of_requests)),
    ]


def slow_readers(seeded: Path, directory: Path, chosen: argparse.Namespace) -> Rows:
    """Bring the same events to readers that keep up, without stuck ones and beside them, in turns: the machine has moods."""
    p99s: dict[int, list[float]] = {0: [], STUCK: []}
    for number, stuck in enumerate((0, STUCK) * TURNS):
        with full_shop(seeded, directory.with_name(f"slow-{number}"), workers=1) as server:
            delays_s = delays_beside(server, stuck, chosen)
            p99s[stuck].append(delays_s[len(delays_s) * 99 // 100])
    alone_s, beside_s = median(p99s[0]), median(p99s[STUCK])
    return [
        (
            f"{LIVE} readers, {chosen.live_events} events",
            f"{LIVE * chosen.live_events} deliveries, none lost, in each of {2 * TURNS} runs",
        ),
        ("p99 of the delay, nobody stuck", ", ".join(f"{p99_s * 1000:.1f} ms" for p99_s in p99s[0])),
        (f"p99 beside {STUCK} stuck readers", ", ".join(f"{p99_s * 1000:.1f} ms" for p99_s in p99s[STUCK])),
        ("ratio of the medians", f"{beside_s / alone_s:.2f} (promised: at most 1.5)"),
    ]


def delays_beside(server: Server, stuck: int, chosen: argparse.Namespace) -> list[float]:
    with (
        closing(server.open_event_log()) as log,
        Crowd(server.address, INVENTORY, LIVE) as live,
        Crowd(server.address, INVENTORY, stuck, receive_buffer=4096) as unread,
    ):
        live.wait_until_open()
        unread.wait_until_open()
        cursor = log.head()
        writing = threading.Thread(target=write, args=(log, chosen.live_events))
        writing.start()
        while writing.is_alive():
            live.read(0.05)
        expected = [event.id for event in log.read(["inventory"], cursor, chosen.live_events + 1)]
        live.read_until(
            lambda: all(member.received.endswith(b"id: %d\n\n\r\n" % expected[-1]) for member in live.members), "all", PATIENCE_S
        )
        for member in live.members:
            assert member.ids == expected
        return sorted(delay_s for member in live.members for delay_s in member.delays_s())


def write(log: EventLog, events: int) -> None:
    """Append events, `BATCH` at a time, as evenly as they come."""
    begun = time.monotonic()
    for number in range(0, events, BATCH):
        append(log, BATCH, number, PADDING)
        time.sleep(max(0.0, begun + (number + BATCH) / PER_S - time.monotonic()))


PARTS: list[Callable[[Path, Path, argparse.Namespace], Rows]] = [drain, fuzz_streams, slow_readers, storm]


if __name__ == "__main__":
    sys.exit(main())
