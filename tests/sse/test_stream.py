"""The body of a stream, chunk by chunk, where every chunk is yielded to the server; `stream_on_gevent.py` has the other path.

These tests run with real threads, as in the development server, and once more on gevent (`test_on_gevent.py`).
"""

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import petstore.sse.feed
import petstore.sse.stream
import petstore.sse.subscription
from petstore.sse import (
    COMPLETE,
    ERROR,
    Admission,
    Draft,
    Feed,
    Form,
    Gap,
    Opening,
    Selection,
    Stream,
    Terms,
    open_at,
    read_id,
)
from petstore.sse.event import encode_control
from petstore.sse.ring import Ring
from petstore.sse.stream import HEARTBEAT
from tests.sse.other_process import eventually
from tests.sse.reader import Reader

FIRST = b"retry: 2000\n: open\n"
FAR_FUTURE_S = 3600.0
FROM_THE_START, FROM_NOW = Opening(0), Opening(None)


@pytest.fixture
def admission() -> Admission:
    return Admission(10)


@pytest.fixture
def read(feed: Feed, admission: Admission) -> Iterator[Callable[..., Reader]]:
    """Return a function that makes a reader of one more stream; all are closed after the test."""
    readers: list[Reader] = []

    def make(
        opening: Opening = FROM_NOW,
        *topics: str,
        heartbeat_s: float = FAR_FUTURE_S,
        connection: Any = None,
        snapshot: Callable[[str], str] = "/snapshots/{}".format,
        **selection: Any,
    ) -> Reader:
        terms = Terms(heartbeat_s=heartbeat_s, failure={"status": 500})
        wanted = Selection(topics or ("a",), **selection)
        readers.append(Reader(Stream(feed, admission, terms, wanted, opening, snapshot, connection)))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()
    assert admission.open == 0
    assert feed.pump._groups == {}


class TestEvents:
    def test_the_first_bytes_come_before_there_is_any_event(self, read):
        assert read().next() == FIRST

    def test_an_event_is_one_chunk_as_it_was_encoded(self, read, append):
        reader = read()
        reader.next()
        event = append(n=1)
        assert reader.next() == event.encode(Form())

    def test_whatever_is_appended_after_the_first_bytes_comes(self, read, append, feed):
        for _ in range(20):
            reader = read()
            reader.next()
            event = append()
            eventually(lambda event=event: feed.ring.head >= event.id)
            assert reader.next() == event.encode(Form())
            reader.close()

    def test_only_the_topics_that_were_asked_for_come(self, read, append):
        reader = read(FROM_NOW, "a", "c")
        reader.next()
        events = [append(topic) for topic in "abcba"]
        reader.read_events(3)
        assert reader.ids == [event.id for event in events if event.topic != "b"]

    def test_a_replay_of_many_pages_is_followed_by_what_is_live(self, read, append, log, monkeypatch):
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=5))
        monkeypatch.setattr(petstore.sse.subscription, "PAGE", 7)
        drafts = [Draft("a", "news", {"n": n}) for n in range(100)]
        events = log.write(lambda transaction: transaction.append(drafts))
        reader = read(FROM_THE_START)
        reader.read_until(lambda: len(reader.ids) >= 50)
        events += [append() for _ in range(10)]
        reader.read_until(lambda: len(reader.ids) >= 110)
        assert reader.ids == [event.id for event in events]

    @pytest.mark.parametrize("named", [True, False])
    @pytest.mark.parametrize("with_topic", [True, False])
    def test_every_form_is_kept_to(self, read, append, named, with_topic):
        form = Form(named, with_topic)
        event = append(n=1)
        reader = read(FROM_THE_START, form=form)
        reader.read_events(1)
        assert reader.received[0].type == ("news" if named else "message")
        assert json.loads(reader.received[0].data) == ({"topic": "a", "n": 1} if with_topic else {"n": 1})
        assert reader.ids == [event.id]

    def test_what_is_not_wanted_does_not_come(self, read, append):
        reader = read(wanted=lambda event: event.value()["n"] % 2)
        reader.next()
        events = [append(n=n) for n in range(10)]
        reader.read_events(5)
        assert reader.ids == [event.id for event in events[1::2]]


