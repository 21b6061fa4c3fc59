"""Heartbeats of many streams that were last sent something in the same moment: each in time, not all at once."""

from collections import Counter

import gevent
import pytest
from gevent.hub import get_hub

from petstore.sse.heartbeat import EARLY, Heartbeat
from petstore.sse.wheel import MOST, SLOT_S

INTERVAL_S = 1.0


class Beating:
    """One stream's side: notes when it beat, and after how long a silence."""

    def __init__(self, since: float) -> None:
        self.last_sent = since
        self.beats: list[tuple[float, float]] = []
        self.heartbeat = Heartbeat(INTERVAL_S, None, lambda: self.last_sent, self.beat, lambda: None)

    def beat(self) -> bool:
        now: float = get_hub().loop.now()
        self.beats.append((now, now - self.last_sent))
        self.last_sent = now
        return True


@pytest.mark.parametrize("count", [3, 4 * MOST])
def test_beats_come_in_time_again_and_again(count):
    since = get_hub().loop.now()
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
        in_one_turn = Counter(moment for stream in streams for moment, _ in stream.beats)
        # A turn that comes late has its neighbours' beats to make too.
        assert max(in_one_turn.values()) < count


def test_one_early_beat_makes_no_later_one_late():
    since = get_hub().loop.now()
    streams = [Beating(since) for _ in range(4 * MOST)]
    with gevent.Timeout(20):
        while not all(len(stream.beats) >= 2 for stream in streams):
            gevent.sleep(0.02)
    for stream in streams:
        stream.heartbeat.stop()
    early = [stream for stream in streams if stream.beats[0][1] < INTERVAL_S - SLOT_S]
    assert early, "nobody came early: nothing was seen"
    # Each is due an interval after its own beat, not after the moment at which that one was due.
    assert {round(stream.heartbeat._due - stream.beats[-1][0], 3) for stream in early} == {INTERVAL_S}
