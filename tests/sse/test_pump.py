"""The pump: who is sent what in one pass, and what a socket, a filter or an observer that fails does to the others."""

import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest

import petstore.sse.pump
from petstore.sse import COMPLETE, Event, Form
from petstore.sse.broadcast import Broadcast
from petstore.sse.event import dump
from petstore.sse.observer import Silence
from petstore.sse.outlet import chunk
from petstore.sse.pump import Pump
from petstore.sse.ring import Ring
from petstore.sse.selection import Selection
from petstore.sse.subscription import Subscription


class Counting(Silence):
    def __init__(self) -> None:
        self.counted: list[tuple[int, int]] = []

    def delivered(self, events: int, newest_id: int) -> None:
        self.counted.append((events, newest_id))


class Socket:
    """An outlet's bare socket: takes `room` bytes, all when that is None."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.sent: list[bytes] = []
        self.room: int | None = None

    def send(self, data: bytes) -> int:
        taken = len(data) if self.room is None else min(self.room, len(data))
        if taken:
            self.sent.append(data[:taken])
        return taken


class Sockets(Broadcast):
    """All of them, sent to by their descriptors. The real thing is in `test_broadcast.py`."""

    def __init__(self) -> None:
        self.made: list[Socket] = []

    def make(self) -> Socket:
        self.made.append(Socket(len(self.made)))
        return self.made[-1]

    def send(self, descriptors: Sequence[int], data: bytes) -> dict[int, int]:
        taken = {descriptor: self.made[descriptor].send(data) for descriptor in descriptors}
        return {descriptor: size for descriptor, size in taken.items() if size < len(data)}


class Source:
    """A feed, as far as a subscription needs one; nothing is ever taken from it here."""

    ring = Ring(0)
    log: Any = None


class Place:
    """A parked subscription, its socket, and how often it was woken."""

    def __init__(self, pump: Pump, socket: Socket, selection: Selection, cursor: int = 10) -> None:
        self.socket, self.woken = socket, 0
        self.subscription = Subscription(Source(), pump.group(selection), cursor, self.wake)
        self.park()

    def wake(self) -> None:
        self.woken += 1

    def park(self) -> None:
        self.subscription.park(self.socket)  # type: ignore[arg-type]


@pytest.fixture
def observer() -> Counting:
    return Counting()


@pytest.fixture
def sockets() -> Sockets:
    return Sockets()


@pytest.fixture
def pump(observer, sockets) -> Pump:
    return Pump(observer, sockets)


@pytest.fixture
def place(pump, sockets) -> Callable[..., Place]:
    return lambda *topics, cursor=10, **wanted: Place(pump, sockets.make(), Selection(topics or ("a",), **wanted), cursor)


def event(id: int, topic: str = "a", type: str = "news", **data: Any) -> Event:
    return Event(id, topic, type, dump(data))


def sent(*events: Event) -> list[bytes]:
    return [chunk(b"".join(one.encode(Form()) for one in events))]


def test_the_events_of_a_pass_go_out_as_one_chunk_and_move_the_cursor(pump, place, observer):
    one, other = place(), place("b")
    pump.pass_on([event(11), event(12)])
    assert one.socket.sent == sent(event(11), event(12))
    assert (one.subscription.cursor, one.subscription.parked, one.woken) == (12, True, 0)
    assert (other.socket.sent, other.subscription.cursor, other.woken) == ([], 10, 0)
    assert observer.counted == [(2, 12)]


def test_all_that_want_the_same_are_sent_the_same_object(pump, place, observer):
    places = [place() for _ in range(5)]
    pump.pass_on([event(11)])
    assert len({id(one.socket.sent[0]) for one in places}) == 1
    assert observer.counted == [(5, 11)]


def test_a_selection_is_a_value(pump, place):
    def wanted(event: Event) -> bool:
        return True

    assert place(wanted=wanted).subscription.group is place(wanted=wanted).subscription.group
    groups = {place().subscription.group, place(form=Form(named=False)).subscription.group, place("a", "b").subscription.group}
    assert len(groups) == 3


def test_what_nobody_wants_is_sent_to_nobody_and_need_not_be_looked_at_again(pump, place, observer):
    one = place(wanted=lambda event: False)
    pump.pass_on([event(11)])
    assert (one.socket.sent, one.subscription.cursor, one.woken, observer.counted) == ([], 11, 0, [])


def test_a_stream_that_is_not_parked_is_woken_and_never_written_to(pump, place):
    one = place()
    one.subscription.unpark()
    pump.pass_on([event(11)])
    assert (one.socket.sent, one.subscription.cursor, one.woken) == ([], 10, 1)


def test_a_stream_that_missed_a_pass_is_woken_and_not_sent_what_comes_after(pump, place):
    one = place()
    one.subscription.unpark()
    pump.pass_on([event(11)])
    one.park()
    pump.pass_on([event(12)])
    assert (one.socket.sent, one.subscription.cursor, one.woken) == ([], 10, 2)


def test_a_stream_that_has_had_the_events_already_is_left_alone(pump, place):
    ahead = place(cursor=12)
    pump.pass_on([event(11), event(12)])
    assert (ahead.socket.sent, ahead.subscription.cursor, ahead.woken) == ([], 12, 0)
    pump.pass_on([event(13)])
    assert ahead.socket.sent == sent(event(13))


def test_a_stream_that_has_had_some_of_the_events_takes_the_rest_by_itself(pump, place):
    between = place(cursor=11)
    pump.pass_on([event(11), event(12)])
    assert (between.socket.sent, between.subscription.cursor, between.woken) == ([], 11, 1)


def test_the_event_that_ends_a_topic_is_left_to_the_streams(pump, place):
    one = place()
    pump.pass_on([event(11), event(12, type=COMPLETE)])
    assert (one.socket.sent, one.subscription.cursor, one.woken) == ([], 10, 1)


def test_after_an_end_the_other_topics_of_a_stream_are_left_to_it_too(pump, place):
    one = place("a", "b")
    pump.pass_on([event(11, "a", COMPLETE)])
    pump.pass_on([event(12, "b")])
    assert (one.socket.sent, one.subscription.cursor, one.woken) == ([], 10, 2)


def test_a_socket_that_takes_a_part_leaves_the_rest_to_its_stream(pump, place):
    one, other = place(), place()
    one.socket.room = 5
    pump.pass_on([event(11)])
    (frame,) = sent(event(11))
    assert one.socket.sent == [frame[:5]]
    assert bytes(one.subscription.rest or b"") == frame[5:]
    assert (one.subscription.cursor, one.subscription.parked, one.woken) == (11, False, 1)
    pump.pass_on([event(12)])
    assert one.socket.sent == [frame[:5]], "nobody else writes before the rest is out"
    assert len(other.socket.sent) == 2


def test_a_socket_that_takes_nothing_is_left_to_its_stream_with_all_of_it(pump, place):
    one, other = place(), place()
    one.socket.room = 0
    pump.pass_on([event(11)])
    assert (one.subscription.cursor, one.subscription.parked, one.subscription.rest, one.woken) == (10, False, None, 1)
    assert other.socket.sent == sent(event(11))


def test_a_bulk_of_large_events_goes_out_in_slices(pump, place, monkeypatch):
    monkeypatch.setattr(petstore.sse.subscription, "MAX_PAGE", 100)
    one = place()
    events = [event(id, text="x" * 60) for id in range(11, 16)]
    pump.pass_on(events)
    assert one.socket.sent == sent(*events[:2]) + sent(*events[2:4]) + sent(*events[4:])
    assert one.subscription.cursor == 15


def test_an_event_of_any_size_goes_out_whole(pump, place, monkeypatch):
    monkeypatch.setattr(petstore.sse.subscription, "MAX_PAGE", 100)
    one = place()
    pump.pass_on([event(11, text="x" * 1000), event(12)])
    assert one.socket.sent == sent(event(11, text="x" * 1000)) + sent(event(12))


def test_everybody_else_gets_a_turn_between_sends(pump, place, monkeypatch):
    turns: list[int] = []
    places = [place() for _ in range(10)]
    monkeypatch.setattr(petstore.sse.pump, "TURN", 3)
    monkeypatch.setattr("petstore.sse.pump.gevent.sleep", lambda _: turns.append(sum(len(one.socket.sent) for one in places)))
    pump.pass_on([event(11)])
    assert turns == [3, 6, 9]


def test_everybody_else_gets_a_turn_between_groups_however_many_there_are(pump, place, monkeypatch):
    turns: list[int] = []
    places = [place("a", f"orders/{number}") for number in range(10)]
    monkeypatch.setattr(petstore.sse.pump, "SLICE_S", -1.0)
    monkeypatch.setattr("petstore.sse.pump.gevent.sleep", lambda _: turns.append(sum(len(one.socket.sent) for one in places)))
    pump.pass_on([event(11), event(12, "orders/3"), event(13)])
    assert turns == list(range(10))
    assert [one.socket.sent for one in places[2:4]] == [
        sent(event(11), event(13)),
        sent(event(11), event(12, "orders/3"), event(13)),
    ]


def test_a_group_whose_last_stream_leaves_between_groups_is_passed_over(pump, place, monkeypatch):
    places = [place("a", f"orders/{number}") for number in range(4)]
    monkeypatch.setattr(petstore.sse.pump, "SLICE_S", -1.0)
    monkeypatch.setattr("petstore.sse.pump.gevent.sleep", lambda _: pump.leave(places[-1].subscription))
    pump.pass_on([event(11)])
    assert [len(one.socket.sent) for one in places] == [1, 1, 1, 0]


def test_a_stream_that_comes_while_a_pass_is_under_way_is_not_sent_what_it_has_had(pump, place, monkeypatch):
    one, late = [place("a"), place("b")], []
    monkeypatch.setattr(petstore.sse.pump, "TURN", 1)
    monkeypatch.setattr(
        "petstore.sse.pump.gevent.sleep", lambda _: late.append(place("a", cursor=12)) or late.append(place("b", cursor=12))
    )
    pump.pass_on([event(11, "a"), event(12, "b")])
    assert [len(place.socket.sent) for place in one] == [1, 1]
    assert [place.socket.sent for place in late] == [[]] * len(late)


def refuse(event: Event) -> bool:
    raise ZeroDivisionError


def test_a_filter_that_fails_fails_its_own_streams_alone(pump, place, caplog):
    bad, good = [place(wanted=refuse) for _ in range(2)], [place(), place("b")]
    for id in (11, 12):
        pump.pass_on([event(id), event(id + 10, "b")])
    assert [one.woken for one in bad] == [2, 2], "they meet the error themselves, and end with it"
    assert [one.subscription.cursor for one in good] == [12, 22]
    assert [len(one.socket.sent) for one in good] == [2, 2]
    assert "filter" in caplog.text


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_pass_that_fails_in_the_middle_costs_nobody_an_event(place, pump, observer, monkeypatch, times, caplog):
    places = [place("a"), place("b"), place("c")]
    failures = [RuntimeError()] * times

    def fail(events: int, newest_id: int) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr(observer, "delivered", fail)
    for first_id in (11, 14):
        pump.pass_on([event(first_id, "a"), event(first_id + 1, "b"), event(first_id + 2, "c")])
    for one in places:
        assert one.woken or len(one.socket.sent) == 2, "what was not sent must be taken, or it's lost"
    assert "failed" in caplog.text


@pytest.mark.parametrize("of", [3, 10])
def test_a_send_that_fails_before_it_began_costs_nobody_an_event(place, pump, sockets, monkeypatch, of, caplog):
    monkeypatch.setattr(petstore.sse.pump, "TURN", 3)
    places, send, calls = [place() for _ in range(of)], sockets.send, list[int]()

    def fail_once(descriptors: Sequence[int], data: bytes) -> dict[int, int]:
        calls.append(len(descriptors))
        if len(calls) == of // 3:
            raise MemoryError
        return send(descriptors, data)  # type: ignore[no-any-return]

    monkeypatch.setattr(sockets, "send", fail_once)
    pump.pass_on([event(11)])
    pump.pass_on([event(12)])
    for one in places:
        had = [11] if one.socket.sent == sent(event(11)) else [11, 12] if one.socket.sent else []
        assert had == [11, 12] or (one.woken and one.subscription.cursor == (11 if had else 10)), "it takes the rest by itself"
    assert "failed" in caplog.text


def test_leaving_twice_takes_nobody_else_along(pump, place):
    one = place()
    pump.leave(one.subscription)
    other = place()
    pump.leave(one.subscription)
    pump.wake_all()
    pump.pass_on([event(11)])
    assert other.woken == 1
    assert other.socket.sent == sent(event(11))
    pump.leave(other.subscription)
    assert (pump._groups, pump._topics) == ({}, {})


def test_a_stream_that_has_left_is_not_written_to_even_by_a_pass_that_is_under_way(pump, place, monkeypatch):
    places = [place() for _ in range(4)]
    left: list[Place] = []

    def leave_one(_: float) -> None:
        waiting = [one for one in places if not one.socket.sent and one not in left]
        if waiting:
            left.append(waiting[0])
            pump.leave(waiting[0].subscription)

    monkeypatch.setattr(petstore.sse.pump, "TURN", 1)
    monkeypatch.setattr("petstore.sse.pump.gevent.sleep", leave_one)
    pump.pass_on([event(11)])
    assert len(left) == 3
    assert [one.socket.sent for one in left] == [[]] * 3


def test_streams_that_come_and_go_in_other_threads_don_t_disturb_a_pass(pump, place):
    # As in the development server, where each stream has a thread.
    stop, lock, failures, orders = threading.Event(), threading.Lock(), [], count()

    def come_and_go(topic: str) -> None:
        while not stop.is_set():
            try:
                with lock:
                    one = place(topic, f"orders/{next(orders)}")
                with lock:
                    pump.leave(one.subscription)
            except Exception as error:  # noqa: BLE001 - it's told below
                failures.append(error)

    threads = [threading.Thread(target=come_and_go, args=("a",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for id in range(11, 400):
        pump.pass_on([event(id), event(id, "b")])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
