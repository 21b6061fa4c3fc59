"""Cursors: what clients send, where their stream begins, and the gaps that they are told of."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petstore.sse import COMPLETE, ERROR, Event, Gap, InvalidCursor, Opening, Requested, open_at, read_id, read_since
from petstore.sse.cursor import CLOCK_SKEW_S, MAX_LENGTH
from petstore.sse.event_log import Extent
from petstore.sse.ring import Ring

NOW = datetime(2026, 3, 13, 10, 30, 0, 123456, tzinfo=UTC)
NOW_ID = 1773397800123456

NOT_OURS = [
    "",
    " ",
    "x",
    "-1",
    "+1",
    "1.0",
    "1e3",
    "1_000",
    " 1",
    "1 ",
    "1\n",
    "0x1f",
    "١٢٣",
    "\uff11\uff12",
    "²",
    "1" * 19,
    "9" * MAX_LENGTH,
    "1\0",
    "550e8400-e29b-41d4-a716-446655440000",
    "1773397800123456,1773397800123457",
]


class TestReadId:
    @pytest.mark.parametrize(("text", "id"), [("0", 0), ("1773397800123456", NOW_ID), ("007", 7), ("9" * 18, 10**18 - 1)])
    def test_a_number_is_an_id(self, text, id):
        assert read_id(text) == Requested(id, text, held=True)

    @pytest.mark.parametrize("text", NOT_OURS)
    def test_anything_else_can_not_be_one_of_ours(self, text):
        assert read_id(text) == Requested(None, text, held=True)

    @given(st.text())
    def test_no_text_breaks_it(self, text):
        id = read_id(text).id
        assert id is None or 0 <= id < 2**63


class TestReadSince:
    @pytest.mark.parametrize(
        ("text", "age"),
        [
            ("90s", timedelta(seconds=90)),
            ("10m", timedelta(minutes=10)),
            ("1h30m", timedelta(hours=1, minutes=30)),
            ("2d", timedelta(days=2)),
            ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
            ("0s", timedelta()),
            ("000010m", timedelta(minutes=10)),
        ],
    )
    def test_a_duration_reaches_back_from_now(self, text, age):
        # The cursor lies just below that moment: an event of the very microsecond is wanted.
        assert read_since(text, NOW) == Requested(NOW_ID - age // timedelta(microseconds=1) - 1, text, held=False)

    @pytest.mark.parametrize("text", ["999999d", "999999d999999h999999m999999999s"])
    def test_a_duration_longer_than_history_means_from_the_beginning(self, text):
        assert read_since(text, NOW).id == 0

    @pytest.mark.parametrize(
        "text",
        [
            "2026-03-13T10:30:00.123456Z",
            "2026-03-13T11:30:00.123456+01:00",
            "2026-03-12T23:00:00.123456-11:30",
            "2026-03-13T10:30:00.1234569Z",
            "2026-03-13T10:30:30Z",
            "2026-03-13T10:31:00.123456Z",
        ],
    )
    def test_a_time_is_a_moment_and_a_clock_a_little_ahead_means_now(self, text):
        assert read_since(text, NOW) == Requested(NOW_ID - 1, text, held=False)

    @pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"])
    def test_a_time_before_all_ids_means_from_the_beginning(self, text):
        assert read_since(text, NOW).id == 0

    @given(st.integers(1, NOW_ID), st.integers(-24 * 60 + 1, 24 * 60 - 1))
    def test_the_time_of_an_event_includes_it_and_not_the_one_before(self, id, offset_minutes):
        zone = timezone(timedelta(minutes=offset_minutes))
        moment = datetime.fromtimestamp(0, zone) + timedelta(microseconds=id)
        assert read_since(moment.isoformat(), NOW).id == id - 1

    @pytest.mark.parametrize("text", ["2026-03-13T10:31:00.123457Z", "2027-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"])
    def test_the_future_is_refused(self, text):
        assert datetime.fromisoformat(text) > NOW + timedelta(seconds=CLOCK_SKEW_S)
        with pytest.raises(InvalidCursor, match="future"):
            read_since(text, NOW)

    @pytest.mark.parametrize("text", ["2026-03-13T10:30:00", "2026-03-13", "20260313"])
    def test_a_time_without_a_zone_is_refused(self, text):
        with pytest.raises(InvalidCursor, match="time zone"):
            read_since(text, NOW)

    @pytest.mark.parametrize(
        "text",
        [
            *("", " ", "10", "m", "10 m", " 10m", "10m ", "10m\n", "-10m", "+10m", "1.5h", "10M", "10ms", "5w", "30m1h", "1m1m"),
            *(
                "\uff11\uff10m",
                "\u0661m",
                "1" * 7 + "d",
                "all",
                "now",
                "1773397800123456",
                "2026-13-01T00:00:00Z",
                "2026-02-30T00:00:00Z",
            ),
            *("2026-03-13T10:30:00 01:00", "٢٠٢٦-03-13T10:30:00Z", "T10:30:00Z", "\ud800"),
            *("2026-03-13T10:30:00+24:00", "99999-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ],
    )
    def test_anything_else_is_refused_and_the_refusal_says_what_is_allowed(self, text):
        with pytest.raises(InvalidCursor) as caught:
            read_since(text, NOW)
        assert caught.value.parameter == "since"
        assert "10m" in caught.value.reason

    @given(st.text() | st.from_regex(r"[0-9dhmsTZ:+.-]{1,40}", fullmatch=True))
    def test_no_text_breaks_it(self, text):
        try:
            asked = read_since(text, NOW)
        except InvalidCursor:
            return
        assert asked.id is not None
        assert 0 <= asked.id < NOW_ID


class TestOpenAt:
    """`append` makes one event; `log` is the same log."""

    @pytest.mark.parametrize("otherwise", [0, None])
    def test_a_client_that_holds_nothing_begins_where_the_stream_does(self, log, append, otherwise):
        append()
        assert open_at(log, ["a"], None, otherwise) == Opening(otherwise)

    def test_a_known_id_is_gone_on_from(self, log, append):
        first = append()
        append()
        assert open_at(log, ["a"], read_id(str(first.id)), None) == Opening(first.id)

    def test_the_newest_id_is_known(self, log, append):
        head = append()
        assert open_at(log, ["a"], read_id(str(head.id)), None) == Opening(head.id)
        assert open_at(log, ["b"], read_id(str(head.id)), None) == Opening(head.id)

    def test_the_id_of_an_empty_log_s_head_is_known(self, log):
        # A snapshot that was read before anything had happened carries it.
        assert open_at(log, ["a"], read_id(str(log.head())), None) == Opening(log.head())

    def test_an_id_between_two_events_is_known_too(self, log, append):
        first = append()
        append()
        assert open_at(log, ["a"], read_id(str(first.id + 1)), None) == Opening(first.id + 1)

    @pytest.mark.parametrize("text", [text for text in NOT_OURS if text])
    @pytest.mark.parametrize("otherwise", [0, None])
    def test_an_id_that_is_not_ours_is_told_as_a_gap(self, log, append, text, otherwise):
        oldest = append()
        assert open_at(log, ["a", "b"], read_id(text), otherwise) == Opening(
            otherwise, (Gap("a", text, oldest.id), Gap("b", text, None))
        )

    @pytest.mark.parametrize("off", ["before the origin", "in the future", "zero", "far"])
    def test_an_id_that_this_log_never_gave_out_is_told_as_a_gap(self, log, append, off):
        oldest = append()
        id = {"before the origin": log.origin() - 1, "in the future": log.head() + 1, "zero": 0, "far": 10**18 - 1}[off]
        assert open_at(log, ["a"], read_id(str(id)), None) == Opening(None, (Gap("a", id, oldest.id),))

    def test_an_id_that_retention_has_passed_is_told_as_a_gap(self, log, append):
        held, gone, kept = append(), append(), append()
        log.trim(kept.id, 100)
        expected = Opening(held.id, (Gap("a", held.id, kept.id),))
        assert open_at(log, ["a"], read_id(str(held.id)), None) == expected
        assert open_at(log, ["a"], read_id(str(gone.id)), None) == Opening(gone.id), "it has had all that is gone"

    def test_a_gap_says_when_nothing_at_all_is_left(self, log, append):
        held, gone = append(), append()
        log.trim(gone.id + 1, 100)
        assert open_at(log, ["a"], read_id(str(held.id)), 0).gaps == (Gap("a", held.id, None),)

    def test_a_topic_that_lost_nothing_has_no_gap(self, log, append):
        held = append("a")
        append("b")
        kept = append("a")
        log.trim(kept.id, 100)
        assert open_at(log, ["a"], read_id(str(held.id)), None) == Opening(held.id)
        assert [gap.topic for gap in open_at(log, ["a", "b"], read_id(str(held.id)), None).gaps] == ["b"]

    def test_a_client_that_holds_nothing_is_told_of_no_gap(self, log, append):
        append()
        log.trim(log.head() + 1, 100)
        assert open_at(log, ["a"], None, 0).gaps == ()

    @pytest.mark.parametrize("ending", [COMPLETE, ERROR])
    def test_nothing_follows_the_end_of_a_topic(self, log, append, ending):
        before, final = append(), append(type=ending)
        assert open_at(log, ["a"], read_id(str(before.id)), 0) == Opening(before.id)
        ended = Opening(final.id, ended=True, over=frozenset("a"))
        assert open_at(log, ["a"], read_id(str(final.id)), 0) == ended

    def test_a_topic_has_ended_even_when_retention_has_removed_the_rest(self, log, append):
        held, _, final = append(), append(), append(type=COMPLETE)
        log.trim(log.head() + 1, 100)
        assert open_at(log, ["a"], read_id(str(final.id)), 0).ended
        assert open_at(log, ["a"], read_id(str(held.id)), 0) == Opening(held.id, (Gap("a", held.id, final.id),))

    def test_of_several_topics_those_that_had_ended_are_over(self, log, append):
        final, running = append("a", COMPLETE), append("b")
        assert open_at(log, ["a", "b"], read_id(str(running.id)), None) == Opening(running.id, over=frozenset("a"))
        last = append("b", COMPLETE)
        assert open_at(log, ["a", "b"], read_id(str(final.id)), None) == Opening(final.id, over=frozenset("a"))
        assert open_at(log, ["a", "b"], read_id(str(last.id)), None).ended
        assert open_at(log, ["a", "b"], None, 0) == Opening(0), "from the beginning there is all of it to tell"

    def test_a_gap_is_told_even_where_all_has_ended(self, log, append):
        append(type=COMPLETE)
        opening = open_at(log, ["a"], read_id("no id of ours"), None)
        assert not opening.ended
        assert len(opening.gaps) == 1

    def test_since_goes_on_from_its_moment(self, log, append):
        append()
        moment = datetime.now(UTC)
        wanted = append()
        opening = open_at(log, ["a"], read_since(moment.isoformat(), datetime.now(UTC)), None)
        assert opening.cursor is not None
        assert log.read(["a"], opening.cursor, 10) == [wanted]
        assert opening.gaps == ()

    def test_since_before_the_log_was_made_is_no_gap(self, log, append):
        event = append()
        opening = open_at(log, ["a"], read_since("2d", datetime.now(UTC)), None)
        assert opening.gaps == ()
        assert opening.cursor is not None
        assert log.read(["a"], opening.cursor, 10) == [event]

    def test_since_before_what_retention_has_left_is_a_gap(self, log, append):
        append()
        kept = append()
        log.trim(kept.id, 100)
        asked = read_since("2d", datetime.now(UTC))
        assert asked.id is not None
        assert open_at(log, ["a"], asked, None) == Opening(asked.id, (Gap("a", asked.id, kept.id),))


class TestOpenAtByTheRing:
    """What a ring answers is what the log would have answered, and it answers only what it knows."""

    @pytest.fixture
    def ring(self, log):
        """Return a ring that follows the log from now on, once it's told to `catch_up`."""
        return Ring(log.head())

    @staticmethod
    def catch_up(ring, log):
        ring.add(log.read(None, ring.head, 100))

    @given(
        written=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["news", "news", COMPLETE])), max_size=12),
        start=st.integers(0, 12),
        asked=st.integers(-1, 12),
        topics=st.sampled_from(["a", "ab", "abc"]),
    )
    def test_it_says_what_the_log_says(self, written, start, asked, topics):
        log = LogInMemory(Event(10 * number + 100, topic, type, "{}") for number, (topic, type) in enumerate(written))
        ring = Ring(log.events[start - 1].id if 0 < start <= len(written) else log.origin())
        self.catch_up(ring, log)
        id = log.events[asked].id if 0 <= asked < len(written) else log.origin()
        opened = (open_at(log, topics, read_id(str(id)), 0, by) for by in (ring, None))  # type: ignore[arg-type]
        assert next(opened) == next(opened)

    def test_the_log_is_not_asked(self, ring, log, append):
        held, _ = append(), append()
        self.catch_up(ring, log)
        assert open_at(None, ["a"], read_id(str(held.id)), 0, ring) == Opening(held.id)  # type: ignore[arg-type]

    def test_what_the_ring_still_has_is_no_gap_whatever_retention_has_removed(self, ring, log, append):
        held, _, kept = append(), append(), append()
        self.catch_up(ring, log)
        log.trim(kept.id, 100)
        assert open_at(log, ["a"], read_id(str(held.id)), 0, ring) == Opening(held.id)

    def test_the_same_beside_a_topic_of_which_the_ring_knows_nothing(self, ring, log, append):
        held, _, kept = append(), append(), append()
        self.catch_up(ring, log)
        log.trim(kept.id, 100)
        asked = read_id(str(held.id))
        assert open_at(log, ["a", "b"], asked, None, ring) == Opening(held.id)
        ring.forget(log.trimmed())
        assert open_at(log, ["a", "b"], asked, None, ring) == Opening(held.id, (Gap("a", held.id, kept.id),))

    def test_the_log_is_asked_for_what_lies_before_the_ring(self, log, append):
        held, _, kept = append(), append(), append()
        ring = Ring(log.head())
        append()
        self.catch_up(ring, log)
        log.trim(kept.id, 100)
        assert open_at(log, ["a"], read_id(str(held.id)), 0, ring) == Opening(held.id, (Gap("a", held.id, kept.id),))

    def test_a_ring_that_has_not_begun_to_follow_hides_no_gap(self, log, append):
        held, _, kept = append(), append(), append()
        log.trim(kept.id, 100)
        assert open_at(log, ["a"], read_id(str(held.id)), 0, Ring(0)) == Opening(held.id, (Gap("a", held.id, kept.id),))

    def test_a_moment_ahead_of_the_log_is_its_head(self, ring, log, append):
        newest = append()
        asked = read_since("0s", datetime.now(UTC) + timedelta(hours=1))
        for by in (ring, None):
            assert open_at(log, ["a"], asked, None, by) == Opening(newest.id), "or what came before that moment would be left out"

    def test_the_log_is_asked_for_what_the_ring_has_not_heard_of_yet(self, ring, log, append):
        final = append(type=COMPLETE)
        assert open_at(log, ["a"], read_id(str(final.id)), 0, ring).ended

    def test_the_log_is_asked_whether_a_topic_ended_before_the_ring_began(self, log, append):
        append("a", COMPLETE)
        ring = Ring(log.head())
        other = append("b")
        self.catch_up(ring, log)
        assert open_at(log, ["a"], read_id(str(other.id)), 0, ring).ended

    def test_an_id_from_the_future_is_told_as_a_gap(self, ring, log, append):
        oldest = append()
        self.catch_up(ring, log)
        id = log.head() + 1
        assert open_at(log, ["a"], read_id(str(id)), None, ring) == Opening(None, (Gap("a", id, oldest.id),))


class LogInMemory:
    """As much of a log as `open_at` asks for. Nothing was ever removed from it."""

    def __init__(self, events):
        self.events = list(events)

    def origin(self):
        return 50

    def head(self):
        return self.events[-1].id if self.events else self.origin()

    def trimmed(self):
        return 0

    def read(self, topics, after, limit):
        return [event for event in self.events if event.id > after][:limit]

    def extents(self, topics):
        return {topic: self._extent([event for event in self.events if event.topic == topic]) for topic in topics}

    @staticmethod
    def _extent(events):
        return Extent(0, events[0].id, events[-1].id if events[-1].ends else None) if events else Extent()
