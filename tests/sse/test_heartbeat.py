"""Heartbeats of many streams that were last sent something in the same moment: each in time, not all at once."""

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
        # On a busy machine a turn comes late, and has its neighbours' beats to make too; but not three times out of three.
        assert len({moment for stream in streams for moment, _ in stream.beats[:3]}) > 3


def test_one_early_beat_makes_no_later_one_late():
    stream = Beating(get_hub().loop.now())
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
