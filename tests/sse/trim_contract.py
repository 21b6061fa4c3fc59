"""The part of the event log's contract that is about removing: retention, and subjects that no longer exist."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petstore.sse import COMPLETE, ERROR, Draft, Event, EventLog, Transaction
from petstore.sse.event_log import Extent

EVERYTHING = 1_000_000

NO_FIXTURE_IS_MADE_ANEW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


def append(log: EventLog, *topics: str, type: str = "news", **data: Any) -> list[Event]:
    return log.write(lambda transaction: transaction.append([Draft(topic, type, data) for topic in topics]))


def everything(log: EventLog) -> list[Event]:
    return log.read(None, 0, EVERYTHING)


def trim_all(log: EventLog, before: int, limit: int = 3) -> None:
    while log.trim(before, limit):
        pass


class RetentionContract:
    def test_what_is_older_is_removed_in_slices_and_the_rest_stays(self, log):
        old, new = append(log, *"ababa"), append(log, *"ab")
        assert log.trimmed() == 0
        assert log.trim(new[0].id, 2) == 2
        assert log.trimmed() == old[1].id
        assert everything(log) == old[2:] + new
        trim_all(log, new[0].id)
        assert everything(log) == new
        assert log.trim(new[0].id, 2) == 0

    def test_an_event_of_that_very_moment_stays(self, log):
        (event,) = append(log, "a")
        assert log.trim(event.id, 10) == 0
        assert everything(log) == [event]

    def test_what_was_removed_is_remembered_for_each_topic(self, log):
        appended = append(log, *"abac")
        trim_all(log, appended[3].id)
        assert log.extents("abcd") == {
            "a": Extent(appended[2].id, None, None),
            "b": Extent(appended[1].id, None, None),
            "c": Extent(0, appended[3].id, None),
            "d": Extent(),
        }

    def test_memory_moves_on_with_the_next_trim(self, log):
        first, second, third = append(log, "a", "a", "a")
        trim_all(log, second.id)
        assert log.extents(["a"])["a"] == Extent(first.id, second.id, None)
        trim_all(log, third.id)
        assert log.extents(["a"])["a"] == Extent(second.id, third.id, None)

    @pytest.mark.parametrize("ending", [COMPLETE, ERROR])
    def test_the_event_that_ended_a_topic_stays(self, log, ending):
        append(log, "a", "a", "b")
        (final,) = append(log, "a", type=ending)
        append(log, "b")
        trim_all(log, log.head() + 1, limit=2)
        assert everything(log) == [final]
        assert log.extents(["a"])["a"].final_id == log.extents(["a"])["a"].oldest_id == final.id
        assert log.topic_of(final.id) == "a"

    def test_a_log_of_endings_alone_is_trimmed_to_an_end(self, log):
        append(log, *"abcdefg", type=COMPLETE)
        trim_all(log, log.head() + 1, limit=2)
        assert len(everything(log)) == 7
        assert log.extents(["a"])["a"].trimmed_id == 0, "nothing of it was lost"

    def test_trimming_changes_neither_head_nor_origin(self, log, open_log):
        before = append(log, "a", "b")[-1].id
        origin = log.origin()
        trim_all(log, before + 1)
        assert everything(log) == []
        assert (log.head(), open_log().origin()) == (before, origin)
        assert append(log, "a")[0].id > before

    def test_an_older_limit_after_a_newer_one_removes_nothing(self, log):
        appended = append(log, *"aaaa")
        trim_all(log, appended[2].id)
        assert log.trim(appended[1].id, 10) == 0
        assert everything(log) == appended[2:]

    @NO_FIXTURE_IS_MADE_ANEW
    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["news", "news", COMPLETE])), max_size=12),
        st.integers(0, 12),
        st.integers(1, 5),
    )
    def test_an_extent_tells_exactly_what_is_gone(self, log, drafts, kept, limit):
        log.write(lambda transaction: log.forget(transaction, "abc"))
        appended = log.write(lambda transaction: transaction.append([Draft(topic, type, {}) for topic, type in drafts]))
        old = appended[: max(0, len(appended) - kept)]
        trim_all(log, old[-1].id + 1 if old else 0, limit)
        gone = [event for event in old if event.type != COMPLETE]
        assert everything(log) == [event for event in appended if event not in gone]
        for topic, extent in log.extents("abc").items():
            assert extent.trimmed_id == max(_ids(gone, topic), default=0)
            assert extent.oldest_id == min(set(_ids(appended, topic)) - set(_ids(gone, topic)), default=None)


def _ids(events: Sequence[Event], topic: str) -> list[int]:
    return [event.id for event in events if event.topic == topic]


class TrimContract(RetentionContract):
    def test_every_trace_of_the_topics_goes_and_of_no_other(self, log):
        append(log, *"abab")
        trim_all(log, append(log, "a", "b", "c")[0].id)
        log.write(lambda transaction: log.forget(transaction, ["a", "c"]))
        assert [event.topic for event in everything(log)] == ["b"]
        assert log.extents("ac") == {"a": Extent(), "c": Extent()}
        assert log.extents("b")["b"].trimmed_id > 0

    def test_any_number_of_topics_can_be_forgotten_at_once(self, log):
        topics = [str(number) for number in range(1300)]

        def forget(transaction: Transaction) -> None:
            driver = transaction.connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            most = driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
            log.forget(transaction, topics)
            driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, most)

        append(log, *topics, "a")
        log.write(forget)
        assert [event.topic for event in everything(log)] == ["a"]

    def test_forgetting_is_part_of_the_transaction(self, log):
        def work(transaction: Transaction) -> None:
            log.forget(transaction, ["a"])
            raise ZeroDivisionError

        appended = append(log, "a")
        with pytest.raises(ZeroDivisionError):
            log.write(work)
        assert everything(log) == appended

    def test_a_forgotten_id_is_never_given_out_again(self, log):
        appended = append(log, "a", "a")
        log.write(lambda transaction: log.forget(transaction, ["a"]))
        assert append(log, "a")[0].id > appended[-1].id
