"""The long runs, for `make soak`: what the tests show in seconds, with the numbers that are promised. Takes some minutes.

Prints a table of figures; ends with an error when a promise is broken. `--events`, `--clients` and `--streams` make it smaller.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from petstore.migrations import migrate
from petstore.shop import seed_shop
from petstore.sse import SqlEventLog
from tests.live.conftest import full_shop
from tests.live.crowd import END, Crowd
from tests.live.server import Server
from tests.live.shop import INVENTORY
from tests.live.storm import run
from tests.live.test_draining import BOUND_S, GOODBYE_CHUNK
from tests.live.test_fuzz import fuzz

Rows = list[tuple[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Nothing lost, nobody hung: the long runs.")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--per-second", type=float, default=400.0)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="petstore-soak-"))
    seeded = directory / "seeded.db"
    migrate(seeded)
    log = SqlEventLog(seeded)
    seed_shop(log)
    log.close()
    rows: Rows = []
    parts: list[Callable[[Path, Path, argparse.Namespace], Rows]] = [drain, fuzz_streams, storm]
    for part in parts:
        print(f"{part.__name__} ...", flush=True)
        rows += part(seeded, directory / part.__name__, chosen)
    width = max(len(name) for name, _ in rows)
    for name, figure in rows:
        print(f"{name:{width}}  {figure}")
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
        crowd.wait_until_open()
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        crowd.read_until(lambda: all(member.received.endswith(END) for member in crowd.members), "every stream has ended")
        streams_s = time.monotonic() - begun
        assert server.process.wait(60) == 0
        gone_s = time.monotonic() - begun
        matches = [GOODBYE_CHUNK.search(member.received) for member in crowd.members]
        assert all(matches)
        retries = sorted(int(match[1]) for match in matches if match)
    assert gone_s < 2 * BOUND_S, f"{streams} streams kept the server for {gone_s:.1f} s"
    return [
        (f"drain of {streams} streams", f"the last goodbye after {streams_s:.2f} s, the server gone after {gone_s:.2f} s"),
        ("clients told to come back after", f"{retries[0] / 1000:.1f} to {retries[-1] / 1000:.1f} s"),
    ]


def fuzz_streams(seeded: Path, directory: Path, chosen: argparse.Namespace) -> Rows:
    with full_shop(seeded, directory, workers=1, PETSTORE_HEARTBEAT_S=1) as server:
        fuzz(server, chosen.seed, chosen.requests)
    return [("malformed requests", f"{chosen.requests}: no 5xx, no traceback, memory flat")]


if __name__ == "__main__":
    sys.exit(main())
