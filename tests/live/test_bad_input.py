"""Bad input over the wire: a clear problem, nothing changed, nothing lost, and nothing to read in the log."""

import json
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.live.client import DEADLINE_S, Exchange, frames
from tests.live.conftest import full_shop
from tests.live.server import Server, wait_until
from tests.live.shop import BUDDY, INVENTORY, JSON, NOBODY, RECOMMENDATIONS, STAFF, ask, data, recommendations

MEBIBYTE = 1024 * 1024


@pytest.fixture(autouse=True)
def nothing_changes(shop: Server) -> Iterator[None]:
    """Whatever a test of this module sends, the shop and the log are as before, and all workers still live."""
    wait_until(lambda: not rows(shop, "SELECT id FROM orders WHERE due_at IS NOT NULL"), "no order of another test is on its way")
    before, workers = state(shop), shop.worker_pids()
    yield
    assert state(shop) == before
    assert shop.worker_pids() == workers
    assert "Traceback" not in shop.log


def state(server: Server) -> list[Any]:
    """Return all that a request could have changed."""
    return [rows(server, f"SELECT * FROM {table}") for table in ("pets", "orders", "customers", "runs", "events", "event_clock")]


def rows(server: Server, query: str) -> list[Any]:
    """Return what a query finds in the server's database."""
    with closing(sqlite3.connect(server.database)) as database:
        return database.execute(query).fetchall()


def assert_problem(answer: Exchange, status: int) -> dict[str, Any]:
    """See that an answer is a problem of this status, and return it."""
    assert answer.status == status, answer.read_to_end().body
    assert answer.header("Content-Type") == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("https://petstoreapi.com/errors/")
    assert b"Traceback" not in answer.body
    assert b".py" not in answer.body
    return problem


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"/v1/orders/{NOBODY}/status/stream", 404),
        ("/v1/orders/1/status/stream", 400),
        ("/v1/orders/%00/status/stream", 400),
        ("/v1/pets/recommendations/stream", 400),
        ("/v1/pets/recommendations/stream?userId=", 400),
        ("/v1/pets/recommendations/stream?userId=nobody", 400),
        (recommendations("user-457"), 404),
        (recommendations(NOBODY), 404),
        ("/v1/pets/recommendations/stream?userId=user-456&token=", 401),
        (recommendations("user-457", whole=True), 404),
        ("/v1/pets/recommendations", 400),
        ("/v1/inventory/stream?types=all", 400),
        ("/v1/inventory/stream?types=", 400),
        ("/v1/inventory/stream?types=stock-change%0Adata:x", 400),
        ("/v1/inventory/stream?petId=1", 400),
        (f"/v1/inventory/stream?petId={NOBODY}", 404),
        ("/v1/inventory/stream?events=none", 400),
        ("/v1/stream", 400),
        ("/v1/stream?topics=", 400),
        ("/v1/stream?topics=everything", 400),
        ("/v1/stream?topics=inventory,everything", 400),
        ("/v1/stream?topics=orders/", 400),
        (f"/v1/stream?topics=orders/{NOBODY}", 404),
        (f"/v1/stream?topics=recommendations/{NOBODY}", 404),
        ("/v1/stream?topics=" + ",".join(f"orders/{NOBODY[:-2]}{number:02d}" for number in range(21)), 400),
        ("/v1/stream?topics=inventory%00", 400),
        ("/v1/nothing/stream", 404),
    ],
)
def test_a_stream_that_can_not_be_is_refused_before_it_starts(shop: Server, target: str, status: int):
    for accept in ("text/event-stream", "*/*"):
        assert_problem(ask(shop, "GET", target, headers={"Accept": accept}), status)


@pytest.mark.parametrize(
    "accept", ["application/json", "text/html", "text/event-stream;q=0", "text/event-stream;q=0, */*", "image/*, application/json"]
)
def test_an_accept_that_excludes_event_streams_is_not_acceptable(shop: Server, accept: str):
    for target in (INVENTORY, RECOMMENDATIONS, "/v1/stream?topics=inventory"):
        assert_problem(ask(shop, "GET", target, headers={"Accept": accept}), 406)


