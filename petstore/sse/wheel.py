"""A timing wheel: the looks of ten thousand heartbeats, called a few dozen at a time.

A timer for each would wake the loop hundreds of times a second; and the streams of one topic, which all had their last event in
the same moment, would all beat in the same moment too, and hold up everything else for half a second. So looks that are due
nearly together are called together, but not too many at once: then some are called early.

Must not know what is looked at.
"""

import time
from heapq import heappop, heappush
from math import ceil
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from gevent.hub import get_hub

SLOT_S = 0.02
"""What is due within this time is called together."""

MOST = 128
"""Looks in one slot, as long as earlier ones have room, and in one go in any case: about 5 ms, when each sends a heartbeat."""


class Looking(Protocol):
    """Whatever wants to look at something in time."""

    def look(self) -> None:
        """Look. Returns at once."""


class Wheel:
    """The looks that are due on one loop. Made by `wheel`; only its own thread may touch it.

    Its clock is `time.monotonic`. The loop's own follows the wall's: set back by an hour, that would put off every heartbeat
    by as much.
    """

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._slots: dict[int, set[Looking]] = {}
        # The slots as a heap: to look through all of them fifty times a second takes a tenth of an idle worker's time. One that
        # nobody is left in stays here until its turn.
        self._order: list[int] = []
        self._next = 0
        self._timer: Any = None

    def add(self, one: Looking, at: float, early_s: float) -> int:
        """Have `one` look at `at`, by the monotonic clock. Returns the slot, to `remove` it from.

        A moment later, by SLOT_S at the most; or earlier by up to `early_s`, where others have taken that moment's places.
        """
        now = time.monotonic()
        first = int(now / SLOT_S) + 1
        slot = latest = max(first, ceil(at / SLOT_S))
        earliest = max(first, ceil((at - early_s) / SLOT_S))
        while len(self._slots.get(slot, ())) >= MOST:
            slot -= 1
            if slot < earliest:
                slot = latest
                break
        if slot not in self._slots:
            self._slots[slot] = set()
            heappush(self._order, slot)
        self._slots[slot].add(one)
        if self._timer is None or slot < self._next:
            self._wait_for(slot)
        return slot

    def remove(self, one: Looking, slot: int) -> None:
        """Don't have it look any more."""
        due = self._slots.get(slot)
        if due is not None:
            due.discard(one)
            if not due:
                del self._slots[slot]
        if not self._slots:
            self._order.clear()
            if self._timer is not None:
                # A timer that is left would keep the loop from ending.
                self._timer.stop()
                self._timer = None

    def _wait_for(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._next = slot
        self._timer = self._loop.timer(max(0.0, slot * SLOT_S - time.monotonic()))
        # Counted from now: the loop may have looked at the clock before a whole slot's heartbeats were sent.
        self._timer.start(self._turn, update=True)

    def _turn(self) -> None:
        self._timer = None
        # A timer may be called a trifle before its time: a millisecond is none.
        now = int(time.monotonic() / SLOT_S + 0.05)
        try:
            # Whoever looks may remove others. What is left is due at once, but after everything else that is.
            left = MOST
            while left and self._order and (slot := self._order[0]) <= now:
                if due := self._slots.get(slot):
                    left -= 1
                    one = due.pop()
                    self.remove(one, slot)
                    one.look()
                else:
                    heappop(self._order)
        finally:
            # Also for what a look that failed has left.
            if self._slots:
                self._wait_for(self._order[0])


_wheels: "WeakKeyDictionary[Any, Wheel]" = WeakKeyDictionary()


def wheel() -> Wheel:
    """Return the wheel of this thread's loop."""
    hub = get_hub()
    found = _wheels.get(hub)
    if found is None:
        found = _wheels[hub] = Wheel(hub.loop)
    return found
