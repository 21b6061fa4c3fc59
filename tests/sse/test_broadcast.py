"""Sends to many sockets: by io_uring, where this machine lets us, and one by one, the same comes out."""

import errno
import logging
import os
import random
import socket
from collections.abc import Iterator

import pytest

import petstore.sse.broadcast
import petstore.sse.io_uring
from petstore.sse.broadcast import MOST, Broadcast
from petstore.sse.io_uring import SETUP
from tests.sse.conftest import io_uring_is_offered, open_descriptors, received


@pytest.fixture(params=["at once", "one by one"] if io_uring_is_offered() else ["one by one"])
def broadcast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broadcast]:
    monkeypatch.setattr(petstore.sse.broadcast, "FEW", 1 if request.param == "at once" else MOST + 1)
    broadcast = Broadcast()
    if request.param == "at once":
        broadcast.open()
    yield broadcast
    broadcast.close()


@pytest.mark.parametrize("count", [0, 1, 2, 95, 96, 255, MOST])
def test_everybody_gets_it_all(broadcast, pairs, count):
    ends = pairs(count)
    assert broadcast.send([ours.fileno() for ours, _ in ends], b"an event") == {}
    assert [received(theirs) for _, theirs in ends] == [b"an event"] * count


def test_calls_without_end_of_all_sizes(broadcast, pairs):
    ends = pairs(MOST)
    wanted = [bytearray() for _ in ends]
    for _ in range(400):
        some = random.sample(range(MOST), random.randrange(1, MOST + 1))
        data = os.urandom(random.choice([1, 10, 140]))
        assert broadcast.send([ends[n][0].fileno() for n in some], data) == {}
        for n in some:
            wanted[n] += data
    assert [received(theirs) for _, theirs in ends] == wanted


def test_those_who_take_a_part_or_nothing_are_told_and_the_others_get_it_all(broadcast, pairs):
    ends, small = pairs(20), pairs(20, buffer=4096)
    left, closed = pairs(1)[0], pairs(1)[0]
    (full, behind), *_ = pairs(1, buffer=4096)
    left[1].close()
    gone = closed[0].fileno()
    closed[0].close()
    with pytest.raises(BlockingIOError):
        while True:
            full.send(b"x")
    all_of_them = [pair[0].fileno() for pair in [*ends, *small]] + [left[0].fileno(), gone, full.fileno(), -1]
    random.shuffle(all_of_them)
    data = os.urandom(60_000)
    short = broadcast.send(all_of_them, data)
    assert set(short) == {*(ours.fileno() for ours, _ in small), left[0].fileno(), gone, full.fileno(), -1}
    assert [short[descriptor] for descriptor in (left[0].fileno(), gone, full.fileno(), -1)] == [0] * 4
    for ours, theirs in small:
        assert 0 < short[ours.fileno()] < len(data)
        assert received(theirs) == data[: short[ours.fileno()]]
    assert [received(theirs) for _, theirs in ends] == [data] * 20
    assert set(received(behind)) == {ord("x")}


def test_over_tcp_to_a_client_that_has_reset(broadcast):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        ours = [listener.accept()[0] for _ in clients]
    for one in ours:
        one.setblocking(False)
    clients[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    clients[1].close()
    descriptors = [one.fileno() for one in ours]
    assert broadcast.send(descriptors, b"hello") == {descriptors[1]: 0}
    assert [clients[n].recv(10) for n in (0, 2)] == [b"hello"] * 2
    for one in (*ours, *clients):
        one.close()


def test_what_the_system_lent_is_given_back(pairs):
    ends, before = pairs(MOST), open_descriptors()
    one = Broadcast()
    for _ in range(3):
        one.open()
        for _ in range(2):
            assert one.send([ours.fileno() for ours, _ in ends], b"x") == {}
            one.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM, errno.ENOMEM, errno.EMFILE])
def test_where_the_system_refuses_each_is_sent_to_by_itself(pairs, error, monkeypatch, caplog):
    def refuse(number: int, *_: int) -> int:
        asked.append(number)
        raise OSError(error, os.strerror(error))

    asked: list[int] = []
    monkeypatch.setattr(petstore.sse.io_uring, "_system_call", refuse)
    monkeypatch.setattr(petstore.sse.broadcast, "FEW", 1)
    broadcast, ends = Broadcast(), pairs(5)
    with caplog.at_level(logging.INFO):
        broadcast.open()
    for _ in range(3):
        assert broadcast.send([ours.fileno() for ours, _ in ends], b"x") == {}
        broadcast.check()
    assert [received(theirs) for _, theirs in ends] == [b"xxx"] * 5
    assert asked == [SETUP], "who is refused does not ask again and again"
    assert os.strerror(error) in caplog.text
