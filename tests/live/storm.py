"""Clients that are cut all along, from a server whose workers are killed and reloaded all along, while events are written.

`run` returns the figures once every client's record has been compared with the log, byte for byte.
"""

import random
import signal
import time
from contextlib import closing
from dataclasses import dataclass

from tests.live.follower import Follower, Writer, told
from tests.live.server import Server, wait_until
from tests.live.shop import get

BYTES = 140
"""About what an event takes on the wire."""


@dataclass(frozen=True)
class Figures:
    """What a storm has done. `refused` are connections that a killed worker took with it before it had answered."""

    clients: int
    events: int
    cuts: int
    goodbyes: int
    refused: int
    kills: int
    reloads: int
    duration_s: float


def run(
    server: Server, *, clients: int, events: int, per_s: float, cut_every: int, seed: int, kill: bool = True, pause_s: float = 1.0
) -> Figures:
    """Let `clients` follow until `events` or more are written, each cut about every `cut_every` of them; compare what they got.

    Workers are reloaded and, if `kill`, killed, with up to `pause_s` seconds between two of that.
    """
    chance = random.Random(seed)
    cursor = get(server, "/v1/inventory")["lastEventId"]
    begun = time.monotonic()

    def cuts_after() -> int:
        return chance.randint(1, 2 * cut_every * BYTES)

    with closing(server.open_event_log()) as log:
        followers = [Follower(server, cursor, cuts_after) for _ in range(clients)]
        writer = Writer(log, per_s, seed)
        kills = reloads = 0
        # On a slow machine the events may be written before each thing has happened once: then there are more events.
        while writer.is_writing and (writer.written < events or not reloads or (kill and not kills)):
            if kill and (kills + reloads) % 3 != 1:
                server.kill_worker(chance.choice(server.worker_pids()))
                kills += 1
            else:
                reload(server)
                reloads += 1
            wait_until(lambda: len(server.worker_pids()) == server.workers, "there are as many workers as before")
            writer.join(pause_s * chance.random())
        writer.stop()
        for follower in followers:
            follower.stop_after(writer.last_id)
        for follower in followers:
            follower.finish(writer.last_id, 300)
        expected = told(log, cursor)
    assert len(expected) == writer.written
    for number, follower in enumerate(followers):
        assert follower.frames == expected, f"client {number} has not what the log has"
        assert follower.gaps == 0
    return Figures(
        clients,
        len(expected),
        sum(follower.cuts for follower in followers),
        sum(follower.goodbyes for follower in followers),
        sum(len(follower.refused) for follower in followers),
        kills,
        reloads,
        time.monotonic() - begun,
    )


def reload(server: Server) -> None:
    """Replace all workers, and wait until that is done."""
    old = set(server.worker_pids())
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not old & set(server.worker_pids()), "all workers are replaced")