@pytest.mark.parametrize(
    "accept",
    ["*/*", "text/*", "text/event-stream", "text/event-stream; charset=utf-8", "application/json, text/event-stream;q=0.1", ""],
)
def test_an_accept_that_includes_event_streams_gets_one(shop: Server, accept: str):
    with Exchange(shop.address, INVENTORY, {"Accept": accept}) as stream:
        assert stream.status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_stream_takes_no_other_method_and_says_which_it_takes(shop: Server, method: str):
    for target in (INVENTORY, RECOMMENDATIONS, "/v1/stream?topics=inventory"):
        answer = ask(shop, method, target)
        assert_problem(answer, 405)
        assert set((answer.header("Allow") or "").split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"\x00", 400),
        (b'{"petId": "\xff"}', 400),
        (b"[" * 500_000, 400),
        (b'{"petId":' * 100_000 + b"1" + b"}" * 100_000, 400),
        (b'{"a":' + b"[" * 400_000 + b"]" * 400_000 + b"}", 400),
        (b'{"quantity": ' + b"9" * 100_000 + b"}", 400),
        (b"{}", 422),
        (b"[]", 422),
        (json.dumps({"petId": BUDDY, "quantity": 0}).encode(), 422),
        (json.dumps({"petId": f"{BUDDY}\r\ndata: x"}).encode(), 422),
        (json.dumps({"petId": BUDDY, "userId": "user-456\x00"}).encode(), 422),
        (json.dumps({"petId": BUDDY, "userId": "user-456\nid: 1"}).encode(), 422),
        (json.dumps({"petId": BUDDY, "reason\r\nevent: x": "\r\n\x00"}).encode(), 422),
        (json.dumps({"petId": NOBODY}).encode(), 404),
        (json.dumps({"petId": BUDDY, "userId": "user-457"}).encode(), 401),
        (json.dumps({"petId": BUDDY, "quantity": 10**30}).encode(), 422),
    ],
    ids=range(18),
)
def test_a_bad_order_is_a_problem(shop: Server, content: bytes, status: int):
    with Exchange(shop.address, "/v1/orders", JSON, method="POST", content=content) as exchange:
        problem = assert_problem(exchange, status)
    if status == 422:
        assert all(error.keys() == {"field", "message", "code"} for error in problem["errors"])


@pytest.mark.parametrize(
    ("method", "target"), [("POST", "/v1/orders"), ("PATCH", "/v1/inventory"), ("PATCH", f"/v1/inventory/{BUDDY}")]
)
class TestABodyOverOneMebibyte:
    def test_is_too_large_when_its_length_says_so(self, shop: Server, method: str, target: str):
        with Exchange(shop.address, target, JSON | STAFF, method=method, content=b" " * (MEBIBYTE + 1)) as exchange:
            assert_problem(exchange, 413)

    def test_is_too_large_before_it_is_sent(self, shop: Server, method: str, target: str):
        headers = {**JSON, **STAFF, "Content-Length": str(10**12)}
        with Exchange(shop.address, target, headers, method=method) as exchange:
            assert_problem(exchange, 413)

    def test_is_too_large_in_chunks_without_a_length(self, shop: Server, method: str, target: str):
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        with Exchange(
            shop.address, target, {**JSON, **STAFF, "Transfer-Encoding": "chunked"}, method=method, wait=False
        ) as exchange:
            # It may have stopped to listen: the answer is there all the same, or was lost with the connection.
            with suppress(ConnectionError):
                for _ in range(20):
                    exchange.socket.sendall(chunk)
            try:
                exchange.read_head()
            except ConnectionError:
                return
            assert_problem(exchange, 413)


def test_malformed_chunks_are_a_bad_request(shop: Server):
    for chunks in (b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n", b"5\r\n{}\r\n0\r\n\r\n"):
        headers = {**JSON, "Transfer-Encoding": "chunked"}
        with Exchange(shop.address, "/v1/orders", headers, method="POST", wait=False) as exchange:
            exchange.socket.sendall(chunks)
            assert exchange.read_head().status == 400


def test_a_body_that_ends_too_early_changes_nothing(shop: Server):
    whole = json.dumps({"petId": BUDDY}).encode()
    headers = {**JSON, "Content-Length": str(len(whole))}
    with Exchange(shop.address, "/v1/orders", headers, method="POST", wait=False) as exchange:
        exchange.socket.sendall(whole[:-1])
        exchange.socket.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):  # Nobody need be there to be answered.
            assert exchange.read_head().status == 400