class TestEnds:
    def test_complete_ends_the_stream(self, read, append):
        append()
        reader = read(FROM_THE_START)
        reader.read_events(1)
        final = append(type=COMPLETE)
        assert reader.read_to_the_end()[-1].type == COMPLETE
        assert reader.ids[-1] == final.id

    def test_error_ends_the_stream_and_is_told_once(self, read, append):
        append()
        error = append(type=ERROR)
        reader = read(FROM_THE_START)
        assert [received.type for received in reader.read_to_the_end()] == ["news", ERROR]
        assert reader.decoder.last_event_id == str(error.id)

    def test_of_several_topics_the_last_end_is_the_end(self, read, append):
        reader = read(FROM_NOW, "a", "b")
        reader.next()
        append("a", COMPLETE)
        append("b")
        reader.read_events(2)
        append("b", COMPLETE)
        assert [event.type for event in reader.read_to_the_end()] == [COMPLETE]

    def test_a_topic_that_had_ended_before_is_not_waited_for(self, read, append, log):
        append("a", COMPLETE)
        held = append("b")
        final = append("b", COMPLETE)
        reader = read(open_at(log, ["a", "b"], read_id(str(held.id)), None), "a", "b")
        reader.read_to_the_end()
        assert reader.ids == [final.id]

    def test_a_stream_of_topics_that_are_all_over_ends_at_once(self, read):
        assert read(Opening(None, over=frozenset("a"))).read_to_the_end() == []

    def test_an_end_comes_even_where_it_is_not_wanted(self, read, append):
        reader = read(wanted=lambda event: False)
        reader.next()
        append()
        append(type=COMPLETE)
        assert [event.type for event in reader.read_to_the_end()] == [COMPLETE]


class TestGaps:
    def test_a_gap_comes_first_without_an_id(self, read, append):
        event = append()
        reader = read(Opening(0, (Gap("a", 123, event.id),)))
        gap = {"requestedId": 123, "oldestId": event.id, "snapshot": "/snapshots/a"}
        assert reader.next() == FIRST + encode_control("gap", gap)
        assert reader.decoder.last_event_id == ""
        reader.next()
        assert reader.ids == [event.id]

    def test_each_topic_has_a_gap_of_its_own_that_names_it_where_events_do(self, read):
        gaps = (Gap("a", "no id", None), Gap("b", "no id", 7))
        reader = read(Opening(None, gaps), "a", "b", form=Form(with_topic=True))
        reader.next()
        assert [json.loads(gap.data) for gap in reader.received] == [
            {"topic": "a", "requestedId": "no id", "oldestId": None, "snapshot": "/snapshots/a"},
            {"topic": "b", "requestedId": "no id", "oldestId": 7, "snapshot": "/snapshots/b"},
        ]

    def test_the_snapshot_is_asked_for_while_the_request_is_at_hand(self, read):
        asked: list[str] = []
        reader = read(Opening(None, (Gap("a", 1, None),)), snapshot=lambda topic: asked.append(topic) or "/")
        assert asked == ["a"]
        reader.next()
        assert asked == ["a"]

    def test_what_a_client_sent_can_not_break_out_of_the_gap(self, read):
        reader = read(Opening(None, (Gap("a", "1\n\nevent: forged\ndata: x\n\n\0\r\ud800", None),)))
        reader.next()
        assert [event.type for event in reader.received] == ["gap"]


