"""Streams that write to their client's socket by themselves, served as gunicorn's gevent worker serves them.

`test_on_gevent.py` runs this in a patched process. The sockets are real; of gunicorn there is only the function that iterates
the body, by the name that a stream looks for. Real gunicorn is in `tests/live/`.
"""

import random
import socket
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gevent
import pytest

import petstore.sse.feed
import petstore.sse.stream
import petstore.sse.subscription
from petstore.sse import (
    COMPLETE,
    Admission,
    Decoder,
    Draft,
    Event,
    Feed,
    Opening,
    Received,
    Selection,
    Stream,
    Terms,
    open_at,
    read_id,
)
from petstore.sse.observer import Silence
from petstore.sse.outlet import Outlet, chunk
from petstore.sse.ring import Ring
from tests.sse.conftest import open_descriptors
from tests.sse.other_process import PATIENCE_S, eventually

GUNICORN = {"__name__": "gunicorn.workers.base_async", "chunk": chunk}
exec(  # What matters is the name of the module that iterates.
    """
def handle_request(stream, connection, written):
    try:
        for item in stream:
            written.append(item)
            connection.sendall(chunk(item))
        connection.sendall(b"0\\r\\n\\r\\n")
    except OSError:
        pass
    finally:
        stream.close()
""",
    GUNICORN,
)
handle_request: Any = GUNICORN["handle_request"]

FROM_NOW = Opening(None)


class Causes(Silence):
    def __init__(self) -> None:
        self.causes: list[str] = []

    def ended(self, topics: Any, holders: Any, cause: str, duration_s: float, sent: int) -> None:
        self.causes.append(cause)


