"""Clients that follow the inventory for good: cut off, they come back with the last id that they hold, as browsers do.

Each keeps every frame that it got, to be compared with the log. Must not judge: it counts, and keeps what went wrong.
"""

import random
import threading
import time
from collections.abc import Callable

from petstore.sse import Draft, Event, EventLog
from tests.live.client import Cut, Exchange, frames
from tests.live.server import Server
from tests.live.shop import BUDDY, INVENTORY

BY_NAME = {"Accept": "text/event-stream"}


class Follower:
    """A client that starts after `cursor`. `cuts_after` returns after how many bytes its own network fails, or None for never.

    `refused` counts the connections that ended before an answer had come, `goodbyes` and `cuts` how its streams ended.
    """

    def __init__(self, server: Server, cursor: int, cuts_after: Callable[[], int | None] = lambda: None) -> None:
        self.frames: list[bytes] = []
        self.refused: list[str] = []
        self.goodbyes = self.cuts = self.gaps = 0
        self.error: BaseException | None = None
        self.cursor = str(cursor)
        self._server = server
        self._cuts_after = cuts_after
        self._last_id: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop_after(self, last_id: int) -> None:
        """Let it end as soon as it holds the event with this id."""
        self._last_id = last_id

    def finish(self, last_id: int, deadline_s: float = 60.0) -> None:
        """Wait until it holds the event with this id."""
        self.stop_after(last_id)
        self._thread.join(deadline_s)
        if self.error is not None:
            raise self.error
        assert not self._thread.is_alive(), f"it still waits for {last_id}, and holds {self.cursor}"

    def _run(self) -> None:
        try:
            while not self._is_done(self.cursor):
                self._follow()
        except BaseException as error:  # noqa: BLE001 (raised again in `finish`)
            self.error = error

    def _follow(self) -> None:
        try:
            stream = Exchange(
                self._server.address,
                INVENTORY,
                {**BY_NAME, "Last-Event-ID": self.cursor},
                stop_after=self._cuts_after(),
                wait=False,
            )
        except ConnectionError as error:
            self.refused.append(repr(error))
            time.sleep(0.01)
            return
        with stream:
            try:
                stream.read_head()
            except ConnectionError as error:
                if "as the test wants it" not in str(error):
                    self.refused.append(repr(error))
                return
            assert stream.status == 200, stream.read_to_end().body
            try:
                # As long as it wants to: who is never cut, and waits for its turn to finish, gets nothing but heartbeats.
                stream.read_until(lambda: stream.ended or self._is_done(stream.decoder.last_event_id), 3600)
            except (Cut, ConnectionError):
                self.cuts += 1
            self._keep(stream)

    def _keep(self, stream: Exchange) -> None:
        controls = [event.type for event in stream.events if event.type in ("goodbye", "gap")]
        self.goodbyes += controls.count("goodbye")
        self.gaps += controls.count("gap")
        body = stream.body.partition(b"event: goodbye\n")[0]
        self.frames += frames(body, cut=True)
        self.cursor = stream.decoder.last_event_id or self.cursor

    def _is_done(self, cursor: str) -> bool:
        return self._last_id is not None and int(cursor or self.cursor) >= self._last_id


class Writer:
    """Appends changes of the inventory, straight to the log, until it's stopped. About `per_s` of them in a second."""

    def __init__(self, log: EventLog, per_s: float, seed: int) -> None:
        self.written = 0
        self.last_id = 0
        self.error: BaseException | None = None
        self._log = log
        self._per_s = per_s
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_writing(self) -> bool:
        """Whether it goes on, as it does until it's stopped or fails."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for so long, or until it has failed."""
        self._thread.join(timeout_s)

    def stop(self) -> None:
        """Write no more. Raises what it failed of."""
        self._stopping.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                count = self._random.choice((1, 1, 1, 2, 5, 20))
                self.last_id = append(self._log, count, self.written)
                self.written += count
                self._stopping.wait(count / self._per_s)
        except BaseException as error:  # noqa: BLE001 (raised again in `stop`)
            self.error = error


def append(log: EventLog, count: int, first: int = 0, padding: int = 0) -> int:
    """Append `count` changes of the inventory at once and return the id of the last one."""
    more = {"padding": "x" * padding} if padding else {}
    drafts = [
        Draft("inventory", "stock-change", {"petId": BUDDY, "oldStock": number, "newStock": number + 1, **more})
        for number in range(first, first + count)
    ]
    return log.write(lambda transaction: transaction.append(drafts))[-1].id


def framed(events: list[Event]) -> list[bytes]:
    """Return events as they must be on the wire."""
    return [f"event: {event.type}\ndata: {event.data}\nid: {event.id}\n\n".encode() for event in events]


def told(log: EventLog, after: int) -> list[bytes]:
    """Return all that the inventory's stream has to tell after an id."""
    return framed(log.read(["inventory"], after, 10_000_000))