class TestRetention:
    @pytest.fixture
    def behind(self, read, append, log, feed, monkeypatch):
        """A stream that has read its first page of topic `a`, of which nothing is in memory any more."""
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=1))
        monkeypatch.setattr(petstore.sse.subscription, "PAGE", 2)
        events = [append(n=n) for n in range(5)]
        reader = read(FROM_THE_START, "a", "b")
        reader.read_events(2)
        events.append(append("b"))
        eventually(lambda: feed.ring.head == events[-1].id)
        return reader, events

    def test_who_is_overtaken_is_sent_away_and_told_the_gap_when_it_comes_back(self, behind, read, log, feed):
        reader, events = behind
        log.trim(events[4].id, 100)
        assert [event.type for event in reader.read_to_the_end()] == ["goodbye"]
        assert json.loads(reader.received[-1].data) == {"reason": "behind"}
        opening = open_at(log, ["a", "b"], read_id(reader.decoder.last_event_id), 0, feed.ring)
        assert opening.gaps == (Gap("a", events[1].id, events[4].id),)
        again = read(opening, "a", "b")
        again.read_events(3)
        assert again.ids == [event.id for event in events[4:]], "a gap that was told ends nothing"

    @pytest.mark.parametrize("resumes", [False, True])
    def test_what_was_missing_when_it_began_sends_nobody_away(self, read, append, log, feed, monkeypatch, resumes):
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=1))
        held, ended, _, other = append(), append("b", COMPLETE), append(), append("other")
        log.trim(other.id, 100)
        reader = read(open_at(log, ["a", "b"], read_id(str(held.id)) if resumes else None, 0, feed.ring), "a", "b")
        reader.read_until(lambda: reader.ids)
        news = append()
        reader.read_until(lambda: len(reader.ids) >= 2)
        assert reader.ids == [ended.id, news.id]
        assert [event.type for event in reader.received] == ["gap"] * resumes + ["complete", "news"]

    @pytest.mark.parametrize("by_ring", [False, True])
    def test_what_is_removed_between_the_opening_and_the_first_look_is_told(self, read, append, log, feed, monkeypatch, by_ring):
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=20 if by_ring else 1))
        feed.start()
        held, lost = append(), append()
        kept, other = append(), append("other")
        eventually(lambda: feed.ring.head == other.id)
        opening = open_at(log, ["a"], read_id(str(held.id)), 0, feed.ring)
        assert opening.gaps == ()
        log.trim(lost.id + 1, 100)
        feed.ring.forget(lost.id)
        reader = read(opening)
        assert [(event.type, event.data) for event in reader.read_to_the_end()] == [("goodbye", '{"reason":"behind"}')]
        assert open_at(log, ["a"], read_id(str(held.id)), 0, feed.ring).gaps == (Gap("a", held.id, kept.id),)

    def test_who_lost_nothing_of_its_own_goes_on(self, behind, log):
        reader, events = behind
        log.trim(events[2].id, 100)
        reader.read_until(lambda: len(reader.ids) >= 6)
        assert reader.ids == [event.id for event in events]


class TestHeartbeat:
    def test_it_comes_after_silence_again_and_again_without_an_id(self, read):
        reader = read(heartbeat_s=0.03)
        reader.next()
        for _ in range(3):
            before = time.monotonic()
            assert reader.next() == HEARTBEAT
            assert time.monotonic() - before >= 0.03 - 0.005
        assert reader.received == []

    def test_it_never_comes_sooner_than_the_silence_is_long(self, read, append):
        reader, stop = read(heartbeat_s=0.1), threading.Event()
        reader.next()

        def write_now_and_then() -> None:
            for n in range(12):
                stop.wait(random.choice([0.02, 0.05, 0.15]))
                append(n=n)

        writing = threading.Thread(target=write_now_and_then)
        writing.start()
        last, beats = time.monotonic(), 0
        while len(reader.received) < 12:
            chunk = reader.next()
            if chunk == HEARTBEAT:
                beats += 1
                assert time.monotonic() - last >= 0.1 - 0.01
            last = time.monotonic()
        writing.join()

    def test_it_waits_for_no_event_that_is_not_wanted(self, read, append):
        reader = read(heartbeat_s=0.05, wanted=lambda event: False)
        reader.next()
        append()
        assert reader.next() == HEARTBEAT

    def test_it_is_a_comment_that_no_client_takes_for_an_event(self, read, append):
        reader = read(heartbeat_s=0.02)
        reader.next()
        assert reader.next() == b": heartbeat\n"
        event = append()
        reader.read_events(1)
        assert reader.ids == [event.id]


