"""What every stream keeps to, on both of its paths: through the outlet, which the pump writes to (to many in one system call, or
one by one), and as a generator whose chunks the server writes.

`test_on_gevent.py` runs this in a patched process. The sockets are real, and what came through them is compared byte for byte
with what the log holds.
"""

import gc
import random
import resource
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

import petstore.sse.feed
import petstore.sse.pump
import petstore.sse.subscription
from petstore.sse import COMPLETE, Draft, Event, open_at, read_id
from petstore.sse.ring import Ring
from petstore.sse.wakeup import Wakeup
from tests.sse.client import FROM_NOW, FROM_THE_START, PATHS, Client, admission, connect, feed, observer, pair, read
from tests.sse.conftest import open_descriptors
from tests.sse.other_process import PATIENCE_S, eventually

__all__ = ["admission", "feed", "observer", "read"]

LEAVE = [Client.close, Client.reset]


@pytest.fixture(params=list(PATHS))
def path(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def write(log) -> Callable[..., list[Event]]:
    """Return a function that appends events with texts of these sizes to the topic "a", in one transaction."""

    def write_all(*sizes: int) -> list[Event]:
        drafts = [Draft("a", "news", {"text": "x" * size}) for size in sizes]
        return log.write(lambda transaction: transaction.append(drafts))  # type: ignore[no-any-return]

    return write_all


@pytest.fixture
def cut_sends(feed) -> Callable[[Client], int]:
    """Return a function that tells how many sends to a client its socket did not take whole, whoever sent."""
    return lambda client: client.bare.cut_sends + feed._broadcast.cut_sends[client.descriptor]


@pytest.fixture
def while_sending(path, monkeypatch) -> Callable[[Sequence[Client], Callable[[], object]], None]:
    """Return a function that has something done again and again while clients are sent to: between two turns of a pass, or,
    where each stream's chunks are the server's to write, before each of these."""

    def name(clients: Sequence[Client], do: Callable[[], object]) -> None:
        if path == "generator":
            for client in clients:
                client.bare.on_send = do
        else:
            turns = SimpleNamespace(sleep=lambda seconds: (do(), gevent.sleep(seconds)))
            monkeypatch.setattr(petstore.sse.pump, "gevent", turns)

    return name


def together(do: Callable[[Client], object], clients: Iterable[Client]) -> None:
    """Do something with each of `clients`, with all at once."""
    gevent.joinall([gevent.spawn(do, client) for client in clients], raise_error=True)


class TestSizes:
    SIZES = (1, 2, 100, 1023, 1024, 4096, 65_535, 65_536, 65_537, 262_144, 1_000_000)

    def test_events_of_1_byte_to_1_mb_come_whole_one_by_one_in_a_bulk_and_in_a_replay(self, read, write, append, observer):
        clients = [read(FROM_NOW, ends=ends) for ends in (connect(), pair(4096))]
        together(Client.receive, clients)
        reading = [gevent.spawn(client.receive_to_the_end) for client in clients]
        events = [event for size in self.SIZES for event in write(size)]
        events += write(*random.sample(self.SIZES, len(self.SIZES)), *[1] * 300)
        events.append(append(type=COMPLETE))
        gevent.joinall(reading, raise_error=True)
        clients += [read(FROM_THE_START, ends=ends) for ends in (connect(), pair(4096))]
        together(Client.receive_to_the_end, clients[2:])
        for client in clients:
            client.assert_received(events)
            client.serving.join(PATIENCE_S)
        assert observer.sent == [len(events)] * 4

    def test_no_chunk_is_larger_than_a_page_but_for_its_last_event(self, read, write, append, monkeypatch):
        monkeypatch.setattr(petstore.sse.subscription, "MAX_PAGE", 1000)
        live = read()
        live.receive()
        sizes = [n * 37 % 900 for n in range(100)]
        events = [*write(*sizes), *write(5000), append(type=COMPLETE)]
        for client in (live, read(FROM_THE_START)):
            client.receive_to_the_end()
            client.assert_received(events)
            frames = [content.split(b"\n\n")[:-1] for content in client.chunks]
            assert all(len(b"".join(before)) < 1000 + 100 * len(before) for *before, last in frames[1:])


class TestPartialSends:
    def test_readers_of_every_speed_get_every_byte_right(self, read, write, append, cut_sends):
        clients = [read(ends=pair(random.choice([1024, 4096, 10_000]))) for _ in range(20)]
        together(Client.receive, clients)

        def read_on(client: Client) -> None:
            while not client.ended:
                client.receive(random.choice([1, 7, 500, 65536]))

        reading = [gevent.spawn(read_on, client) for client in clients]
        events = [event for _ in range(60) for event in write(*random.choices([1, 500, 5000], k=random.randrange(1, 4)))]
        events.append(append(type=COMPLETE))
        gevent.joinall(reading, raise_error=True)
        for client in clients:
            client.assert_received(events)
        assert any(map(cut_sends, clients))

    def test_one_that_reads_nothing_delays_nobody_and_loses_nothing_when_it_reads_on(self, read, write, append, monkeypatch):
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=20))
        slow, fast = read(ends=pair(4096)), read()
        together(Client.receive, [slow, fast])
        events = [event for _ in range(30) for event in write(*[2000] * 10)]
        fast.receive_events(300)
        assert slow.ids == []
        slow.receive_events(300)
        events += [*write(*[1] * 10), append(type=COMPLETE)]
        for client in (slow, fast):
            client.receive_to_the_end()
            client.assert_received(events)

    def test_what_comes_while_a_rest_is_pending_follows_it(self, read, write, append, feed, cut_sends):
        client = read(ends=pair(4096))
        client.receive()
        events = write(1_000_000)
        eventually(lambda: client.has_to_wait_with(events[0]))
        events += [*write(1), *write(1, 1), append(type=COMPLETE)]
        eventually(lambda: feed.ring.head == events[-1].id)
        client.receive_to_the_end()
        client.assert_received(events)
        assert cut_sends(client)


