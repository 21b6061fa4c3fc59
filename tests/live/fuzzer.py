"""Makes requests that no client should send to a stream: broken values, and now and then broken HTTP.

The same seed makes the same requests. Must not judge the answers beyond what every answer must be.
"""

# ruff: noqa: E501 (tables of what is sent)

import random
import re
import socket
from collections import Counter

from tests.live.server import Server
from tests.live.shop import BUDDY, CUSTOMER, NOBODY

PATHS = (
    "/v1/inventory/stream",
    "/v1/pets/recommendations/stream",
    "/v1/stream",
    f"/v1/orders/{NOBODY}/status/stream",
    "/v1/orders/{id}/status/stream",
    "/v1/inventory/stream/",
    "//v1/inventory/stream",
    "/v1/../v1/stream",
    "/v1/orders/%00/status/stream",
    "/v1/inventory%2Fstream",
    "/v1/orders/%ff%fe/status/stream",
    "/" + "a" * 3000,
)
METHODS = ("GET",) * 12 + ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "PRI", "X" * 30)
NAMES = (
    "lastEventId", "last_event_id", "Last-Event-ID", "evs_last_event_id", "since", "topics", "types", "petId", "events", "userId", "x"
)  # fmt: skip
HEADERS = ("Last-Event-ID", "Accept", "Cookie", "Authorization", "X-Forwarded-For", "Range", "If-None-Match", "Expect", "Origin")
VALUES = (
    "", " ", "0", "-1", "1", "1700000000000000", "9" * 16, "9" * 19, "9" * 400, "1e9", "0x10", "١٢٣", "NaN", "inf", "null", "\x00", "\t",
    "%00", "%0d%0aX-Forged:%20yes", "%", "%zz", "%ff", "é", "\x7f", "../../etc/passwd", "' OR 1=1 --", "{}", "[]", "a" * 2000, "," * 300,
    "inventory", "inventory,inventory", "orders/", "orders/x", f"orders/{NOBODY}", "recommendations/", f"recommendations/{NOBODY}",
    "chat/1", ",".join(["inventory"] * 100), BUDDY, BUDDY.upper(), CUSTOMER, "user-" + "9" * 300, "stock-change", "stock-change,nothing",
    "unnamed", "P1D", "PT5M", "5m", "-5m", "99999999999999h", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00+99:99", "0000-00-00T00:00:00Z",
    "10000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59Z", "text/event-stream", "text/event-stream;q=0",
    "text/*;q=x", "*/*;q=9", "application/json", ";;;", "bytes=0-", "100-continue", "1.2.3.4", "::1, x, ,",
)  # fmt: skip
BROKEN = (
    b"", b"\r\n\r\n", b"GET\r\n\r\n", b"GET /v1/inventory/stream\r\n\r\n", b"GET /v1/inventory/stream HTTP/9.9\r\n\r\n",
    b"GET  /v1/inventory/stream HTTP/1.1\r\n\r\n", b"GET /v1/inventory/stream HTTP/1.1\nHost: x\n\n", b"\x16\x03\x01\x02\x00\x01\x00\x01",
    b"GET /v1/inventory/stream HTTP/1.1\r\nHost x\r\n\r\n", b"GET /v1/inventory/stream HTTP/1.1\r\n: x\r\n\r\n",
    b"GET /v1/inventory/stream HTTP/1.1\r\nA: b\r\n c\r\n\r\n", b"GET /v1/inventory/stream HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/orders HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /v1/inventory/stream HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET * HTTP/1.1\r\n\r\n",
    b"GET http://other.example/v1/inventory/stream HTTP/1.1\r\n\r\n", b"GET /v1/stream?topics=inventory HTTP/1.1\r\nHost: x\r\n",
    b"GET /v1/inventory/stream HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"GET /v1/inventory/stream HTTP/1.1\r\nA: " + b"b" * 20000 + b"\r\n\r\n", b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
)  # fmt: skip


_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9]{2}) ")
"""Of any minor version: who says HTTP/1.4 is answered in it."""


class Fuzzer:
    """Sends one request after the other to a server, and counts the statuses of the answers; None where there was none."""

    def __init__(self, server: Server, seed: int) -> None:
        self.statuses: Counter[int | None] = Counter()
        self.failures: list[tuple[bytes, bytes]] = []
        """Requests that were answered with a 5xx, or with something that isn't HTTP, and the beginnings of the answers."""
        self._server = server
        self._random = random.Random(seed)

    def run(self, count: int) -> None:
        """Send so many requests."""
        for _ in range(count):
            request = self._request()
            answer = self._send(request)
            match = _STATUS.match(answer)
            status = int(match[1]) if match else None
            self.statuses[status] += 1
            # To a Transfer-Encoding that nobody knows, and to nothing else, gunicorn answers what RFC 9112 (6.1) asks for: 501.
            unknown_coding = status == 501 and b"transfer-encoding:" in request.lower()
            if (status is None and answer) or ((status or 0) >= 500 and not unknown_coding):
                self.failures.append((request, answer[:300]))

    def _send(self, request: bytes) -> bytes:
        with socket.create_connection(self._server.address, 10) as connection:
            try:
                connection.sendall(request)
                if self._random.random() < 0.5:
                    connection.shutdown(socket.SHUT_WR)
                elif not request.endswith(b"\r\n\r\n"):
                    return b""  # It will wait for the rest; this client has lost its patience.
                return connection.recv(4096)
            except OSError:
                return b""  # It was refused before its end, and a socket that has been reset can't even be shut.

    def _request(self) -> bytes:
        choice = self._random.choice
        if self._random.random() < 0.15:
            return self._damaged(choice(BROKEN))
        query = "&".join(f"{choice(NAMES)}={choice(VALUES)}" for _ in range(self._random.randint(0, 4)))
        target = choice(PATHS) + (f"?{query}" if query else "")
        if self._random.random() < 0.9:
            target = target.replace(" ", "%20").replace("\t", "%09").replace("\0", "%00")
        headers = "".join(f"{choice(HEADERS)}: {choice(VALUES)}\r\n" for _ in range(self._random.randint(0, 3)))
        version = choice(("HTTP/1.1",) * 6 + ("HTTP/1.0",) * 2)
        request = f"{choice(METHODS)} {target} {version}\r\nHost: test\r\n{headers}\r\n".encode()
        return self._damaged(request) if self._random.random() < 0.1 else request

    def _damaged(self, request: bytes) -> bytes:
        damaged = bytearray(request)
        for _ in range(self._random.randint(0, 3)):
            if damaged:
                damaged[self._random.randrange(len(damaged))] = self._random.randrange(256)
        return bytes(damaged)
