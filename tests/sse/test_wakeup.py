"""Wakeups: what was said is never lost, whoever says it, and a greenlet that no longer waits is left alone."""

import gc
import threading
import weakref
from typing import Any

import gevent
import pytest

from petstore.sse.loop import close_own_loop
from petstore.sse.wakeup import Wakeup
from tests.sse.other_process import PATIENCE_S


@pytest.fixture(autouse=True)
def patience():
    with gevent.Timeout(PATIENCE_S):
        yield


def test_what_was_said_before_the_wait_ends_it_at_once():
    wakeup = Wakeup()
    wakeup.wake()
    wakeup.wait()
    wakeup.wait()


def test_what_was_said_is_forgotten_when_cleared():
    wakeup = Wakeup()
    wakeup.wake()
    wakeup.clear()
    waiting = gevent.spawn(wakeup.wait)
    waiting.join(0.01)
    assert not waiting.ready(), "it didn't wait"
    wakeup.wake()
    waiting.get()


def test_a_greenlet_that_waits_is_woken_by_another():
    wakeup = Wakeup()
    waiting = gevent.spawn(wakeup.wait)
    gevent.sleep(0)
    wakeup.wake()
    waiting.get()


def test_being_woken_many_times_is_being_woken_once():
    wakeup = Wakeup()
    turns: list[Any] = []

    def follow() -> None:
        while len(turns) < 2:
            wakeup.clear()
            wakeup.wait()
            turns.append(1)

    following = gevent.spawn(follow)
    gevent.sleep(0)
    for _ in range(5):
        wakeup.wake()
    gevent.sleep(0.01)
    assert turns == [1]
    wakeup.wake()
    following.get()


def test_a_wait_that_is_over_leaves_no_timer():
    wakeup, beats = Wakeup(), []
    waiting = gevent.spawn(lambda: (wakeup.wait(0.005), wakeup.clear(), gevent.sleep(0.02), beats.append(wakeup._said)))
    gevent.sleep(0)
    wakeup.wake()
    waiting.get()
    assert beats == [False]


@pytest.mark.parametrize("error", [gevent.GreenletExit, gevent.Timeout, KeyError])
def test_a_greenlet_that_is_thrown_out_of_its_wait_is_not_switched_to_by_a_late_wake(error):
    wakeup, slept = Wakeup(), []

    def wait_and_then_sleep() -> None:
        try:
            wakeup.wait()
        except error:
            # A switch that comes now would end this sleep, or whatever the server does next, with an error.
            gevent.sleep(0.01)
            slept.append(1)

    waiting = gevent.spawn(wait_and_then_sleep)
    gevent.sleep(0)
    gevent.get_hub().loop.run_callback(waiting.throw, error)
    wakeup.wake()
    waiting.get()
    assert slept == [1]


def test_other_threads_wake_and_nothing_is_lost_between_them():
    counted, said = 0, 0
    wakeup = Wakeup()

    def speak() -> None:
        nonlocal said
        for _ in range(300):
            said += 1
            wakeup.wake()

    speaking = threading.Thread(target=speak)
    speaking.start()
    while counted < 300:
        wakeup.clear()
        counted = said
        if counted < 300:
            wakeup.wait()
    speaking.join()


def test_a_wakeup_whose_thread_has_ended_can_be_woken_in_vain():
    made: list[Wakeup] = []

    def serve() -> None:
        made.append(Wakeup())
        made[0].wait(0.001)
        close_own_loop()

    serving = threading.Thread(target=serve)
    serving.start()
    serving.join()
    made[0].wake()


def test_nothing_keeps_one_that_nobody_uses():
    wakeup = Wakeup()
    wakeup.wait(0.001)
    wakeup.wake()
    gevent.sleep(0)
    gone = weakref.ref(wakeup) if hasattr(wakeup, "__weakref__") else None
    del wakeup
    gc.collect()
    assert gone is None or gone() is None
    assert not [one for one in gc.get_objects() if isinstance(one, Wakeup)]