class TestHeartbeats:
    def test_in_the_middle_of_bursts_they_split_no_event(self, read, write, append, path, while_sending, monkeypatch):
        monkeypatch.setattr(petstore.sse.pump, "TURN", 2)
        clients = [read(ends=pair(4096 if n % 3 else 0), heartbeat_s=0.005) for n in range(8)]
        together(Client.receive, clients)

        beats: list[bool] = []

        def let_some_beat() -> None:
            # As their heartbeat greenlets do when their time comes while a pass is under way.
            beats.extend(client.stream._beat() for client in random.sample(clients, 2))

        while_sending(clients, let_some_beat)
        reading = [gevent.spawn(client.receive_to_the_end) for client in clients]
        events: list[Event] = []
        while min(map(self.heartbeats_between_events, clients)) < 10:
            for _ in range(random.randrange(1, 5)):
                events += write(*random.choices([1, 100, 10_000], k=random.randrange(1, 5)))
            eventually(partial(self.have_received, clients, len(events)))
        events.append(append(type=COMPLETE))
        gevent.joinall(reading, raise_error=True)
        for client in clients:
            client.assert_received(events)
        assert any(beats) == (path != "generator"), "some were sent by others than the stream"

    def have_received(self, clients: Iterable[Client], count: int) -> bool:
        return all(len(client.received) == count for client in clients)

    def heartbeats_between_events(self, client: Client) -> int:
        are_events = [content.endswith(b"\n\n") for content in client.chunks[1:]]
        return sum(is_event and not before for before, is_event in pairwise(are_events))

    def test_one_that_is_due_while_a_rest_is_pending_waits_for_it(self, read, write, append, cut_sends):
        client = read(ends=pair(4096), heartbeat_s=0.01)
        client.receive_until(lambda: client.heartbeats >= 2)
        events = write(1_000_000)
        eventually(lambda: client.has_to_wait_with(events[0]) and client.stream._beat_due)
        client.receive_events(1)
        heartbeats = client.heartbeats
        client.receive_until(lambda: client.heartbeats > heartbeats)
        events.append(append(type=COMPLETE))
        client.receive_to_the_end()
        client.assert_received(events)
        assert cut_sends(client)


