"""Whether the client's machine still acknowledges what we send: how a client is noticed that vanished without a word.

Bytes that the kernel has sent, and of which none is acknowledged for most of a heartbeat, say that nobody is there. Not
TCP_USER_TIMEOUT, which says the same by itself, but also (measured on Linux 6) ends the connection of a client that is there
and only doesn't read: those have `Terms.stuck_s`, and their machine acknowledges all that it has room for.

Must not read, write or close the socket.
"""

import socket
import struct
import sys
from typing import Any

_UNACKED, _BYTES_ACKED = struct.Struct("I"), struct.Struct("Q")
_UNACKED_AT, _BYTES_ACKED_AT, _LENGTH = 24, 120, 128
"""Where these are in Linux's struct tcp_info, which only ever grows at its end."""


class Acknowledgements:
    """Those of one connection; of one that isn't TCP, or on a system that can't tell, none is ever missing."""

    __slots__ = ("_connection", "_count", "_since")

    def __init__(self, connection: Any) -> None:
        is_tcp = getattr(connection, "family", None) in (socket.AF_INET, socket.AF_INET6)
        self._connection = connection if is_tcp and sys.platform == "linux" else None
        self._count: int | None = None
        self._since = 0.0

    @property
    def missing_since(self) -> float | None:
        """Since when, as far as our looks can tell, bytes are on their way and none was acknowledged; None when none are."""
        return None if self._count is None else self._since

    def missing_s(self, now: float) -> float:
        """Return for how many seconds, as far as our looks can tell, bytes are on their way and none was acknowledged."""
        count = self._look()
        if count is None or count != self._count:
            self._count, self._since = count, now
        return now - self._since

    def _look(self) -> int | None:
        """Return how many bytes were acknowledged so far, or None when no others are on their way."""
        if self._connection is None:
            return None
        try:
            info = self._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LENGTH)
        except OSError:
            return None
        if len(info) < _LENGTH or not _UNACKED.unpack_from(info, _UNACKED_AT)[0]:
            return None
        count: int = _BYTES_ACKED.unpack_from(info, _BYTES_ACKED_AT)[0]
        return count
