"""Many streams at once, read by one thread: what hundreds of clients would see, at the cost of one.

Each is a bare socket; what has come is kept with the moment of its arrival. Must not reconnect by itself.
"""

import re
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from tests.live.server import DEADLINE_S

END = b"0\r\n\r\n"
"""The last chunk of a body that ended as it should."""

_ID = re.compile(rb"^id: ([0-9]+)$", re.MULTILINE)


class Member:
    """One client: `received` is everything that came, `arrivals` when each piece did (by the clock), and how long it was."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.received = bytearray()
        self.arrivals: list[tuple[float, int]] = []
        self.ended = False

    @property
    def ids(self) -> list[int]:
        """The ids of the events that came, in their order."""
        return [int(id) for id in _ID.findall(self.received)]

    def delays_s(self, after: int = 0) -> list[float]:
        """Return how many seconds after its commit each event above the id `after` was here: an id is the time of that."""
        delays, arrivals, end, moment = [], iter(self.arrivals), 0, 0.0
        for match in _ID.finditer(self.received):
            while end < match.end():
                moment, length = next(arrivals)
                end += length
            if (id := int(match[1])) > after:
                delays.append(moment - id / 1e6)
        return delays

    @property
    def is_open(self) -> bool:
        """Whether the stream has begun: its first bytes are here."""
        return b": open\n" in self.received


class Crowd:
    """`count` streams of `target`, opened one after the other but read together. A context manager: leaving it closes them."""

    def __init__(
        self,
        address: tuple[str, int],
        target: str,
        count: int,
        headers: str = "",
        connections: Sequence[socket.socket] = (),
        receive_buffer: int | None = None,
    ) -> None:
        self.members: list[Member] = []
        self._poll = select.epoll()
        self._by_descriptor: dict[int, Member] = {}
        request = f"GET {target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n".encode()
        for number in range(count):
            if connections:
                connection = connections[number]
            else:
                connection = socket.socket()
                if receive_buffer is not None:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
                connection.settimeout(DEADLINE_S)
                connection.connect(address)
            connection.sendall(request)
            connection.setblocking(False)
            member = Member(connection)
            self.members.append(member)
            self._by_descriptor[connection.fileno()] = member
            self._poll.register(connection, select.EPOLLIN)
            if number % 100 == 99:
                self.read(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def wait_until_open(self, deadline_s: float = DEADLINE_S) -> Self:
        """Read until each has its first bytes."""
        return self.read_until(lambda: all(member.is_open for member in self.members), "all streams are open", deadline_s)

    def read_until(self, condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> Self:
        """Read on until `condition()` is true."""
        until = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < until, f"not within {deadline_s:g} s: {what}"
            self.read(0.02)
        return self

    def read(self, timeout_s: float) -> None:
        """Read what is there; wait up to `timeout_s` for something."""
        for descriptor, _ in self._poll.poll(timeout_s):
            self._read(self._by_descriptor[descriptor])

    def _read(self, member: Member) -> None:
        try:
            piece = member.socket.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if piece:
            member.received += piece
            member.arrivals.append((time.time(), len(piece)))
        else:
            member.ended = True
            self._poll.unregister(member.socket)

    def close(self, *, resets: bool = False) -> None:
        """End all connections, with a reset if that is wanted."""
        for member in self.members:
            if resets:
                member.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            member.socket.close()
        self._poll.close()
        self.members, self._by_descriptor = [], {}
