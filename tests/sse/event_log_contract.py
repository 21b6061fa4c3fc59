"""What every event log must do, whatever it's built on: the sentences of `petstore/sse/event_log.py` as tests.

A backend joins with a subclass that overrides the fixture `open_log`: a function that returns one more log on the same,
new database, as another process would open it, and that works in a forked process too. The database also has the table
`changes` (see conftest), and everything that was opened is closed after the test.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from petstore.sse import COMPLETE, ERROR, Draft, Event, EventLog, Transaction, close_own_loop
from petstore.sse.error import InvalidEvent
from petstore.sse.event_log import Extent
from tests.sse.conftest import changes
from tests.sse.other_process import PATIENCE_S, OtherProcess
from tests.sse.trim_contract import TrimContract

OpenLog = Callable[[], EventLog]

EVERYTHING = 1_000_000


class Refused(Exception):
    """What a unit of work raises here to be rolled back."""


def append(log: EventLog, *topics: str, type: str = "news", **data: Any) -> list[Event]:
    return log.write(lambda transaction: transaction.append([Draft(topic, type, data) for topic in topics]))


def ids(events: Sequence[Event]) -> list[int]:
    return [event.id for event in events]


def everything(log: EventLog) -> list[Event]:
    return log.read(None, 0, EVERYTHING)


def count_changes(log: EventLog) -> int:
    return log.query(lambda connection: _count(connection, "changes"))


class IdContract:
    def test_an_id_is_the_time_in_microseconds(self, log):
        before = time.time_ns() // 1000
        (event,) = append(log, "a")
        assert before <= event.id <= time.time_ns() // 1000

    def test_ids_increase_in_the_order_of_the_drafts(self, log):
        first, second = append(log, "a", "b", "a"), append(log, "b", "a")
        found = ids(first + second)
        assert found == sorted(set(found))
        assert [event.topic for event in everything(log)] == ["a", "b", "a", "b", "a"]

    def test_several_appends_in_one_transaction_are_in_order(self, log):
        def work(transaction: Transaction) -> list[Event]:
            return [event for n in range(5) for event in transaction.append([Draft("a", "news", {"n": n})] * 3)]

        appended = log.write(work)
        assert everything(log) == appended
        assert ids(appended) == sorted(set(ids(appended)))

    def test_a_clock_that_jumps_back_takes_no_id_along(self, log, open_log, monkeypatch):
        (before,) = append(log, "a")
        an_hour_ago = time.time_ns() - 3_600_000_000_000
        monkeypatch.setattr(time, "time_ns", lambda: an_hour_ago)
        after = append(log, "a", "a") + append(open_log(), "a")
        assert ids([before, *after]) == [before.id, before.id + 1, before.id + 2, before.id + 3]

    def test_a_clock_that_goes_on_is_followed_again(self, log, monkeypatch):
        now = time.time_ns() + 3_600_000_000_000
        monkeypatch.setattr(time, "time_ns", lambda: now)
        assert ids(append(log, "a", "b")) == [now // 1000, now // 1000 + 1]

    def test_an_id_fits_in_the_integers_of_javascript(self, log):
        assert append(log, *["a"] * 1000)[-1].id < 2**53

    def test_ids_increase_across_threads(self, log, open_log):
        logs = [log, log, open_log(), open_log()]

        def write(log: EventLog) -> list[Event]:
            return [event for _ in range(15) for event in append(log, "a", "b")]

        with ThreadPoolExecutor(len(logs)) as pool:
            written = list(pool.map(write, logs))
        for events in written:
            assert ids(events) == sorted(set(ids(events)))
        assert ids(everything(log)) == sorted(id for events in written for id in ids(events))

    def test_no_id_ever_appears_behind_one_that_a_reader_has_seen(self, open_log):
        def write(tell: Any, seed: int) -> list[int]:
            random.seed(seed)
            log, written = open_log(), []
            for n in range(60):
                events = log.write(lambda transaction, n=n: _slow_append(transaction, n))
                written += ids(events)
            return written

        writers = [OtherProcess(write, seed) for seed in range(3)]
        log = open_log()
        threads = [threading.Thread(target=lambda: [append(log, "a") for _ in range(60)]) for _ in range(2)]
        for thread in threads:
            thread.start()
        seen: list[int] = []
        while len(seen) < 3 * 60 * 2 + 2 * 60:
            seen += ids(log.read(None, seen[-1] if seen else 0, 7))
        for thread in threads:
            thread.join()
        written = [id for writer in writers for id in writer.end()]
        assert set(written) <= set(seen)
        assert seen == ids(everything(log))


def _slow_append(transaction: Transaction, n: int) -> list[Event]:
    events = transaction.append([Draft("a", "news", {"n": n})])
    time.sleep(random.random() / 2000)  # Others get the chance to pass between the id and the commit.
    return events + transaction.append([Draft("b", "news", {"n": n})])


class TransactionContract:
    def test_what_was_written_is_read_by_every_log(self, log, open_log):
        data = {"text": 'Grüße 🐶 " \\ \n \r \0 \u2028', "list": [1, 2.5, None, True], "empty": {}}
        (event,) = append(log, "orders/1", type="message", **data)
        assert open_log().read(["orders/1"], 0, 10) == [event]
        assert event.value() == data
        assert (event.topic, event.type) == ("orders/1", "message")

    def test_a_lone_surrogate_spoils_no_transaction(self, log):
        (event,) = append(log, "a", text="\ud800x")
        assert everything(log) == [event]
        assert event.value() == {"text": "?x"}

    def test_a_large_event_comes_back_whole(self, log):
        (event,) = append(log, "a", text="x" * 2_000_000)
        assert everything(log) == [event]

    def test_the_result_of_the_work_is_returned(self, log):
        assert log.write(lambda transaction: transaction.append([])) == []
        assert log.write(lambda _: "done") == "done"
        assert everything(log) == []

    def test_what_the_work_raises_comes_out_as_it_is_and_leaves_nothing_behind(self, log, open_log):
        head = log.head()

        def work(transaction: Transaction) -> None:
            transaction.append([Draft("a", "news", {})])
            transaction.connection.execute(insert(changes).values(n=1))
            raise Refused

        with pytest.raises(Refused):
            log.write(work)
        for reader in (log, open_log()):
            assert everything(reader) == []
            assert count_changes(reader) == 0
            assert reader.head() == head
        assert append(log, "a")[0].id > head

    @pytest.mark.parametrize("data", [{"price": float("nan")}, {"pet": object()}])
    def test_data_that_is_not_json_is_refused_and_leaves_nothing_behind(self, log, data):
        with pytest.raises((ValueError, TypeError)):
            append(log, "a", **data)
        with pytest.raises(InvalidEvent):
            append(log, "a", type="a\nid: 1")
        assert everything(log) == []

    def test_a_change_and_its_event_are_seen_together(self, open_log):
        def write(tell: Any) -> None:
            log = open_log()
            for n in range(100):
                log.write(lambda transaction, n=n: _change(transaction, n))

        writer, log = OtherProcess(write), open_log()
        seen = 0
        while seen < 100:
            seen, rows = log.query(lambda connection: (_count(connection, "events"), _count(connection, "changes")))
            assert seen == rows
        writer.end()

    def test_a_writer_that_is_killed_leaves_no_change_without_its_event(self, open_log):
        def write(tell: Any) -> None:
            log = open_log()
            for n in range(count_changes(log), EVERYTHING):
                log.write(lambda transaction, n=n: _change(transaction, n))
                tell(n)

        for _ in range(3):
            writer = OtherProcess(write)
            for _ in range(5):
                writer.next()
            writer.kill()
        log = open_log()
        numbers = [event.value()["n"] for event in everything(log)]
        assert len(numbers) >= 15
        assert numbers == list(range(count_changes(log)))

    def test_a_query_sees_one_moment(self, log, open_log):
        other = open_log()
        append(log, "a")

        def work(connection: Connection) -> tuple[int, int]:
            head = log.head(connection)
            append(other, "a")
            return head, log.head(connection)

        before, after = log.query(work)
        assert before == after < log.head()


def _change(transaction: Transaction, n: int) -> None:
    transaction.append([Draft("a", "news", {"n": n})])
    transaction.connection.execute(insert(changes).values(n=n))


def _count(connection: Connection, table: str) -> int:
    count: int = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
    return count


class ReadContract:
    def test_reads_go_on_where_the_last_one_ended(self, log):
        appended = append(log, *"abcab")
        assert log.read(None, appended[1].id, 2) == appended[2:4]
        assert log.read(None, appended[-1].id, 2) == []
        assert log.read(None, appended[0].id - 1, 1) == appended[:1]

    def test_an_id_between_two_events_is_a_cursor_too(self, log):
        first, second = append(log, "a"), append(log, "a")
        between = (first[0].id + second[0].id) // 2
        assert log.read(["a"], between, 10) == second

    def test_topics_come_merged_in_the_order_of_ids(self, log):
        appended = append(log, *"abcabcabc")
        wanted = [event for event in appended if event.topic in "ac"]
        assert log.read(["c", "a"], 0, 10) == wanted
        assert log.read(["c", "a"], wanted[0].id, 4) == wanted[1:5]

    def test_a_topic_that_is_named_twice_is_read_once(self, log):
        appended = append(log, "a", "a")
        assert log.read(["a", "b", "a"], 0, 10) == appended

    def test_unknown_topics_have_no_events(self, log):
        append(log, "a")
        assert log.read(["b", "A", "a%", "a'--"], 0, 10) == []
        assert log.read([], 0, 10) == []

    def test_the_head_is_the_newest_id(self, log, open_log):
        assert log.origin() <= log.head()
        appended = append(log, "a", "b")
        assert open_log().head() == appended[-1].id == log.query(log.head)

    def test_the_origin_lies_below_every_id_and_stays(self, log, open_log):
        origin = log.origin()
        (event,) = append(log, "a")
        assert 0 < origin < event.id
        assert open_log().origin() == origin

    def test_topic_of_tells_whose_an_id_is(self, log):
        a, b = append(log, "a", "b")
        assert (log.topic_of(a.id), log.topic_of(b.id), log.topic_of(b.id + 1), log.topic_of(0)) == ("a", "b", None, None)

    @pytest.mark.parametrize("ending", [COMPLETE, ERROR])
    def test_an_extent_tells_the_oldest_and_the_final_id(self, log, ending):
        first, second = append(log, "a"), append(log, "a", "b")
        final = append(log, "a", type=ending)
        assert log.extents(["a", "b", "c"]) == {
            "a": Extent(0, first[0].id, final[0].id),
            "b": Extent(0, second[1].id, None),
            "c": Extent(),
        }


class WaitContract:
    def test_nothing_appended_is_nothing_heard(self, log):
        assert log.wait(0) is False
        assert log.wait(0.01) is False

    def test_an_append_is_heard_by_its_own_log(self, log):
        log.wait(0)
        append(log, "a")
        assert log.wait(PATIENCE_S) is True
        assert log.wait(0) is False, "it was heard once"

    def test_an_append_before_the_wait_is_heard_once_all_the_same(self, log, open_log):
        log.wait(0)
        other = open_log()
        for _ in range(50):
            append(other, "a")
        assert log.wait(PATIENCE_S) is True
        assert log.wait(0) is False

    def test_what_was_heard_can_be_read(self, log, open_log):
        def follow(tell: Any) -> list[int]:
            log = open_log()
            seen: list[int] = []
            log.wait(0)
            tell("ready")
            while len(seen) < 50:
                assert log.wait(PATIENCE_S)
                seen += ids(log.read(None, seen[-1] if seen else 0, EVERYTHING))
            return seen

        followers = [OtherProcess(follow) for _ in range(2)]
        for follower in followers:
            assert follower.next() == "ready"
        written = [id for _ in range(50) for id in ids(append(log, "a"))]
        assert [follower.end() for follower in followers] == [written, written]

    def test_a_thread_that_waits_is_woken(self, log, open_log):
        log.wait(0)
        heard: list[bool] = []

        def wait() -> None:
            heard.append(log.wait(PATIENCE_S))
            close_own_loop()

        waiting = threading.Thread(target=wait)
        waiting.start()
        append(open_log(), "a")
        waiting.join()
        assert heard == [True]

    def test_whoever_waits_can_be_woken_without_an_event(self, log, open_log):
        log.wait(0)
        open_log().wake()
        assert log.wait(PATIENCE_S) is True
        assert everything(log) == []
        log.wake()
        assert log.wait(PATIENCE_S) is True

    def test_a_follower_that_was_killed_is_in_nobody_s_way(self, log, open_log):
        def follow(tell: Any) -> None:
            log = open_log()
            log.wait(0)
            tell("ready")
            log.wait(PATIENCE_S)
            tell("woken")
            log.wait(PATIENCE_S)

        follower = OtherProcess(follow)
        follower.next()
        append(log, "a")
        assert follower.next() == "woken"
        follower.kill()
        log.wait(0)
        assert append(log, "a", "b") == everything(log)[1:]
        assert log.wait(PATIENCE_S)

    def test_a_follower_that_never_listens_blocks_no_writer(self, log, open_log):
        open_log().wait(0)
        for _ in range(300):
            append(log, "a")
        assert len(everything(log)) == 300

    def test_a_log_that_was_closed_can_be_used_again(self, log):
        log.wait(0)
        append(log, "a")
        log.close()
        assert len(everything(log)) == 1
        log.wait(0)
        append(log, "a")
        assert log.wait(PATIENCE_S)


class EventLogContract(IdContract, TransactionContract, ReadContract, WaitContract, TrimContract):
    """The whole of it."""

    @pytest.fixture
    def log(self, open_log: OpenLog) -> EventLog:
        return open_log()