def test_a_payment_whose_source_never_comes_pays_nothing(start: Callable[..., Server]):
    shop = start(workers=1)
    order = ask(shop, "POST", "/v1/orders", {"petId": BUDDY}).json()
    target = order["links"]["payment"]
    with Exchange(shop.address, target, {**JSON, "Content-Length": "230"}, method="POST", wait=False) as exchange:
        exchange.socket.shutdown(socket.SHUT_WR)
        assert exchange.read_head().status == 400
    assert ask(shop, "GET", target).status == 404
    assert ask(shop, "GET", order["links"]["self"]).json()["status"] == "PLACED"


RAW = [
    b"\r\n\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /v1/inventory/stream\r\n\r\n",
    b"GET /v1/inventory/stream HTTP/9.9\r\n\r\n",
    b"GET /v1/inventory/stream HTTP/1.1\r\nHost: a\r\nLast-Event-ID: a\x00b\r\n\r\n",
    b"GET /v1/inventory/stream HTTP/1.1\r\nHost: a\r\nLast-Event-ID : 1\r\n\r\n",
    b"GET /v1/inventory/stream HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 1\r\n folded: x\r\n\r\n",
    b"GET /v1/inventory/stream HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"GET /v1/inventory/stream HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /v1/inventory/stream\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /v1/\xff\xfe/stream HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /v1/inventory/stream?since=\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("sent", RAW, ids=range(len(RAW)))
def test_what_is_not_http_is_refused_or_dropped_and_never_a_server_error(shop: Server, sent: bytes):
    with socket.create_connection(shop.address, DEADLINE_S) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while received := connection.recv(65536):
                answer += received
        except OSError:
            return  # It didn't even listen to the end.
    assert not answer or answer.split()[1].startswith((b"4", b"2")), answer[:500]
    assert b"Traceback" not in answer


def test_bytes_that_follow_a_request_for_a_stream_do_not_disturb_it(shop: Server):
    with Exchange(shop.address, "/v1/stream?topics=inventory") as stream:
        stream.read_until(lambda: stream.chunks)
        stream.socket.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"\x00\xff\r\n" * 1000)
        stream.read_until(lambda: stream.body.count(b": heartbeat\n") >= 2)
        assert not frames(stream.body)


def test_requests_can_be_sent_ahead_of_the_answers(shop: Server):
    connection = socket.create_connection(shop.address, DEADLINE_S)
    one = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    with connection:
        connection.sendall(one * 3 + b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b""
        while received := connection.recv(65536):
            answer += received
    assert answer.count(b'{"status":"ok"}') == answer.count(b"HTTP/1.1 200 OK\r\n") == 4


NAMES = ["a\r\n\r\ndata: b", "a\nid: 1\n\n", "a\x00b", "\r", "a\u2028b\x85", '"}\n', "\ufeff", ": a"]


def test_line_ends_in_what_is_told_do_not_break_out_of_their_event(seeded: Path, tmp_path: Path):
    odd = Path(shutil.copy(seeded, tmp_path))
    with closing(sqlite3.connect(odd)) as database, database:
        ids = [id for (id,) in database.execute("SELECT id FROM pets")]
        names = dict(zip(ids, NAMES * len(ids), strict=False))
        database.executemany("UPDATE pets SET name = ? WHERE id = ?", [(name, id) for id, name in names.items()])
    with full_shop(odd, tmp_path / "server", workers=1) as server:
        for target in (RECOMMENDATIONS, f"{RECOMMENDATIONS}&events=unnamed"):
            with Exchange(server.address, target) as stream:
                *picks, complete = stream.read_to_end().events
                assert all(data(pick)["name"] == names[data(pick)["petId"]] for pick in picks)
                assert data(complete)["total"] == len(frames(stream.body)) - 1 == len(picks) == 10
