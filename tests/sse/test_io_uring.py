"""What becomes of sends when the kernel does less than it was asked: nothing is lost unsaid, and nothing is sent twice.

Collected only where the machine has io_uring and lets us use it.
"""

import errno
import os
from collections.abc import Callable

import pytest

import petstore.sse.broadcast
import petstore.sse.io_uring
from petstore.sse.broadcast import MOST, Broadcast
from petstore.sse.io_uring import ENTER, IoUring
from tests.sse.conftest import open_descriptors, received

SystemCall = Callable[..., int]

call: SystemCall = petstore.sse.io_uring._system_call


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[SystemCall], None]:
    """Return a function that puts another one in the place of the system call."""
    return lambda other: monkeypatch.setattr(petstore.sse.io_uring, "_system_call", other)


def test_one_that_takes_some_of_what_it_was_given_is_given_the_rest(instead, pairs):
    def take_few(number: int, ring: int, count: int, wanted: int, flags: int) -> int:
        taken.append(min(count, 7))
        return call(number, ring, taken[-1], 0, flags)

    taken: list[int] = []
    ring, ends = IoUring(64), pairs(50)
    instead(take_few)
    assert ring.send([ours.fileno() for ours, _ in ends], b"abc") == {}
    assert taken == [7] * 7 + [1]
    assert [received(theirs) for _, theirs in ends] == [b"abc"] * 50
    assert not ring.failure
    ring.close()


@pytest.mark.parametrize("failure", [errno.EAGAIN, 0])
def test_one_that_stops_in_the_middle_says_who_got_nothing_and_is_not_asked_again(instead, pairs, monkeypatch, failure, caplog):
    def stop_after_20(number: int, ring: int, count: int, wanted: int, flags: int) -> int:
        calls.append(number)
        if len(calls) == 2:
            if failure:
                raise OSError(failure, os.strerror(failure))
            return 0
        return call(number, ring, 20, 0, flags)

    monkeypatch.setattr(petstore.sse.broadcast, "FEW", 1)
    calls: list[int] = []
    broadcast, ends = Broadcast(), pairs(MOST)
    descriptors = [ours.fileno() for ours, _ in ends]
    before = open_descriptors()
    broadcast.open()
    assert broadcast.send(descriptors, b"one ") == {}
    instead(stop_after_20)
    assert broadcast.send(descriptors, b"two ") == dict.fromkeys(descriptors[20:], 0)
    assert not caplog.records, "a handler of logs could let others run"
    assert broadcast.send(descriptors, b"three") == {}
    for _ in range(2):
        broadcast.check()
    assert calls == [ENTER] * 2
    assert [received(theirs) for _, theirs in ends] == [b"one two three"] * 20 + [b"one three"] * (MOST - 20)
    assert open_descriptors() == before, "a ring that is of no use is given back"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_signal_in_the_middle_is_waited_out(pairs, monkeypatch):
    def interrupted(*arguments: int) -> int:
        results.append(0)
        return -1 if len(results) % 2 else bare(*arguments)

    results: list[int] = []
    bare = petstore.sse.io_uring._call
    ring, ends = IoUring(64), pairs(50)
    monkeypatch.setattr(petstore.sse.io_uring, "_call", interrupted)
    monkeypatch.setattr("ctypes.get_errno", lambda: errno.EINTR)
    assert ring.send([ours.fileno() for ours, _ in ends], b"abc") == {}
    assert len(results) == 2
    assert [received(theirs) for _, theirs in ends] == [b"abc"] * 50
    ring.close()


def test_one_that_can_t_send_is_no_ring_for_us(instead):
    def pretend(number: int, *arguments: int) -> int:
        return arguments[1] if number == ENTER else call(number, *arguments)

    instead(pretend)
    with pytest.raises(OSError, match="doesn't send") as raised:
        IoUring(64)
    assert raised.value.errno == errno.ENOSYS


def test_an_old_one_is_refused(instead, monkeypatch):
    monkeypatch.setattr(petstore.sse.io_uring, "FEAT_SINGLE_MMAP", 0)
    with pytest.raises(OSError, match="too old"):
        IoUring(64)


def test_a_size_the_kernel_does_not_like_is_an_error_of_the_system():
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        IoUring(0)
