"""The feed: follows the log through whatever happens to it, and wakes those whose topics have news, on any number of threads.

The orders of things that can go wrong between replay and live are in `test_join.py`; here real threads and a real log run.
"""

import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from gevent.event import Event as Signal

import petstore.sse.feed
import petstore.sse.subscription
from petstore.sse import COMPLETE, ERROR, Event, Feed, LogUnavailable, SqlEventLog
from petstore.sse.doorbell import Doorbell
from petstore.sse.loop import close_own_loop
from petstore.sse.ring import Ring
from petstore.sse.selection import Selection
from petstore.sse.subscription import Subscription
from tests.sse.conftest import create_database, loops, start
from tests.sse.event_log_contract import append as append_to
from tests.sse.event_log_contract import everything, ids
from tests.sse.other_process import PATIENCE_S, eventually

A, B, AB = Selection(("a",)), Selection(("b",)), Selection(("a", "b"))


class Follower:
    """A subscription that takes what it's woken for, as a stream does."""

    def __init__(self, feed: Feed, selection: Selection = A, cursor: int | None = None) -> None:
        self._feed = feed
        self.news = Signal()
        self.woken = 0
        self.subscription: Subscription = feed.subscribe(selection, cursor, self._wake)

    def _wake(self) -> None:
        self.woken += 1
        self.news.set()

    def take(self, count: int) -> list[Event]:
        """Return the next `count` events or more, waiting for them as long as it takes."""
        taken: list[Event] = []
        while len(taken) < count:
            self.news.clear()
            some = self.subscription.take()
            taken += some
            if not some:
                assert self.news.wait(PATIENCE_S), f"{len(taken)} of {count} events came"
        return taken

    def leave(self) -> None:
        self._feed.leave(self.subscription)


class TestFollowing:
    def test_news_is_brought_to_those_who_want_it(self, feed, append):
        a, b, both = Follower(feed, A), Follower(feed, B), Follower(feed, AB)
        first, second = append("a"), append("b")
        assert a.take(1) == [first]
        assert b.take(1) == [second]
        assert both.take(2) == [first, second]

    def test_a_follower_without_a_cursor_begins_at_the_head(self, feed, append):
        append("a")
        follower = Follower(feed)
        assert follower.subscription.take() == []
        event = append("a")
        assert follower.take(1) == [event]

    def test_a_follower_with_a_cursor_begins_there(self, feed, append):
        events = [append("a") for _ in range(5)]
        assert Follower(feed, cursor=events[1].id).take(3) == events[2:]
        assert Follower(feed, cursor=0).take(5) == events
        assert Follower(feed, cursor=events[-1].id + 10**12).subscription.take() == []

    def test_nobody_is_woken_for_the_topics_of_others(self, feed, append):
        one, other = Follower(feed, A), Follower(feed, B)
        append("b")
        other.take(1)
        assert one.woken == 0

    def test_what_left_the_ring_comes_from_the_log(self, feed, append, monkeypatch):
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=3))
        monkeypatch.setattr(petstore.sse.subscription, "PAGE", 4)
        slow, fast = Follower(feed, A), Follower(feed, A)
        events = [append(topic) for topic in "aabaaabaaa" * 3]
        wanted = [event for event in events if event.topic == "a"]
        assert fast.take(len(wanted)) == wanted
        assert len(feed.ring._events) == 3
        assert slow.take(len(wanted)) == wanted

    def test_a_topic_that_is_named_twice_is_told_once(self, feed, append):
        follower = Follower(feed, Selection(("a", "b", "a")))
        event = append("a")
        assert follower.take(1) == [event]
        assert follower.subscription.take() == []

    def test_a_bulk_change_is_brought_whole(self, feed, log, monkeypatch):
        monkeypatch.setattr(petstore.sse.feed, "COLLECT", 10)
        follower = Follower(feed)
        events = append_to(log, *["a"] * 35)
        assert follower.take(35) == events

    def test_what_retention_has_removed_is_let_go_of(self, feed, log, append):
        feed.start()
        old, kept = append("a"), append("a")
        eventually(lambda: feed.ring.head == kept.id)
        assert feed.ring.floor < old.id
        log.trim(kept.id, 10)
        eventually(lambda: feed.ring.floor >= old.id)
        assert Follower(feed, cursor=0).take(1) == [kept]


