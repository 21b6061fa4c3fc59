"""The wheel: everybody is called in time, few at a time, and nobody who has left."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.hub import get_hub

from petstore.sse import close_own_loop
from petstore.sse.wheel import MOST, SLOT_S, Wheel, wheel


class Looker:
    """Notes when it's called, and in which turn of the loop, and does something then."""

    def __init__(self, do: Callable[[], object] = lambda: None) -> None:
        self.looked_at: list[float] = []
        self.turns: list[float] = []
        self._do = do

    def look(self) -> None:
        self.looked_at.append(time.monotonic())
        self.turns.append(get_hub().loop.now())
        self._do()


@pytest.fixture
def turning() -> Iterator[Wheel]:
    turning = Wheel(get_hub().loop)
    yield turning
    assert turning._timer is None, "the loop could never end"
    assert not turning._slots
    assert not turning._order


def soon(after_s: float) -> float:
    return time.monotonic() + after_s


def wait_for(*lookers: Looker) -> None:
    with gevent.Timeout(5):
        while not all(looker.looked_at for looker in lookers):
            gevent.sleep(0.005)


def test_who_is_due_is_called_then_and_once(turning):
    looker, at = Looker(), soon(0.1)
    turning.add(looker, at, 0.0)
    wait_for(looker)
    gevent.sleep(2 * SLOT_S)
    assert len(looker.looked_at) == 1
    assert looker.looked_at[0] >= at - 0.002


def test_what_is_past_is_called_at_once(turning):
    looker = Looker()
    turning.add(looker, soon(-1.0), 0.0)
    wait_for(looker)


def test_those_who_are_due_nearly_together_are_called_together(turning):
    lookers, at = [Looker() for _ in range(20)], soon(0.1)
    slots = {turning.add(looker, at + n * SLOT_S / 100, 0.0) for n, looker in enumerate(lookers)}
    assert len(slots) <= 2
    wait_for(*lookers)
    assert len({looker.turns[0] for looker in lookers}) <= 2


def test_too_many_at_once_come_earlier_as_far_as_they_may(turning):
    lookers, at = [Looker() for _ in range(3 * MOST)], soon(0.5)
    slots = [turning.add(looker, at, 0.2) for looker in lookers]
    assert [slots.count(slot) for slot in sorted(set(slots))] == [MOST] * 3
    wait_for(*lookers)
    assert min(looker.looked_at[0] for looker in lookers) >= at - 0.2 - 0.002


def test_who_finds_all_places_taken_is_called_in_time_all_the_same(turning):
    lookers, at = [Looker() for _ in range(MOST + 5)], soon(0.1)
    assert len({turning.add(looker, at, 0.0) for looker in lookers}) <= 2
    wait_for(*lookers)


def test_more_than_there_are_places_for_are_called_in_several_goes(turning):
    lookers, at = [Looker() for _ in range(5 * MOST)], soon(0.1)
    for looker in lookers:
        turning.add(looker, at, 0.0)
    others: list[int] = []

    def look_around() -> None:
        while not all(looker.looked_at for looker in lookers):
            others.append(sum(bool(looker.looked_at) for looker in lookers))
            gevent.sleep(0)

    with gevent.Timeout(5):
        look_around()
    assert set(others) >= {MOST, 2 * MOST, 3 * MOST, 4 * MOST}, "everything else has its turn in between"


def test_an_earlier_one_is_not_kept_waiting_by_a_later_one(turning):
    late, early = Looker(), Looker()
    slot = turning.add(late, soon(60), 0.0)
    turning.add(early, soon(0.05), 0.0)
    wait_for(early)
    turning.remove(late, slot)


def test_who_has_left_is_not_called(turning):
    gone, stays = Looker(), Looker()
    slot = turning.add(gone, soon(0.05), 0.0)
    turning.add(stays, soon(0.05), 0.0)
    turning.remove(gone, slot)
    turning.remove(gone, slot)
    wait_for(stays)
    gevent.sleep(2 * SLOT_S)
    assert gone.looked_at == []


def test_who_is_called_may_have_others_leave(turning):
    at = soon(0.05)
    lookers: list[Looker] = []

    def leave() -> None:
        for looker, slot in zip(lookers, slots, strict=True):
            turning.remove(looker, slot)

    lookers += [Looker(leave), Looker(leave)]
    slots = [turning.add(looker, at, 0.0) for looker in lookers]
    with gevent.Timeout(5):
        while not any(looker.looked_at for looker in lookers):
            gevent.sleep(0.005)
    gevent.sleep(2 * SLOT_S)
    assert sum(len(looker.looked_at) for looker in lookers) == 1


def test_who_is_called_may_ask_to_be_called_again(turning):
    def again() -> None:
        if len(looker.looked_at) < 3:
            turning.add(looker, soon(0.0), 0.0)

    looker = Looker(again)
    turning.add(looker, soon(0.0), 0.0)
    with gevent.Timeout(5):
        while len(looker.looked_at) < 3:
            gevent.sleep(0.005)


def test_one_that_fails_takes_nobody_along(turning, capsys):
    def fail() -> None:
        raise ZeroDivisionError

    at = soon(0.05)
    lookers = [Looker(fail), Looker(), Looker(fail), Looker()]
    for looker in lookers:
        turning.add(looker, at, 0.0)
    wait_for(*lookers)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_clock_that_is_set_back_by_an_hour_delays_nobody():
    class SetBack:
        """A loop whose clock, which follows the wall's, is an hour earlier once it's set."""

        def __init__(self) -> None:
            self.hours = 0

        def now(self) -> float:
            now: float = get_hub().loop.now()
            return now - 3600 * self.hours

        def timer(self, after_s: float) -> Any:
            return get_hub().loop.timer(after_s)

    loop = SetBack()
    turning, early, late = Wheel(loop), Looker(), Looker()
    turning.add(early, soon(0.05), 0.0)
    loop.hours = 1
    turning.add(late, soon(0.1), 0.0)
    wait_for(early, late)


def test_each_thread_has_its_own(turning):
    found: list[Wheel] = []

    def find() -> None:
        found.extend((wheel(), wheel()))
        close_own_loop()

    thread = threading.Thread(target=find)
    thread.start()
    thread.join()
    assert found[0] is found[1]
    assert found[0] is not wheel()
