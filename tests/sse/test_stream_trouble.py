"""What goes wrong while a stream is open, and what is left of it whatever has happened."""

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import gevent
import greenlet
import pytest

import petstore.sse.stream
from petstore.sse import COMPLETE, Event, Selection, Stream
from petstore.sse.heartbeat import Heartbeat
from petstore.sse.stream import HEARTBEAT
from tests.sse.conftest import loops, start
from tests.sse.reader import Reader
from tests.sse.test_stream import FROM_NOW, FROM_THE_START, admission, read

__all__ = ["admission", "read"]


class TestALogThatIsGone:
    @pytest.fixture
    def away(self, database, monkeypatch):
        """Return functions that take the database away and put it back."""
        monkeypatch.setattr(petstore.sse.stream, "RETRY_S", 0.01)
        elsewhere = database.with_name("away")
        return lambda: database.rename(elsewhere), lambda: elsewhere.rename(database)

    def test_keeps_the_stream_open_with_heartbeats_until_it_is_back(self, read, append, away):
        take_away, put_back = away
        reader = read(heartbeat_s=0.03)
        reader.next()
        take_away()
        assert [reader.next() for _ in range(3)] == [HEARTBEAT] * 3
        put_back()
        event = append()
        reader.read_events(1)
        assert reader.ids == [event.id]

    def test_in_the_middle_of_a_replay_costs_no_event(self, read, append, away, feed, monkeypatch):
        monkeypatch.setattr(petstore.sse.subscription, "PAGE", 2)
        take_away, put_back = away
        events = [append(n=n) for n in range(6)]
        reader = read(FROM_THE_START, heartbeat_s=0.03)
        reader.read_events(2)
        take_away()
        reader.read_until(lambda: reader.decoder.comments >= 3)
        assert len(reader.received) == 2
        put_back()
        # By itself: nothing is appended that could wake it.
        reader.read_events(4)
        assert reader.ids == [event.id for event in events]

    def test_is_asked_again_before_the_next_heartbeat(self, read, append, away):
        take_away, put_back = away
        event = append()
        reader = read(FROM_THE_START)
        reader.next()
        take_away()
        back = threading.Timer(0.05, put_back)
        back.start()
        reader.read_events(1)
        back.join()
        assert reader.ids == [event.id]


class TestAFilterThatFails:
    def fail(self, event: Event) -> bool:
        if event.value()["n"] == 3:
            raise KeyError("petId")
        return True

    def test_ends_its_stream_with_an_error_that_carries_no_id(self, read, append, caplog):
        reader, other = read(wanted=self.fail), read()
        reader.next()
        other.next()
        for n in range(5):
            append(n=n)
            other.read_events(1)
        error = reader.read_to_the_end()[-1]
        assert (error.type, error.data) == ("error", '{"status":500}')
        assert error.last_event_id == reader.decoder.last_event_id
        assert "a stream of a failed" in caplog.text

    def test_tells_the_client_nothing_of_what_failed(self, read, append):
        append(n=3)
        reader = read(FROM_THE_START, wanted=self.fail)
        reader.next()
        assert b"petId" not in reader.next()


