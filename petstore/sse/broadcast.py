"""Sends the same bytes to many sockets, in one system call where the system has one for that.

From Python a small send costs a microsecond on top of the kernel's part of it, and thousands wait for the same few bytes. Where
there is no io_uring, and for a few sockets, for which it costs more than it saves, each is sent to by itself: what comes out is
the same.

Must not know what is sent, nor what becomes of a socket that took only a part.
"""

import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from petstore.sse.io_uring import IoUring

MOST = 256
"""Sockets of one call, during which nothing else in this thread has its turn: one to two milliseconds."""

FEW = 96
"""Below this many sockets one send after another is faster: a call for many has a price of its own."""

logger = logging.getLogger(__name__)


class Broadcast:
    """For one thread of the process in which `send` is called first."""

    def __init__(self) -> None:
        self._ring: IoUring | None = None
        self._tried = False

    def send(self, descriptors: Sequence[int], data: bytes) -> dict[int, int]:
        """Send `data` to at most `MOST` non-blocking sockets. Returns for those that did not take it all how much they took.

        Raises nothing: one that is full, broken or closed takes 0 bytes.
        """
        if len(descriptors) < FEW or not (ring := self._usable_ring()):
            return _send_each(descriptors, data)
        return ring.send(descriptors, data)

    def close(self) -> None:
        """Give back what the system lent."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _usable_ring(self) -> "IoUring | None":
        if not self._tried:
            self._tried = True  # Whoever is refused once is refused always.
            self._ring = _open_ring()
        elif self._ring is not None and not self._ring.usable:
            self.close()
        return self._ring


def _open_ring() -> "IoUring | None":
    if sys.platform != "linux":
        return None
    from petstore.sse.io_uring import IoUring

    try:
        return IoUring(MOST)
    except OSError as error:
        logger.info("each client is sent to by itself: io_uring: %s", error.strerror)
        return None


def _send_each(descriptors: Sequence[int], data: bytes) -> dict[int, int]:
    size, short = len(data), {}
    for descriptor in descriptors:
        try:
            sent = os.write(descriptor, data)
        except OSError:
            sent = 0
        if sent != size:
            short[descriptor] = sent
    return short
