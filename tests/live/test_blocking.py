"""A database that is busy, away or full: streams go on as if nothing were, writes are told when to come back, nobody exits."""

import itertools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.live.client import Exchange
from tests.live.crowd import Crowd, Member
from tests.live.follower import append
from tests.live.measure import metric
from tests.live.server import Server, wait_until
from tests.live.shop import BUDDY, FLUFFY, INVENTORY, ask, change, data, new_stock, recommendations
from tests.live.test_draining import locked

HEARTBEAT_S = 1.0
STREAMS = 50
LOCKED_S = 2.0

LATE_S = 0.1
"""The promise. How much of it is used is printed; a loop that a lock can stop would be late by all of LOCKED_S."""


def test_a_lock_for_two_seconds_and_heavy_work_make_no_heartbeat_and_no_event_late(
    start: Callable[..., Server],
):
    server = start(workers=1, PETSTORE_HEARTBEAT_S=HEARTBEAT_S, PETSTORE_SIGN_IN_LIMIT=0)
    with (
        closing(server.open_event_log()) as log,
        Crowd(server.address, f"{INVENTORY}?petId={FLUFFY}", STREAMS) as silent,
        Crowd(server.address, INVENTORY, STREAMS) as told,
    ):
        silent.wait_until_open()
        told.wait_until_open()
        begun, cursor = time.time(), append(log, 1)
        statuses: list[int] = []
        visits = [recommend] * 3 + [sign_in] * 2
        visitors = [threading.Thread(target=visit, args=(server, begun + 2 * LOCKED_S, statuses)) for visit in visits]
        for visitor in visitors:
            visitor.start()
        with locked(server.database):
            read(begun + LOCKED_S, silent, told)
        while time.time() < begun + 2 * LOCKED_S:
            last_id = append(log, 1)
            read(time.time() + 0.02, silent, told)
        told.read_until(lambda: all(member.ids[-1] == last_id for member in told.members), "everybody has every event")
        lag_s = metric(server, "petstore_loop_lag_seconds")
        for visitor in visitors:
            visitor.join()
        heartbeat_s = max(latest(member, begun) for member in silent.members)
        delays_s = [delay_s for member in told.members for delay_s in member.delays_s(cursor)]
    print(
        f"{statuses.count(200)} recommendations and {statuses.count(401)} passwords beside {2 * STREAMS} streams, "
        f"a lock for {LOCKED_S:g} s: "
        f"heartbeats at most {heartbeat_s * 1000:.0f} ms late, {len(delays_s)} events at most {max(delays_s) * 1000:.0f} ms, "
        f"of {LATE_S * 1000:.0f}; the loop by its own account {lag_s * 1000:.0f} ms"
    )
    assert set(statuses) == {200, 401}
    assert len(delays_s) > STREAMS
    assert max(heartbeat_s, *delays_s) < LOCKED_S / 2


def read(until: float, *crowds: Crowd) -> None:
    """Read all crowds in turns until it's late enough."""
    while time.time() < until:
        for crowd in crowds:
            crowd.read(0.005)


def recommend(server: Server, until: float, statuses: list[int]) -> None:
    """Ask for recommendations, made anew each time, until it's late enough."""
    while time.time() < until:
        statuses.append(ask(server, "GET", recommendations(whole=True)).status)


def sign_in(server: Server, until: float, statuses: list[int]) -> None:
    """Try passwords, each of which costs the work of a hash, until it's late enough."""
    while time.time() < until:
        statuses.append(ask(server, "POST", "/v1/auth/tokens", {"username": "catherine.m", "password": "a guess"}).status)


def latest(member: Member, since: float) -> float:
    """Return how much too long the longest silence of a stream was."""
    moments = [moment for moment, _ in member.arrivals]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments) if later > since]
    assert len(gaps) >= 3
    return max(gaps) - HEARTBEAT_S


