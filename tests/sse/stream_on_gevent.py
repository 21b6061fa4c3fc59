"""What only a stream does that writes to its client's socket by itself, and what gevent's loop must be kept free for.

`test_on_gevent.py` runs this in a patched process; `both_paths_on_gevent.py` has what holds on both paths of a stream.
"""

import random
import sqlite3
import time
from typing import Any

import gevent
import pytest

from petstore.sse import COMPLETE, Decoder, Draft, Opening, Selection, Stream, Terms
from petstore.sse.outlet import Outlet
from tests.sse.client import admission, connect, feed, observer, pair, read
from tests.sse.other_process import PATIENCE_S, eventually

__all__ = ["admission", "feed", "observer", "read"]


@pytest.fixture
def path() -> str:
    return "outlet"


class TestWriting:
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
        while len(client.ids) < 10 or client.heartbeats < 4:
            comments = client.heartbeats
            client.receive()
            if client.heartbeats > comments:
                assert time.monotonic() - last >= 0.1 - 0.01
            last = time.monotonic()
        writing.get()

    @pytest.mark.parametrize("changed", ["iterated by a middleware", "not by gunicorn", "not a gevent socket"])
    def test_where_the_socket_is_not_ours_every_byte_is_yielded(self, feed, admission, append, changed):
        append(n=1)
        append(type=COMPLETE)
        client_end, server_end = connect()
        connection: Any = {"not a gevent socket": object()}.get(changed, server_end)
        selection = Selection(("a",))
        stream = Stream(feed, admission, Terms(), selection, Opening(0), str, connection)
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


class TestStuckReaders:
    def test_one_that_takes_nothing_is_ended(self, read, log, observer):
        stuck = read(ends=connect(4096), stuck_s=0.1)
        stuck.receive()
        log.write(lambda transaction: transaction.append([Draft("a", "news", {"text": "x" * 2000})] * 100))
        stuck.serving.join(PATIENCE_S)
        assert stuck.serving.ready()
        assert observer.causes == ["stuck"]

    def test_one_that_takes_nothing_is_ended_by_its_heartbeats_too(self, read, log, observer):
        # A UNIX socket's buffer has a fixed size, and it's filled to the last byte: the stream has nothing left to write.
        stuck = read(ends=pair(), stuck_s=0.1, heartbeat_s=0.02)
        stuck.receive()
        for size in (1000, 1):
            with pytest.raises(BlockingIOError):
                while True:
                    stuck.bare.send(b"x" * size)
        stuck.serving.join(PATIENCE_S)
        assert stuck.serving.ready()
        assert observer.causes == ["stuck"]


class TestTheLoop:
    def test_a_write_that_waits_for_a_lock_holds_up_no_stream(self, read, append, database):
        client, other = read(heartbeat_s=0.02), sqlite3.connect(database, isolation_level=None)
        client.receive()
        other.execute("BEGIN IMMEDIATE")
        writing = gevent.spawn(append)
        client.receive_until(lambda: client.heartbeats >= 10)
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
        client.receive_until(lambda: client.heartbeats >= 5)
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
