"""Clients that stop reading: they delay nobody, cost bounded memory, and lose nothing when they read on."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

from petstore.sse import EventLog
from tests.live.client import Exchange
from tests.live.crowd import Crowd
from tests.live.follower import append, told
from tests.live.measure import MEBIBYTE, ended, memory, metric, wait_until_none_is_open
from tests.live.server import DEADLINE_S, Server, wait_until
from tests.live.shop import INVENTORY, get

STUCK, LIVE = 3, 3
BATCHES, BATCH, PADDING = 40, 200, 2000
"""17 MB for each stream: more than the kernel takes for one that doesn't read, and than a worker keeps in memory for all."""

GROWTH = 30 * MEBIBYTE
"""Less than a queue of all that can't be sent would take, even one that is shared: twice 17 MB."""

HEARTBEAT_S = 1

SMALL_BUFFER = 4096


def test_stuck_readers_delay_nobody_cost_little_and_lose_nothing(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_HEARTBEAT_S=HEARTBEAT_S)
    (pid,) = server.worker_pids()
    with closing(server.open_event_log()) as log, Crowd(server.address, INVENTORY, LIVE) as live:
        live.wait_until_open()
        alone_s = bring(log, live)  # From now on the worker keeps as much in memory as it ever will.
        alone = memory(pid)
        with Crowd(server.address, INVENTORY, STUCK, receive_buffer=SMALL_BUFFER) as stuck:
            stuck.wait_until_open()
            cursor = log.head()
            beside_s = max(bring(log, live), bring(log, live))
            beside = memory(pid)
            expected = told(log, cursor)
            sent = metric(server, "petstore_events_delivered_total") - 3 * LIVE * BATCHES * BATCH
            assert sent < STUCK * len(expected) / 2, "they were never stuck"
            until = time.monotonic() + 2.5 * HEARTBEAT_S
            while time.monotonic() < until:
                live.read(0.1)  # Meanwhile those who don't read get two heartbeats, and must not be taken for gone.
            mark = b"id: %d\n" % log.head()
            stuck.read_until(lambda: all(mark in member.received[-4096:] for member in stuck.members), "the stuck ones read on")
            for member in stuck.members:
                assert bodies(member.received) == b"".join(expected)
        for member in live.members:
            assert bodies(member.received).endswith(b"".join(expected))
    print(
        f"{BATCHES * BATCH} events of {PADDING} bytes to {LIVE} readers, then twice as many beside {STUCK} stuck ones: "
        f"the slowest batch {alone_s * 1000:.0f} and {beside_s * 1000:.0f} ms, "
        f"memory {alone / MEBIBYTE:.1f} and {beside / MEBIBYTE:.1f} MiB"
    )
    assert beside - alone < GROWTH
    assert beside_s < DEADLINE_S / 2, "somebody waited for a stuck one"
    wait_until_none_is_open(server)
    assert ended(server, "stuck") == 0


def bring(log: EventLog, crowd: Crowd) -> float:
    """Write many events, each batch when everybody has had the last one, and return how long the slowest batch took."""
    slowest_s = 0.0
    for number in range(BATCHES):
        begun = time.monotonic()
        mark = b"id: %d\n" % append(log, BATCH, number * BATCH, PADDING)
        crowd.read_until(lambda: all(mark in member.received[-4096:] for member in crowd.members), "all have it")  # noqa: B023
        slowest_s = max(slowest_s, time.monotonic() - begun)
    return slowest_s


def bodies(received: bytearray) -> bytes:
    """Return the events in a chunked answer, without what may stand between them."""
    rest, body = bytes(received).partition(b"\r\n\r\n")[2], []
    position = 0
    while position < len(rest):
        end = rest.index(b"\r\n", position)
        size = int(rest[position:end], 16)
        chunk = rest[end + 2 : end + 2 + size]
        position = end + 2 + size + 2
        if not chunk.startswith((b": ", b"retry: ")):
            body.append(chunk)
    return b"".join(body)


def test_a_reader_that_takes_nothing_for_too_long_is_closed_and_goes_on_later(start: Callable[..., Server]):
    server = start(workers=1, PETSTORE_STUCK_S=2, PETSTORE_HEARTBEAT_S=1)
    cursor = get(server, "/v1/inventory")["lastEventId"]
    with (
        closing(server.open_event_log()) as log,
        Crowd(server.address, INVENTORY, 1) as live,
        Crowd(server.address, INVENTORY, STUCK, receive_buffer=SMALL_BUFFER) as stuck,
    ):
        live.wait_until_open()
        stuck.wait_until_open()
        begun = time.monotonic()
        for number in range(BATCHES):
            last_id = append(log, BATCH, number * BATCH, PADDING)
        mark = b"id: %d\n" % last_id
        live.read_until(lambda: mark in live.members[0].received[-4096:], "the live one has all")
        wait_until(lambda: server.log.count("cause=stuck") == STUCK, "the stuck ones are closed")
        print(f"closed {time.monotonic() - begun:.1f} s after the first event, with a limit of 2 s")
        assert "cause=left" not in server.log
        expected = told(log, cursor)
        stuck.read_until(lambda: all(member.ended for member in stuck.members), "they see the end")
        for member in stuck.members:
            held = member.ids[-1] if member.ids else cursor
            with Exchange(server.address, INVENTORY, {"Last-Event-ID": str(held)}) as again:
                again.read_events(len(expected) - len(member.ids))
                assert member.ids + [int(event.last_event_id) for event in again.events] == ids(expected)


def ids(frames: list[bytes]) -> list[int]:
    return [int(frame.rpartition(b"id: ")[2]) for frame in frames]


def test_long_replays_take_turns_with_live_streams(start: Callable[..., Server]):
    server = start(workers=1)
    cursor = get(server, "/v1/inventory")["lastEventId"]
    with closing(server.open_event_log()) as log, ExitStack() as stack:
        for number in range(40):
            append(log, 500, number * 500, 200)
        live = stack.enter_context(Exchange(server.address, INVENTORY))
        live.read_until(lambda: live.chunks)
        # Where the replays are over at once, there is no telling who waited for whom: then once more.
        for _ in range(10):
            delays = []
            replays = [Replay(server, cursor, 20_000) for _ in range(4)]
            while any(replay.thread.is_alive() for replay in replays):
                last_id = append(log, 1)
                live.read_until(lambda: int(live.decoder.last_event_id or 0) >= last_id)  # noqa: B023
                delays.append(time.time() - last_id / 1e6)
            for replay in replays:
                replay.thread.join()
                assert replay.complete
            if len(delays) >= 3:
                break
    delays.sort()
    median_s, slowest_s = delays[len(delays) // 2], delays[-1]
    print(
        f"{len(delays)} live events during 4 replays of 20,000: delay {median_s * 1000:.0f} ms, at most {slowest_s * 1000:.0f} ms"
    )
    assert len(delays) >= 3, "the live stream stood still while others were replayed"


class Replay:
    """A client that reads the whole log."""

    def __init__(self, server: Server, cursor: int, count: int) -> None:
        self.complete = False
        self._server, self._cursor, self._count = server, cursor, count
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with Crowd(self._server.address, f"{INVENTORY}?lastEventId={self._cursor}", 1) as crowd:
            (member,) = crowd.members
            seen = position = 0
            while seen < self._count:
                crowd.read(1)
                seen += member.received.count(b"\nid: ", position)
                position = max(0, len(member.received) - 4)
            self.complete = True