class TestWaking:
    @pytest.fixture
    def without_polling(self, monkeypatch, log):
        """Leave the feed nothing but the bell to be woken by."""
        monkeypatch.setattr(petstore.sse.feed, "POLL_S", PATIENCE_S * 2)
        feed = Feed(log)
        yield feed
        feed.stop()

    def test_a_write_through_any_log_wakes_it(self, without_polling, log, open_log):
        follower = Follower(without_polling)
        for writer in (log, open_log(), open_log()):
            (event,) = append_to(writer, "a")
            assert follower.take(1) == [event]

    def test_it_stops_at_once_although_it_has_nothing_to_do(self, without_polling):
        without_polling.start()
        stopping = threading.Thread(target=without_polling.stop)
        stopping.start()
        stopping.join(PATIENCE_S)
        assert not stopping.is_alive()

    def test_an_event_that_came_just_after_the_first_look_is_heard_of(self, without_polling, log, open_log, monkeypatch):
        other, read = open_log(), log.read
        appended: list[Event] = []

        def read_and_then_append(*arguments: Any) -> list[Event]:
            events: list[Event] = read(*arguments)
            if not appended:
                appended.extend(append_to(other, "a"))
            return events

        monkeypatch.setattr(log, "read", read_and_then_append)
        without_polling.start()
        eventually(lambda: appended and without_polling.ring.head == appended[0].id)

    def test_a_ring_that_was_lost_is_made_good_by_looking(self, feed, append, monkeypatch):
        monkeypatch.setattr(Doorbell, "ring", lambda bell: None)
        follower = Follower(feed)
        event = append("a")
        assert follower.take(1) == [event]


