"""Sends the same bytes to many sockets, in one system call where the system has one for that.

From Python a small send costs a microsecond on top of the kernel's part of it, and thousands wait for the same few bytes. Where
there is no io_uring, and for a few sockets, for which it costs more than it saves, each is sent to by itself: what comes out is
the same.

Must not know what is sent, nor what becomes of a socket that took only a part. Must not let anything else run while it sends,
not even a handler of logs: a socket's number is another one's as soon as it's closed.
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
    """For one process, and in that for one thread at a time."""

    def __init__(self) -> None:
        self._ring: IoUring | None = None

    def open(self) -> None:
        """Ask the system for the means to send to many at once; without that, and before, each is sent to by itself."""
        if sys.platform != "linux":
            return
        from petstore.sse.io_uring import IoUring

        try:
            self._ring = IoUring(MOST)
        except OSError as error:
            logger.info("each client is sent to by itself, without io_uring: %s", error.strerror)

    def send(self, descriptors: Sequence[int], data: bytes) -> dict[int, int]:
        """Send `data` to at most `MOST` non-blocking sockets. Returns for those that did not take it all how much they took.

        Raises nothing: one that is full, broken or closed takes 0 bytes.
        """
        ring = self._ring
        if ring is None or ring.failure or len(descriptors) < FEW:
            return _send_each(descriptors, data)
        return ring.send(descriptors, data)

    def check(self) -> None:
        """See whether the system still does its part; if it doesn't, say so once and do without."""
        if self._ring is not None and self._ring.failure:
            logger.warning("each client is sent to by itself, as io_uring fails: %s", self._ring.failure)
            self.close()

    def close(self) -> None:
        """Give back what the system lent."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None


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
