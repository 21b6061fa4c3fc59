"""Clients whose network fails again and again, at any byte: nothing is lost, doubled or reordered."""

import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

from tests.live.client import Cut, Exchange, frames
from tests.live.server import Server, wait_until
from tests.live.shop import INVENTORY, change_many, get, new_stock

EVENTS, CLIENTS, CUTS = 1000, 5, 50

BYTES = 140
"""About what an event takes on the wire."""


class Reader:
    """A client that follows the inventory from `cursor` until it has EVENTS events, and is cut CUTS times on the way."""

    def __init__(self, server: Server, cursor: int, seed: int) -> None:
        self.frames: list[bytes] = []
        self.seen = 0
        self.cuts = 0
        self.cuts_inside_a_frame = 0
        self._server = server
        self._cursor = str(cursor)
        self._random = random.Random(seed)
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while self.cuts < CUTS:
            self._read(self._allowance())
        self._read(None)

    def _allowance(self) -> int:
        """Return after how many bytes to be cut next: now and then inside the head, and in all so that the cuts are spread."""
        share = (EVENTS - len(self.frames)) * BYTES // (CUTS - self.cuts)
        # No more than there will be: the next cut must not wait for events that come when this client has moved on.
        return self._random.randint(1, 300 + min(2 * share, (EVENTS - len(self.frames)) * BYTES // 2))

    def _read(self, stop_after: int | None) -> None:
        held = {"Last-Event-ID": self._cursor}
        stream = Exchange(self._server.address, INVENTORY, held, stop_after=stop_after, wait=False)
        try:
            stream.read_head()
            stream.read_until(lambda: self._has_all(stream))
            if stop_after is not None:
                stream.read_to_end()  # Heartbeats, until the cut.
        except Cut:
            self.cuts += 1
        self._keep(stream)
        self._random.choice((stream.cut, stream.close))()

    def _has_all(self, stream: Exchange) -> bool:
        self.seen = len(self.frames) + len(stream.events)
        return self.seen >= EVENTS

    def _keep(self, stream: Exchange) -> None:
        received = frames(stream.body, cut=True)
        assert len(received) == len(stream.events)
        self.frames += received
        self.cuts_inside_a_frame += not stream.body.endswith(b"\n\n")
        self._cursor = stream.decoder.last_event_id or self._cursor


def test_five_clients_that_are_cut_fifty_times_each_have_every_event_once_and_in_order(start: Callable[..., Server]):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    server = start(PETSTORE_HEARTBEAT_S=1)
    pets = [item["petId"] for item in get(server, "/v1/inventory?limit=60")["data"]]
    start_id = get(server, "/v1/inventory")["lastEventId"]
    written = 0
    readers = [Reader(server, start_id, seed + number) for number in range(CLIENTS)]
    for reader in readers:
        reader.thread.start()
    chance = random.Random(seed)
    while written < EVENTS:
        batch = min(chance.choice((1, 1, 2, 5, 20, 60)), EVENTS - written)
        change_many(server, [{"petId": pet_id, "stock": new_stock()} for pet_id in pets[:batch]])
        written += batch
        # Neither too far ahead, so that the clients meet live events, nor in step with them, so that they meet a replay too.
        behind = written - 150
        wait_until(lambda: all(reader.seen >= behind for reader in readers), "they follow")  # noqa: B023
    for reader in readers:
        reader.thread.join()
    expected = recorded(server, start_id)
    assert len(expected) == EVENTS
    for reader in readers:
        assert reader.cuts == CUTS
        assert b"".join(reader.frames) == b"".join(expected), f"seed {seed}"
    assert sum(reader.cuts_inside_a_frame for reader in readers) > CUTS, "many cuts went right through an event"


def recorded(server: Server, after: int) -> list[bytes]:
    """Return what the table of the log holds, as it must stand on the wire."""
    with closing(sqlite3.connect(server.database)) as database:
        rows = database.execute("SELECT type, data, id FROM events WHERE topic = 'inventory' AND id > ? ORDER BY id", (after,))
        return [f"event: {type}\ndata: {data}\nid: {id}\n\n".encode() for type, data, id in rows]