class TestLeaving:
    def test_those_who_leave_in_the_middle_of_a_pass_disturb_nobody(self, read, append, observer, while_sending, monkeypatch):
        monkeypatch.setattr(petstore.sse.pump, "TURN", 3)
        staying = [read(ends=random.choice([connect, pair])()) for _ in range(60)]
        together(Client.receive, staying)
        events, left = [], list[Client]()
        for turn in range(10):
            leaving = [staying.pop(random.randrange(len(staying))) for _ in range(4)]
            while_sending(staying, partial(self.leave_at, turn % 5, leaving, iter(range(100))))
            events.append(append(n=turn))
            for client in staying:
                client.receive_events(len(events))
            gevent.joinall([client.serving for client in leaving], PATIENCE_S, raise_error=True)
            left += [client for client in leaving if client.serving.ready()]
        events.append(append(type=COMPLETE))
        for client in staying:
            client.receive_to_the_end()
            client.assert_received(events)
        assert len(left) == observer.causes.count("left") == 40

    def leave_at(self, at: int, leaving: Iterable[Client], times: Iterator[int]) -> None:
        if next(times, None) == at:
            for client in leaving:
                random.choice(LEAVE)(client)

    @pytest.mark.parametrize("leave", LEAVE)
    def test_one_that_leaves_with_much_unread_is_gone_at_once(self, read, write, observer, leave):
        client = read(ends=connect(4096))
        client.receive()
        (event,) = write(1_000_000)
        eventually(lambda: client.has_to_wait_with(event))
        leave(client)
        client.serving.join(PATIENCE_S)
        assert observer.causes == ["left"]

    @pytest.mark.parametrize("leave", LEAVE)
    def test_one_that_only_waits_is_noticed(self, read, observer, leave):
        client, other = read(), read()
        together(Client.receive, [client, other])
        leave(client)
        client.serving.join(PATIENCE_S)
        assert client.serving.ready()
        assert not other.serving.ready()
        assert observer.causes == ["left"]

    def test_hundreds_come_and_go_and_nothing_stays(self, read, append, feed, admission):
        def round_of(count: int) -> None:
            clients = [read() for _ in range(count)]
            together(Client.receive, clients)
            event = append()
            for client in clients[::2]:
                client.receive()
                assert client.ids == [event.id]
            for client in clients:
                random.choice(LEAVE)(client)
                client.serving.join(PATIENCE_S)

        round_of(20)
        descriptors = len(open_descriptors())
        for _ in range(5):
            round_of(100)
        assert len(open_descriptors()) <= descriptors
        assert (feed.pump._groups, admission.open) == ({}, 0)

    def test_clients_that_are_cut_anywhere_miss_nothing(self, read, append, log, monkeypatch):
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=10))
        monkeypatch.setattr(petstore.sse.subscription, "PAGE", 5)
        monkeypatch.setattr(petstore.sse.pump, "TURN", 2)

        def write(topic: str) -> None:
            for n in range(100):
                append(topic, n=n, text="x" * random.choice([1, 10, 1000]))
            append(topic, COMPLETE)

        def follow(topics: str) -> list[int]:
            opening, found = FROM_THE_START, list[int]()
            while not opening.ended:
                client = read(opening, *topics, ends=connect() if random.random() < 0.5 else pair(4096))
                client.receive()
                # Bytes, not events: it's cut in the middle of a frame, of a chunk, of a line.
                left = random.randrange(20_000)
                while left > client.bytes_received and not client.ended:
                    client.receive(max(1, left - client.bytes_received))
                random.choice(LEAVE)(client)
                found += client.ids
                opening = open_at(log, topics, read_id(str(found[-1])), 0) if found else FROM_THE_START
            return found

        writing = [gevent.spawn(write, topic) for topic in "ab"]
        following = {topics: [gevent.spawn(follow, topics) for _ in range(4)] for topics in ("a", "b", "ab")}
        gevent.joinall(writing, raise_error=True)
        for topics, greenlets in following.items():
            wanted = [event.id for event in log.read(list(topics), 0, 10_000)]
            assert [greenlet.get() for greenlet in greenlets] == [wanted] * 4


