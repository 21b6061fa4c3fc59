"""Heartbeats: each in time, not all at once, and who acknowledges nothing is noticed, whatever was sent meanwhile."""

import socket
import time
from collections.abc import Iterator

import gevent
import pytest
from gevent.hub import get_hub

from petstore.sse.acknowledgement import Acknowledgements
from petstore.sse.heartbeat import EARLY, PATIENCE, Heartbeat
from petstore.sse.wheel import MOST, SLOT_S

INTERVAL_S = 1.0


class Beating:
    """One stream's side: notes when it beat, and after how long a silence."""

    def __init__(self, since: float, connection: socket.socket | None = None) -> None:
        self.last_sent = since
        self.beats: list[tuple[float, float]] = []
        self.left_at: float | None = None
        self.heartbeat = Heartbeat(INTERVAL_S, connection, lambda: self.last_sent, self.beat, self.leave)

    def beat(self) -> bool:
        now = time.monotonic()
        self.beats.append((now, now - self.last_sent))
        self.last_sent = now
        return True

    def leave(self) -> None:
        self.left_at = time.monotonic()


class Stuck(Beating):
    """One whose beats can't leave: its client takes nothing."""

    def beat(self) -> bool:
        now = time.monotonic()
        self.beats.append((now, now - self.last_sent))
        return False


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours


@pytest.mark.parametrize("count", [3, 4 * MOST])
def test_beats_come_in_time_again_and_again(count):
    since = time.monotonic()
    streams = [Beating(since) for _ in range(count)]
    with gevent.Timeout(20):
        while not all(len(stream.beats) >= 3 for stream in streams):
            gevent.sleep(0.02)
    for stream in streams:
        stream.heartbeat.stop()
    silences = [silence for stream in streams for _, silence in stream.beats]
    crowded = count > MOST
    assert min(silences) >= INTERVAL_S * (1 - EARLY * crowded) - SLOT_S / 2
    if crowded:
        # On a busy machine a turn comes late, and has its neighbours' beats to make too; but not three times out of three.
        assert len({int(moment / SLOT_S) for stream in streams for moment, _ in stream.beats[:3]}) > 3


def test_one_early_beat_makes_no_later_one_late():
    stream = Beating(time.monotonic())
    heartbeat = stream.heartbeat

    def come_early() -> None:
        assert heartbeat._slot is not None
        heartbeat._wheel.remove(heartbeat, heartbeat._slot)
        heartbeat.look()

    get_hub().loop.run_callback(come_early)
    with gevent.Timeout(20):
        while not stream.beats:
            gevent.sleep(0)
    ((beat_at, silence),) = stream.beats
    assert silence < INTERVAL_S / 2
    # Due an interval after that beat, not after the moment at which it was due.
    assert heartbeat._due == pytest.approx(beat_at + INTERVAL_S, abs=0.001)
    heartbeat.stop()


def test_who_acknowledges_nothing_is_noticed_at_the_second_heartbeat_although_an_event_was_sent_between_two_looks(
    connection, monkeypatch
):
    begun = time.monotonic()
    stream = Beating(begun, connection)
    monkeypatch.setattr(Acknowledgements, "_look", lambda _: 100 if stream.last_sent > begun else None)
    gevent.sleep(INTERVAL_S / 2)
    stream.last_sent = time.monotonic()
    with gevent.Timeout(20):
        while stream.left_at is None:
            gevent.sleep(0.005)
    stream.heartbeat.stop()
    # An interval after the first look that found something on its way, which is before the next beat.
    assert len(stream.beats) == 1
    assert stream.left_at - begun >= INTERVAL_S * (1 + PATIENCE) - SLOT_S


def test_who_acknowledges_each_beat_before_the_next_stays(connection, monkeypatch):
    stream = Beating(time.monotonic(), connection)
    monkeypatch.setattr(Acknowledgements, "_look", lambda _: len(stream.beats))
    with gevent.Timeout(20):
        while len(stream.beats) < 3:
            gevent.sleep(0.005)
    stream.heartbeat.stop()
    assert stream.left_at is None


def test_a_stream_whose_beat_can_not_leave_is_not_asked_for_it_all_the_time():
    stream = Stuck(time.monotonic())
    with gevent.Timeout(20):
        while len(stream.beats) < 3:
            gevent.sleep(0.005)
    stream.heartbeat.stop()
    (first, _), (second, _), (third, _) = stream.beats
    assert min(second - first, third - second) >= PATIENCE * INTERVAL_S