class Client:
    """A client and the greenlet that serves it. What it has received is decoded from the chunks."""

    def __init__(self, stream_on: Callable[[socket.socket], Stream], ends: tuple[socket.socket, socket.socket]) -> None:
        self.socket, self.server_end = ends
        self.socket.settimeout(PATIENCE_S)
        self.written: list[bytes] = []
        self.waiting = b""
        self.decoder = Decoder()
        self.received: list[Received] = []
        self.bytes_received = 0
        self.ended = False
        stream = stream_on(self.server_end)
        self.serving = gevent.spawn(self._serve, stream)

    def _serve(self, stream: Stream) -> None:
        handle_request(stream, self.server_end, self.written)
        self.server_end.close()

    def receive(self, limit: int = 65536) -> None:
        """Take what has arrived, waiting for something."""
        data = self.socket.recv(limit)
        self.bytes_received += len(data)
        self.waiting += data
        while not self.ended and b"\r\n" in self.waiting:
            size, rest = self.waiting.split(b"\r\n", 1)
            length = int(size, 16)
            if len(rest) < length + 2:
                break
            assert rest[length : length + 2] == b"\r\n"
            self.waiting, self.ended = rest[length + 2 :], length == 0
            self.received += self.decoder.feed(rest[:length])
        assert data or self.ended, "the body was cut"

    def receive_until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self.receive()

    def receive_to_the_end(self) -> None:
        self.receive_until(lambda: self.ended)

    @property
    def ids(self) -> list[int]:
        return [int(event.last_event_id) for event in self.received if event.type not in ("gap", "goodbye", "error")]

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def connect(buffer: int) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a TCP connection, whose buffers hold about `buffer` bytes (0: as many as the system likes)."""
    with socket.socket() as listener:
        if buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = socket.socket()
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.connect(listener.getsockname())
        return client, listener.accept()[0]


@pytest.fixture
def admission() -> Admission:
    return Admission(1000)


@pytest.fixture
def observer() -> Causes:
    return Causes()


@pytest.fixture
def feed(log, observer, monkeypatch) -> Iterator[Feed]:
    monkeypatch.setattr(petstore.sse.feed, "POLL_S", 0.02)
    feed = Feed(log, observer)
    yield feed
    feed.stop()


@pytest.fixture
def read(feed, admission) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def make(opening: Opening = FROM_NOW, *topics: str, buffer: int = 0, ends: Any = None, **terms: Any) -> Client:
        kept = Terms(**{"heartbeat_s": 3600.0, **terms})
        selection = Selection(topics or ("a",))

        def stream_on(server_end: socket.socket) -> Stream:
            return Stream(feed, admission, kept, selection, opening, str, server_end, chunked=True)

        clients.append(Client(stream_on, ends or connect(buffer)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
        client.serving.join(PATIENCE_S)
        assert client.serving.successful(), client.serving.exception
    assert (admission.open, feed.pump._groups) == (0, {})


class TestWriting:
    def test_everything_after_the_first_bytes_goes_past_the_server(self, read, append):
        client = read(Opening(0))
        client.receive()
        event = append()
        client.receive_until(lambda: client.ids)
        append(type=COMPLETE)
        client.receive_to_the_end()
        assert client.written == [b"retry: 2000\n: open\n"]
        assert client.ids[0] == event.id
        assert client.waiting == b""

    def test_nobody_else_may_write_while_the_stream_does(self, read, feed, append, monkeypatch):
        def parked() -> list[bool]:
            return [one.parked for group in feed.pump._groups.values() for one in group.members]

        def look_and_write(outlet: Outlet, data: bytes) -> None:
            seen.extend(parked())
            write(outlet, data)

        write, seen = Outlet.write, list[bool]()
        monkeypatch.setattr(Outlet, "write", look_and_write)
        client = read()
        client.receive()
        eventually(lambda: any(parked()))
        append(type=COMPLETE)  # The pump leaves an end to the stream.
        client.receive_to_the_end()
        assert seen == [False]

    def test_heartbeats_come_after_silence_and_not_sooner(self, read, append):
        client, stop = read(heartbeat_s=0.1), gevent.event.Event()
        client.receive()

        def write_now_and_then() -> None:
            for _ in range(10):
                stop.wait(random.choice([0.03, 0.06, 0.15]))
                append()

        writing = gevent.spawn(write_now_and_then)
        last = time.monotonic()
        while len(client.ids) < 10 or client.decoder.comments < 4:
            comments = client.decoder.comments
            client.receive()
            if client.decoder.comments > comments:
                assert time.monotonic() - last >= 0.1 - 0.01
            last = time.monotonic()
        writing.get()

    @pytest.mark.parametrize("changed", ["iterated by a middleware", "not chunked", "not a gevent socket"])
    def test_where_the_socket_is_not_ours_every_byte_is_yielded(self, feed, admission, append, changed):
        append(n=1)
        append(type=COMPLETE)
        client_end, server_end = connect(0)
        connection: Any = {"not a gevent socket": object()}.get(changed, server_end)
        selection = Selection(("a",))
        stream = Stream(feed, admission, Terms(), selection, Opening(0), str, connection, chunked=changed != "not chunked")
        received = Decoder().feed(b"".join(stream if changed == "iterated by a middleware" else list(iter(stream))))
        assert len(received) == 2
        server_end.close()
        assert client_end.recv(1) == b""
        client_end.close()

    def test_draining_ends_every_stream_with_a_last_chunk(self, read, feed, observer):
        clients = [read() for _ in range(300)]
        for client in clients:
            client.receive()
        feed.drain()
        for client in clients:
            client.receive_to_the_end()
            assert [event.type for event in client.received] == ["goodbye"]
        assert observer.causes == ["drained"] * 300


class TestSlowReaders:
    def fill(self, log: Any, count: int, size: int = 2000) -> list[Event]:
        drafts = [Draft("a", "news", {"text": "x" * size})] * 10
        return [event for _ in range(count // 10) for event in log.write(lambda transaction: transaction.append(drafts))]

    def test_one_delays_nobody_and_loses_nothing_when_it_reads_on(self, read, feed, log, monkeypatch):
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=20))
        slow, fast = read(buffer=4096), read()
        slow.receive()
        fast.receive()
        events = self.fill(log, 300)
        fast.receive_until(lambda: len(fast.ids) == 300)
        assert slow.ids == []
        slow.receive_until(lambda: len(slow.ids) == 300)
        assert slow.ids == fast.ids == [event.id for event in events]
        after = self.fill(log, 10)
        slow.receive_until(lambda: len(slow.ids) == 310)
        assert slow.ids[300:] == [event.id for event in after]

    def test_one_that_reads_a_byte_at_a_time_gets_every_byte_right(self, read, log):
        slow = read(buffer=1024)
        slow.receive()

        def read_on() -> None:
            while len(slow.ids) < 60:
                slow.receive(random.choice([1, 7, 500]))

        reading = gevent.spawn(read_on)
        events = self.fill(log, 60, size=500)
        reading.get()
        assert slow.ids == [event.id for event in events]

    def test_one_that_takes_nothing_is_ended(self, read, log, observer):
        stuck = read(buffer=4096, stuck_s=0.1)
        stuck.receive()
        self.fill(log, 100)
        stuck.serving.join(PATIENCE_S)
        assert stuck.serving.ready()
        assert observer.causes == ["stuck"]

    def test_one_that_takes_nothing_is_ended_by_its_heartbeats_too(self, read, log, observer):
        # A UNIX socket's buffer has a fixed size, and it's filled to the last byte: the stream has nothing left to write.
        stuck = read(ends=socket.socketpair(), stuck_s=0.1, heartbeat_s=0.02)
        stuck.receive()
        for size in (1000, 1):
            with pytest.raises(BlockingIOError):
                while True:
                    stuck.server_end._sock.send(b"x" * size)  # type: ignore[attr-defined]
        stuck.serving.join(PATIENCE_S)
        assert stuck.serving.ready()
        assert observer.causes == ["stuck"]

    @pytest.mark.parametrize("leave", [Client.close, Client.reset])
    def test_one_that_leaves_with_much_unread_is_gone_at_once(self, read, log, observer, leave):
        stuck = read(buffer=4096)
        stuck.receive()
        self.fill(log, 100)
        leave(stuck)
        stuck.serving.join(PATIENCE_S)
        assert observer.causes == ["left"]


class TestLeaving:
    @pytest.mark.parametrize("leave", [Client.close, Client.reset])
    def test_one_that_only_waits_is_noticed(self, read, observer, leave):
        client, other = read(), read()
        client.receive()
        other.receive()
        leave(client)
        client.serving.join(PATIENCE_S)
        assert client.serving.ready()
        assert not other.serving.ready()
        assert observer.causes == ["left"]

    def test_hundreds_come_and_go_and_nothing_stays(self, read, append, feed, admission):
        def round_of(count: int) -> None:
            clients = [read() for _ in range(count)]
            for client in clients:
                client.receive()
            event = append()
            for client in clients[::2]:
                client.receive()
                assert client.ids == [event.id]
            for client in clients:
                random.choice([Client.close, Client.reset])(client)
                client.serving.join(PATIENCE_S)

        round_of(20)
        descriptors = len(open_descriptors())
        for _ in range(5):
            round_of(100)
        assert len(open_descriptors()) <= descriptors
        assert (feed.pump._groups, admission.open) == ({}, 0)


class TestCuts:
    def test_clients_that_are_cut_anywhere_miss_nothing(self, read, append, log, monkeypatch):
        monkeypatch.setattr(petstore.sse.feed, "Ring", partial(Ring, max_events=10))
        monkeypatch.setattr(petstore.sse.subscription, "PAGE", 5)
        monkeypatch.setattr(petstore.sse.pump, "TURN", 2)

        def write(topic: str) -> None:
            for n in range(100):
                append(topic, n=n, text="x" * random.choice([1, 10, 1000]))
            append(topic, COMPLETE)

        def follow(topics: str) -> list[int]:
            opening, found = Opening(0), list[int]()
            while not opening.ended:
                client = read(opening, *topics, buffer=random.choice([0, 2048]))
                client.receive()
                # Bytes, not events: it's cut in the middle of a frame, of a chunk, of a line.
                left = random.randrange(20_000)
                while left > client.bytes_received and not client.ended:
                    client.receive(max(1, left - client.bytes_received))
                random.choice([Client.close, Client.reset])(client)
                found += client.ids
                opening = open_at(log, topics, read_id(str(found[-1])), 0) if found else Opening(0)
            return found

        writing = [gevent.spawn(write, topic) for topic in "ab"]
        following = {topics: [gevent.spawn(follow, topics) for _ in range(4)] for topics in ("a", "b", "ab")}
        gevent.joinall(writing, raise_error=True)
        for topics, greenlets in following.items():
            wanted = [event.id for event in log.read(list(topics), 0, 10_000)]
            assert [greenlet.get() for greenlet in greenlets] == [wanted] * 4


class TestTheLoop:
    def test_a_write_that_waits_for_a_lock_holds_up_no_stream(self, read, append, database):
        client, other = read(heartbeat_s=0.02), sqlite3.connect(database, isolation_level=None)
        client.receive()
        other.execute("BEGIN IMMEDIATE")
        writing = gevent.spawn(append)
        client.receive_until(lambda: client.decoder.comments >= 10)
        assert not writing.ready()
        other.rollback()
        other.close()
        event = writing.get()
        client.receive_until(lambda: client.ids)
        assert client.ids == [event.id]

    def test_work_that_takes_long_holds_up_no_stream(self, read, log):
        client, finish = read(heartbeat_s=0.02), list[int]()
        client.receive()
        count_long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT max(i) FROM n"

        def work(connection: Any) -> None:
            while not finish:
                connection.exec_driver_sql(count_long).scalar()

        working = gevent.spawn(log.query, work)
        client.receive_until(lambda: client.decoder.comments >= 5)
        finish.append(1)
        working.get()

    def test_many_greenlets_share_the_threads_of_the_database(self, log, open_log):
        logs = [log, open_log()]

        def use(n: int) -> int:
            for _ in range(5):
                logs[n % 2].write(lambda transaction: transaction.append([Draft(f"t{n}", "news", {})]))
                logs[n % 2].extents([f"t{n}"])
            return len(log.read([f"t{n}"], 0, 100))

        using = [gevent.spawn(use, n) for n in range(40)]
        assert [greenlet.get(timeout=PATIENCE_S) for greenlet in using] == [5] * 40

    def test_an_error_of_the_work_comes_out_in_the_greenlet_that_asked(self, log, capfd):
        with pytest.raises(ZeroDivisionError):
            log.write(lambda transaction: 1 // 0)
        assert capfd.readouterr().err == "", "nobody else prints it"

    def test_a_greenlet_that_is_killed_while_it_waits_leaves_the_log_usable(self, log, append, database):
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writing = [gevent.spawn(append) for _ in range(5)]
        gevent.sleep(0.01)
        gevent.killall(writing)
        other.rollback()
        other.close()
        before = append()
        eventually(lambda: append().id > before.id)