def test_a_lock_held_for_longer_than_anyone_waits_is_a_problem_with_a_time_to_come_back(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_HEARTBEAT_S=HEARTBEAT_S)
    workers = server.worker_pids()
    with Exchange(server.address, INVENTORY) as stream:
        stream.read_until(lambda: stream.chunks)
        with locked(server.database):
            assert_unavailable(ask(server, "PATCH", f"/v1/inventory/{BUDDY}", {"stock": new_stock()}))
            assert ask(server, "GET", "/v1/inventory").status == 200
        assert_goes_on(server, stream)
    assert server.worker_pids() == workers


def test_a_database_that_is_away_for_a_while_is_caught_up_with(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_HEARTBEAT_S=HEARTBEAT_S)
    workers = server.worker_pids()
    away = server.directory / "away"
    away.mkdir()
    with Exchange(server.address, INVENTORY) as stream:
        stream.read_until(lambda: stream.chunks)
        for _ in range(2):
            move(server.directory, away)
            beats = stream.body.count(b": heartbeat\n")
            assert_unavailable(ask(server, "PATCH", f"/v1/inventory/{BUDDY}", {"stock": new_stock()}))
            assert_unavailable(ask(server, "GET", "/v1/inventory"))
            assert ask(server, "GET", "/readyz").status == 503
            assert ask(server, "GET", "/healthz").status == 200
            stream.read_until(lambda: stream.body.count(b": heartbeat\n") >= beats + 2)  # noqa: B023
            move(away, server.directory)
            assert_goes_on(server, stream)
    assert server.worker_pids() == workers


def move(here: Path, there: Path) -> None:
    # The log and the index of SQLite's first: whoever opens the file without them would make new ones.
    for name in ("petstore.db-shm", "petstore.db-wal", "petstore.db"):
        with suppress(FileNotFoundError):
            os.rename(here / name, there / name)


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """Mount a file system of four megabytes."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "petstore", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system that is full must be mounted, which needs root")
def test_a_full_disk_refuses_writes_until_there_is_room_again(start: Callable[..., Server], seeded: Path, tmp_path: Path):
    with small_disk(tmp_path / "disk") as disk:
        shutil.copy(seeded, disk / "petstore.db")
        server = start(workers=1, PETSTORE_HEARTBEAT_S=HEARTBEAT_S, PETSTORE_DATABASE_URL=f"sqlite:///{disk}/petstore.db")
        workers = server.worker_pids()
        with Exchange(server.address, INVENTORY) as stream:
            stream.read_until(lambda: stream.chunks)
            with suppress(OSError), (disk / "filling").open("wb", 0) as filling:
                while True:
                    filling.write(b"x" * 4096)
            refused = fill(server)
            assert_unavailable(refused)
            beats = stream.body.count(b": heartbeat\n")
            stream.read_until(lambda: stream.body.count(b": heartbeat\n") >= beats + 2)
            assert ask(server, "GET", "/v1/inventory").status == 200
            (disk / "filling").unlink()
            before = len(stream.events)
            assert_goes_on(server, stream)
            assert len(stream.events) > before
        assert server.worker_pids() == workers


def fill(server: Server) -> Exchange:
    """Write until that is refused, and return the refusal."""
    refusals: list[Exchange] = []

    def is_refused() -> bool:
        answer = ask(server, "PATCH", f"/v1/inventory/{BUDDY}", {"stock": new_stock()})
        if answer.status != 200:
            refusals.append(answer)
        return bool(refusals)

    wait_until(is_refused, "the disk is full")
    return refusals[0]


def assert_unavailable(answer: Exchange) -> None:
    assert answer.status == 503, answer.body
    assert answer.header("Content-Type") == "application/problem+json"
    assert int(answer.header("Retry-After") or 0) > 0
    assert answer.json()["status"] == 503


def assert_goes_on(server: Server, stream: Exchange) -> None:
    """See that a change is taken again, and comes to a stream that was there all the time."""
    change(server, BUDDY, stock=(stock := new_stock()))
    stream.read_until(lambda: stream.events and data(stream.events[-1])["newStock"] == stock)