@pytest.fixture
def descriptors() -> Iterator[int]:
    """Let this process open as many files as thousands of sockets need, if it may, and return how many it may open.

    The collector is off: it would look through all that these sockets hold again and again.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = max(soft, min(hard, 20_000))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    gc.disable()
    yield limit
    gc.enable()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class TestCrowds:
    TOPICS, STREAMS, MESSAGE = 3000, 10_000, 250

    def test_of_thousands_of_topics_with_one_stream_each_an_event_touches_its_own(self, read, log, feed, descriptors, monkeypatch):
        woken, wake = Counter[Wakeup](), Wakeup.wake
        monkeypatch.setattr(Wakeup, "wake", lambda wakeup: woken.update([wakeup]) or wake(wakeup))
        topics = [f"orders/{n}" for n in range(min(self.TOPICS, descriptors // 3))]
        clients = {topic: read(FROM_NOW, topic, ends=pair()) for topic in topics}
        together(Client.receive, clients.values())

        def touches() -> set[tuple[str, int, int, int]]:
            sends = feed._broadcast.sends
            return {
                (
                    topic,
                    client.bare.uses + sends[client.descriptor],
                    client.stream._subscription.cursor,
                    woken[client.stream._wakeup],
                )
                for topic, client in clients.items()
            }

        for changed in (random.sample(topics, count) for count in (1, 1, 1, 30, 1)):
            before = touches()
            drafts = [Draft(topic, "news", {"topic": topic}) for topic in changed * 2]
            log.write(lambda transaction, drafts=drafts: transaction.append(drafts))
            for topic in changed:
                count = len(clients[topic].received) + 2
                clients[topic].receive_events(count)
            assert {topic for topic, *_ in touches() - before} == set(changed)
        log.write(lambda transaction: transaction.append([Draft(topic, COMPLETE, {}) for topic in topics]))
        together(Client.receive_to_the_end, clients.values())
        of_topic: dict[str, list[Event]] = {topic: [] for topic in topics}
        for event in log.read(None, 0, 10_000):
            of_topic[event.topic].append(event)
        for topic, client in clients.items():
            client.assert_received(of_topic[topic])

    def test_of_one_topic_with_10_000_streams_all_get_everything(self, read, log, append, write, observer, descriptors):
        clients: list[Client] = []
        on_their_way, arrived = socket.socketpair()
        while len(clients) < min(self.STREAMS, descriptors - 1000):
            some = [read(ends=pair()) for _ in range(self.MESSAGE)]
            together(Client.receive, some)
            self.lay_aside(some, on_their_way)
            clients += some
        events = [*write(1), *write(1, 100, 1000), append(type=COMPLETE)]
        for n in range(0, len(clients), self.MESSAGE):
            some = clients[n : n + self.MESSAGE]
            self.take_up(some, arrived)
            for client in some:
                client.receive_to_the_end()
                client.assert_received(events)
                client.close()
        on_their_way.close()
        arrived.close()
        assert observer.causes == ["complete"] * len(clients)
        assert observer.sent == [len(events)] * len(clients)

    def lay_aside(self, clients: Sequence[Client], on_their_way: socket.socket) -> None:
        """Put the sockets of `clients` into a message: while that isn't received they take up none of our descriptors."""
        socket.send_fds(on_their_way, [b"x"], [client.socket.fileno() for client in clients])
        for client in clients:
            client.socket.close()

    def take_up(self, clients: Sequence[Client], arrived: socket.socket) -> None:
        _, descriptors, *_ = socket.recv_fds(arrived, 1, len(clients))
        for client, descriptor in zip(clients, descriptors, strict=True):
            client.socket = socket.socket(fileno=descriptor)