class TestWhatIsLeft:
    """Each way of ending is tried on a stream that is then looked for."""

    def never_iterated(self, reader: Reader, append: Callable[..., Event]) -> None:
        reader.close()

    def iterated_but_not_begun(self, reader: Reader, append: Callable[..., Event]) -> None:
        iter(reader.stream)
        reader.close()

    def cut_after_the_first_bytes(self, reader: Reader, append: Callable[..., Event]) -> None:
        reader.next()
        reader.close()

    def cut_after_a_heartbeat(self, reader: Reader, append: Callable[..., Event]) -> None:
        reader.read_until(lambda: reader.decoder.comments == 2)
        reader.close()

    def cut_after_an_event(self, reader: Reader, append: Callable[..., Event]) -> None:
        reader.next()
        append(n=1)
        reader.read_events(1)
        reader.close()

    def complete(self, reader: Reader, append: Callable[..., Event]) -> None:
        reader.next()
        append(COMPLETE and "a", COMPLETE, n=1)
        reader.read_to_the_end()
        reader.close()

    def closed_twice(self, reader: Reader, append: Callable[..., Event]) -> None:
        reader.next()
        reader.close()
        reader.close()

    def abandoned(self, reader: Reader, append: Callable[..., Event]) -> None:
        reader.next()  # No close: a server that fails so badly leaves it to the garbage collector.

    def killed_while_it_waits(self, reader: Reader, append: Callable[..., Event]) -> None:
        reader.next()
        waiting = gevent.spawn(reader.read_to_the_end)
        gevent.sleep(0.01)
        waiting.kill()
        reader.close()

    @pytest.mark.parametrize(
        "way",
        [
            never_iterated,
            iterated_but_not_begun,
            cut_after_the_first_bytes,
            cut_after_a_heartbeat,
            cut_after_an_event,
            complete,
            closed_twice,
            abandoned,
            killed_while_it_waits,
        ],
    )
    def test_is_nothing(self, way, feed, admission, append):
        self.end(way, feed, admission, append)
        start(feed)
        before, descriptors = living_greenlets(), loops()
        streams = [self.end(way, feed, admission, append) for _ in range(5)]
        gevent.sleep(0)
        gc.collect()
        assert (feed.pump._groups, feed.pump._topics, admission.open) == ({}, {}, 0)
        assert [stream() for stream in streams] == [None] * 5
        assert living_greenlets() <= before
        assert not [one for one in gc.get_objects() if isinstance(one, Heartbeat)]
        assert loops() == descriptors

    def end(self, way: Any, feed: Any, admission: Any, append: Any) -> "weakref.ref[Reader]":
        stream = Stream(
            feed,
            admission,
            petstore.sse.Terms(heartbeat_s=0.01),
            Selection(("a",)),
            FROM_NOW,
            str,
        )
        reader = Reader(stream)
        way(self, reader, append)
        return weakref.ref(reader)

    def test_in_a_thread_of_its_own_is_nothing_either(self, feed, admission, append):
        def serve() -> None:
            self.cut_after_a_heartbeat(Reader(self.stream(feed, admission)), append)

        start(feed)
        descriptors = loops()
        for _ in range(5):
            serving = threading.Thread(target=serve)
            serving.start()
            serving.join()
        gc.collect()
        assert (feed.pump._groups, admission.open) == ({}, 0)
        assert not [one for one in gc.get_objects() if isinstance(one, Heartbeat)]
        assert loops() == descriptors

    def stream(self, feed: Any, admission: Any) -> Stream:
        return Stream(
            feed,
            admission,
            petstore.sse.Terms(heartbeat_s=0.01),
            Selection(("a",)),
            FROM_NOW,
            str,
        )

    def test_an_observer_that_fails_takes_no_place_along(self, feed, admission, monkeypatch):
        def fail(*arguments: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(feed.observer, "opened", fail)
        reader = Reader(self.stream(feed, admission))
        assert [event.type for event in reader.read_to_the_end()] == ["error"]
        assert (feed.pump._groups, admission.open) == ({}, 0)

    def test_a_heartbeat_that_is_stopped_before_it_began_keeps_nothing(self):
        beats: list[int] = []
        heartbeat = Heartbeat(0.001, None, lambda: 0.0, lambda: bool(beats.append(1)), lambda: None)
        heartbeat.stop()
        gevent.sleep(0.01)
        assert beats == []
        assert heartbeat._slot is None
        assert heartbeat._greenlet is None


def living_greenlets() -> int:
    """Return how many there are in this thread: those of the database's threads come with the first that need them."""
    greenlets = [one for one in gc.get_objects() if isinstance(one, greenlet.greenlet) and not one.dead]
    return sum(first_of(one) is first_of(greenlet.getcurrent()) for one in greenlets)


def first_of(one: greenlet.greenlet) -> greenlet.greenlet:
    while one.parent is not None:
        one = one.parent
    return one