class Clock:
    """Stands in for `time` in the feed. Only a pass takes time, and a pause is noted."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)


class TestPausing:
    """Others get as long as a pass took when changes come faster than passes end: when it brings more than one."""

    @pytest.mark.parametrize(
        ("events", "took_s", "pauses"),
        [(3, 0.004, [0.004]), (3, 1.0, [petstore.sse.feed.PAUSE_S]), (3, 0.0001, []), (1, 0.004, [])],
        ids=["several", "several, long", "several, short", "one"],
    )
    def test_after_a_pass(self, feed, log, append, monkeypatch, events: int, took_s: float, pauses: list[float]):
        clock, pass_on = Clock(), feed.pump.pass_on

        def take_long(some: list[Event]) -> None:
            pass_on(some)
            clock.now_s += took_s

        monkeypatch.setattr(petstore.sse.feed, "time", clock)
        monkeypatch.setattr(feed.pump, "pass_on", take_long)
        follower = Follower(feed)
        append_to(log, *["a"] * events)
        follower.take(events)
        append("a")
        follower.take(1)  # The pass before is over, and the pause after it.
        assert clock.pauses == pauses


class TestStarting:
    def test_nothing_is_done_before_it(self, log):
        threads = threading.active_count()
        Feed(log)
        assert threading.active_count() == threads

    def test_one_thread_follows_however_many_start_it(self, feed):
        threads = threading.active_count()
        starting = [threading.Thread(target=feed.start) for _ in range(8)]
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join()
        assert threading.active_count() == threads + 1

    def test_one_that_can_not_start_says_so_and_can_later(self, feed, append, database):
        database.rename(database.with_name("away"))
        for _ in range(2):
            with pytest.raises(LogUnavailable):
                Follower(feed)
        database.with_name("away").rename(database)
        follower = Follower(feed)
        event = append("a")
        assert follower.take(1) == [event]

    def test_one_that_was_never_started_can_be_stopped(self, log):
        Feed(log).stop()


class TestTrouble:
    def test_a_log_that_is_gone_for_a_while_is_caught_up_with(self, feed, append, database, caplog):
        live, replaying = Follower(feed), Follower(feed, cursor=0)
        database.rename(database.with_name("away"))
        with pytest.raises(LogUnavailable):
            replaying.subscription.take()
        eventually(lambda: "the feed waits" in caplog.text)
        assert live.subscription.take() == [], "who keeps up needs no log"
        database.with_name("away").rename(database)
        event = append("a")
        assert live.take(1) == [event]
        assert replaying.take(1) == [event]

    def test_a_log_that_is_replaced_is_followed_on(self, feed, append, log, database):
        follower = Follower(feed)
        append("a")
        follower.take(1)
        replace(database)
        event = append("a")
        assert follower.take(1) == [event]

    def test_an_error_that_nobody_thought_of_does_not_end_it(self, feed, append, log, monkeypatch, caplog):
        follower, read, failures = Follower(feed), log.read, [ZeroDivisionError(), KeyError()]

        def fail(*arguments: Any) -> Any:
            if failures:
                raise failures.pop()
            return read(*arguments)

        monkeypatch.setattr(log, "read", fail)
        event = append("a")
        assert follower.take(1) == [event]
        # The follower may have asked the log by itself, or the feed before it was told to fail: it's rung for all the same.
        eventually(lambda: "the feed failed and goes on" in caplog.text)


def replace(database: Any) -> None:
    for path in database.parent.glob(database.name + "*"):
        if path.is_file():
            path.unlink()
    create_database(database)


class TestLeaving:
    def test_everything_about_a_subscription_is_forgotten(self, feed, append):
        followers = [Follower(feed, selection) for selection in (A, B, AB) for _ in range(3)]
        for follower in followers:
            follower.leave()
        assert (feed.pump._groups, feed.pump._topics) == ({}, {})
        other = Follower(feed)
        append("a")
        other.take(1)
        assert [follower.woken for follower in followers] == [0] * 9

    def test_the_others_stay(self, feed, append):
        one, other = Follower(feed), Follower(feed)
        one.leave()
        one.leave()
        event = append("a")
        assert other.take(1) == [event]

    def test_after_stop_nothing_comes_any_more(self, feed, append, log):
        follower = Follower(feed)
        feed.stop()
        append("a")
        assert log.wait(PATIENCE_S)
        assert (follower.woken, follower.subscription.take()) == (0, [])


class TestDraining:
    def test_everybody_is_woken(self, feed):
        followers = [Follower(feed, selection) for selection in (A, B, AB)]
        assert not feed.draining
        feed.drain()
        assert feed.draining
        assert [follower.woken for follower in followers] == [1, 1, 1]


class TestCollecting:
    @pytest.mark.parametrize("ending", [COMPLETE, ERROR])
    def test_a_topic_that_has_ended_is_returned_whole(self, feed, append, ending):
        events = [append("a"), append("a"), append("a", ending)]
        append("b")
        assert feed.collect("a", PATIENCE_S) == events

    def test_the_end_is_waited_for(self, feed, append):
        first = append("a")
        rest: list[Event] = []
        later = threading.Thread(target=lambda: rest.extend([append("a"), append("b"), append("a", COMPLETE)]))
        later.start()
        collected = feed.collect("a", PATIENCE_S)
        later.join()
        assert collected == [first, rest[0], rest[2]]

    def test_what_there_is_is_returned_when_the_time_is_up(self, feed, append):
        first = append("a")
        assert feed.collect("a", 0.05) == [first]
        assert feed.collect("b", 0.01) == []

    def test_nothing_is_left_behind(self, feed, append, database):
        append("a", COMPLETE)
        feed.collect("a", PATIENCE_S)
        database.rename(database.with_name("away"))
        with pytest.raises(LogUnavailable):
            feed.collect("a", PATIENCE_S)
        assert feed.pump._groups == {}


def test_waiting_in_a_thread_of_one_s_own_leaves_no_descriptor_open(feed, append):
    append("b")
    start(feed)
    before = loops()
    for _ in range(5):
        waiting = threading.Thread(target=feed.collect, args=("a", 0.01))
        waiting.start()
        waiting.join()
    assert loops() == before


class TestManyThreads:
    """As in a server without gevent: writers, followers that are cut again and again, and a feed that can hold ten events."""

    def follow(self, feed: Feed, selection: Selection, seed: int) -> list[int]:
        """Follow until every topic has ended, coming back with the newest id after every cut."""
        chance, received, running = random.Random(seed), [0], set(selection.topics)
        while running:
            follower = Follower(feed, selection, received[-1])
            for _ in range(chance.randrange(1, 30)):
                events = follower.take(1) if running else []
                received += ids(events)
                running.difference_update(event.topic for event in events if event.ends)
            follower.leave()
        return received[1:]

    def test_nothing_is_lost_doubled_or_reordered(self, log: SqlEventLog, open_log, monkeypatch):
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=10))
        monkeypatch.setattr(petstore.sse.feed, "POLL_S", 0.05)
        monkeypatch.setattr(petstore.sse.subscription, "PAGE", 3)
        feed, found = Feed(log), {}
        feed.start()

        def write(writer: Any, topic: str) -> None:
            for n in range(100):
                append_to(writer, *[topic] * (1 + n % 2))
            append_to(writer, topic, type=COMPLETE)

        def read(index: int, selection: Selection) -> None:
            found[index] = self.follow(feed, selection, index)
            close_own_loop()

        selections = [A, B, AB] * 2
        work: list[Callable[[], None]] = [partial(write, open_log(), topic) for topic in "ab"]
        work += [partial(read, *numbered) for numbered in enumerate(selections)]
        threads = [threading.Thread(target=one) for one in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        feed.stop()
        for index, selection in enumerate(selections):
            assert found[index] == ids([event for event in everything(log) if event.topic in selection.topics])
        assert feed.pump._groups == {}