class TestLeaving:
    @pytest.fixture
    def connection(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Return the server's and the client's end of a TCP connection."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
        yield server, client
        server.close()
        client.close()

    def leave(self, read: Callable[..., Reader], server: socket.socket, do: Callable[[], object]) -> None:
        reader = read(connection=server)
        reader.next()
        leaving = threading.Timer(0.01, do)
        leaving.start()
        # No heartbeat and no event would come for an hour: that it ends is that it noticed.
        assert reader.read_to_the_end() == []
        leaving.join()

    def test_a_client_that_closes_is_noticed_without_a_write(self, read, connection):
        server, client = connection
        self.leave(read, server, client.close)

    def test_a_client_that_resets_is_noticed_without_a_write(self, read, connection):
        server, client = connection
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.leave(read, server, client.close)

    def test_a_client_that_closed_before_we_waited_is_noticed(self, read, connection):
        server, client = connection
        client.close()
        reader = read(connection=server)
        assert reader.next() == FIRST
        assert reader.read_to_the_end() == []

    def test_a_client_that_sends_the_next_request_has_not_left(self, read, append, connection):
        server, client = connection
        reader = read(connection=server, heartbeat_s=0.05)
        reader.next()
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert reader.next() == HEARTBEAT
        event = append()
        reader.read_events(1)
        assert reader.ids == [event.id]
        assert server.recv(100) == b"GET / HTTP/1.1\r\n", "not a byte of it was taken"

    def test_the_others_stay(self, read, append, connection):
        server, client = connection
        other = read()
        other.next()
        self.leave(read, server, client.close)
        event = append()
        other.next()
        assert other.ids == [event.id]


class TestCuts:
    def follow(self, read: Callable[..., Reader], log: Any, topics: str, found: list[int]) -> None:
        """Read to the end of all topics, cut again and again."""
        opening = FROM_THE_START
        while not opening.ended:
            reader = read(opening, *topics)
            for _ in range(random.randrange(1, 12)):
                try:
                    reader.next()
                except StopIteration:
                    break
            reader.close()
            found += reader.ids
            opening = open_at(log, topics, read_id(str(found[-1])), 0) if found else FROM_THE_START

    def test_streams_that_are_cut_anywhere_go_on_where_they_were(self, read, append, log, monkeypatch):
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=5))
        monkeypatch.setattr(petstore.sse.subscription, "PAGE", 4)
        monkeypatch.setattr(petstore.sse.subscription, "MAX_PAGE", 100)

        def write(topic: str) -> None:
            for n in range(80):
                append(topic, n=n)
            append(topic, COMPLETE)

        found: list[tuple[str, list[int]]] = [(topics, []) for topics in ("a", "b", "ab", "ab")]
        work = [threading.Thread(target=write, args=(topic,)) for topic in "ab"]
        work += [threading.Thread(target=self.follow, args=(read, log, topics, ids)) for topics, ids in found]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        for topics, ids in found:
            assert ids == [event.id for event in log.read(topics, 0, 1000)]


class TestRefusals:
    def test_draining_says_goodbye_with_a_jittered_retry_and_ends(self, read, feed):
        readers = [read(FROM_NOW, topic) for topic in "aabc"]
        for reader in readers:
            reader.next()
        feed.drain()
        for reader in readers:
            (goodbye,) = reader.read_to_the_end()
            assert (goodbye.type, json.loads(goodbye.data)) == ("goodbye", {"reason": "draining"})
            assert 2000 <= (reader.decoder.retry_ms or 0) <= 7000
            assert reader.decoder.last_event_id == ""

    def test_clients_that_must_come_back_are_spread(self, read, feed):
        readers = [read() for _ in range(10)]
        for reader in readers:
            reader.next()
        feed.drain()
        for reader in readers:
            reader.read_to_the_end()
        assert len({reader.decoder.retry_ms for reader in readers}) > 1

    def test_a_stream_that_waits_is_told_at_once(self, read, feed):
        reader = read()
        reader.next()
        draining = threading.Timer(0.01, feed.drain)
        draining.start()
        assert [event.type for event in reader.read_to_the_end()] == ["goodbye"]
        draining.join()

    def test_a_replay_is_not_finished_first(self, read, feed, log, monkeypatch):
        monkeypatch.setattr(petstore.sse.subscription, "PAGE", 2)
        log.write(lambda transaction: transaction.append([Draft("a", "news", {})] * 100))
        reader = read(FROM_THE_START)
        reader.read_events(2)
        feed.drain()
        assert [event.type for event in reader.read_to_the_end()] == ["goodbye"]

    def test_a_stream_that_begins_while_draining_says_goodbye(self, read, feed):
        feed.drain()
        assert [event.type for event in read().read_to_the_end()] == ["goodbye"]

    def test_a_full_server_says_goodbye_and_keeps_those_who_are_there(self, feed, read, admission, append):
        readers = [read() for _ in range(10)]
        for reader in readers:
            reader.next()
        refused = read()
        (goodbye,) = refused.read_to_the_end()
        assert (goodbye.type, json.loads(goodbye.data)) == ("goodbye", {"reason": "full"})
        assert 2000 <= (refused.decoder.retry_ms or 0) <= 7000
        assert admission.open == 10
        event = append()
        for reader in readers:
            reader.next()
            assert reader.ids == [event.id]
        readers[0].close()
        assert read().next() == FIRST
