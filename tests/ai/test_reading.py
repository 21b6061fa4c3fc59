"""What comes over a network is read apart from whoever waits for it: in batches, with bounded waits, and ended at once."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from petstore.ai.engine import Halt
from petstore.ai.error import EngineFailed
from petstore.ai.reading import AHEAD, SHARE_S, Reading

DEADLINE_S = 10.0


def test_everything_comes_in_order_and_what_came_meanwhile_comes_together():
    batches = list(Reading(lambda halt: iter(range(1000)), 5).batches())
    assert [item for batch in batches for item in batch] == list(range(1000))
    assert len(batches) < 100


def test_an_error_comes_after_what_was_read_before_it():
    def items(halt: Halt) -> Iterator[int]:
        yield 1
        raise EngineFailed("model", "as the test wants it")

    batches = Reading(items, 5).batches()
    assert next(batches) == [1]
    with pytest.raises(EngineFailed):
        list(batches)


def silent(stopped: threading.Event, halted: threading.Event) -> Reading[int]:
    def items(halt: Halt) -> Iterator[int]:
        yield 1
        with halt.closing(stopped.set):
            stopped.wait(DEADLINE_S)
        halted.set()

    return Reading(items, 60)


def test_a_poke_brings_an_empty_batch_at_once():
    reading = silent(threading.Event(), threading.Event())
    batches = reading.batches()
    assert next(batches) == [1]
    reading.poke()
    assert next(batches) == []
    batches.close()


def test_closing_it_ends_the_wait_of_whoever_reads():
    stopped, halted = threading.Event(), threading.Event()
    batches = silent(stopped, halted).batches()
    assert list(islice(batches, 1)) == [[1]]
    batches.close()
    assert halted.wait(DEADLINE_S)


def test_silence_is_an_error_and_ends_it():
    stopped = threading.Event()

    def items(halt: Halt) -> Iterator[int]:
        with halt.closing(stopped.set):
            stopped.wait(DEADLINE_S)
        yield 1

    begun = time.monotonic()
    with pytest.raises(EngineFailed, match=r"nothing came for 0.2 s"):
        list(Reading(items, 0.2).batches())
    assert stopped.wait(DEADLINE_S)
    assert time.monotonic() - begun < DEADLINE_S


def test_a_halt_closes_each_thing_once_and_late_ones_at_once():
    halt = Halt()
    closed: list[str] = []
    with halt.closing(lambda: closed.append("first")):
        halt.request()
        assert closed == ["first"]
    assert closed == ["first", "first"], "and once more when it's over: to close twice must do no harm"
    with halt.closing(lambda: closed.append("late")):
        assert closed[-1] == "late"


def test_many_at_once_hand_over_no_more_often_than_few():
    until = time.monotonic() + 0.5

    def talk(halt: Halt) -> Iterator[int]:
        while time.monotonic() < until:
            yield 1
            time.sleep(0.001)

    begun = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        counts = list(pool.map(lambda _: sum(1 for _ in Reading(talk, 5).batches()), range(10)))
    # The first and the last of each wait for nothing.
    assert sum(counts) <= (time.monotonic() - begun) / SHARE_S * 1.5 + 20


def test_no_more_is_read_than_is_taken():
    batches = list(Reading(lambda halt: iter(range(20 * AHEAD)), 5).batches())
    assert max(len(batch) for batch in batches) <= 2 * AHEAD
    assert sum(len(batch) for batch in batches) == 20 * AHEAD
