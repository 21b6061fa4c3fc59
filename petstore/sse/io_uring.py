"""Linux's io_uring, as far as it takes to send to many sockets in one system call (io_uring_setup(2), io_uring_enter(2)).

There is no binding of it to depend on, so its two system calls go through ctypes, and what is shared with the kernel is written
and read through memoryviews, each of one field of all requests: the same few instructions for hundreds of sockets as for one.
Nothing is under way between two calls: each request is a send that does not wait, and the kernel returns when it has done with
all of them, one way or the other.

Must not know what is sent, nor what becomes of a socket that took only a part. For Linux alone.
"""

import ctypes
import errno
import mmap
import os
import socket
import weakref
from array import array
from collections.abc import Sequence

# By their names in <linux/io_uring.h>. The numbers of the system calls are those of nearly every processor; where they are
# another call's (Alpha's, MIPS's), that fails.
SETUP, ENTER = 425, 426
FEAT_SINGLE_MMAP = 1
ENTER_GETEVENTS = 1
OFF_SQES = 0x10000000
OP_SEND = 26

SQE, CQE = 64, 16
"""Bytes of a request and of a completion."""

_call = ctypes.CDLL(None, use_errno=True).syscall
_call.restype = ctypes.c_long
_call.argtypes = [ctypes.c_long] * 5 + [ctypes.c_void_p, ctypes.c_size_t]


class IoUring:
    """One ring, for up to `size` sends at once (a power of two), and for one thread of one process.

    Raises OSError where there is none to be had: on an old kernel, or, as in many containers, on one that doesn't allow it.
    `failure` says so when the kernel has stopped doing its part; nothing may be sent from then on.
    """

    def __init__(self, size: int) -> None:
        params = (ctypes.c_uint32 * 30)()
        self._descriptor = _system_call(SETUP, size, ctypes.addressof(params))
        self.close = weakref.finalize(self, os.close, self._descriptor)
        """Gives the ring back. Runs by itself when this object is collected."""

        self.failure = ""
        self._size = size
        try:
            self._share(list(params))
            self._try_out()
        except OSError:
            self.close()
            raise

    def send(self, descriptors: Sequence[int], data: bytes) -> dict[int, int]:
        """Send `data` to each of these sockets. Returns for those that did not take it all how much they took.

        Raises nothing. What the kernel did not get to has taken 0 bytes.
        """
        count, tail = len(descriptors), self._sq_tail[0]
        turn = self._size - tail % self._size
        # However far the ring has turned, its next request is the first.
        self._sq_array[:] = self._turned[turn : turn + self._size]
        self._fd[:count] = array("i", descriptors)
        self._addr[:count] = array("Q", [ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0]) * count
        self._len[:count] = array("I", [len(data)]) * count
        self._sq_tail[0] = (tail + count) & 0xFFFFFFFF
        try:
            self._submit(count)
        except OSError as error:
            self.failure = str(error.strerror)
        return self._short(descriptors, len(data))

    def _submit(self, count: int) -> None:
        """Have the kernel do the next `count` requests, and return when it has done them all. Raises OSError."""
        left = count
        while left:
            submitted = _system_call(ENTER, self._descriptor, left, count, ENTER_GETEVENTS)
            if not submitted:
                raise OSError(errno.EIO, "requests were dropped")
            left -= submitted

    def _short(self, descriptors: Sequence[int], size: int) -> dict[int, int]:
        """Take the completions, and return what those sockets took that did not take `size` bytes."""
        head, tail = self._cq_head[0], self._cq_tail[0]
        begin = head % len(self._res)
        end = begin + (tail - head & 0xFFFFFFFF)
        over = max(0, end - len(self._res))  # The ring's end may lie in the middle.
        taken = self._res[begin:end].tolist() + self._res[:over].tolist()
        places = self._place[begin:end], self._place[:over]
        self._cq_head[0] = tail
        if taken.count(size) == len(descriptors):
            return {}
        by_place = dict(zip([place for some in places for place in some], taken, strict=True))
        return {
            descriptor: max(0, by_place.get(place, 0))
            for place, descriptor in enumerate(descriptors)
            if by_place.get(place) != size
        }

    def _share(self, params: list[int]) -> None:
        """Map the memory that we share with the kernel, and write into it all that is the same each time."""
        size, cq_entries, features, sq_off, cq_off = self._size, params[1], params[5], params[10:20], params[20:30]
        if not features & FEAT_SINGLE_MMAP:
            raise OSError(errno.ENOSYS, "io_uring is too old")
        (sq_tail, sq_array), (cq_head, cq_tail, cqes) = (sq_off[1], sq_off[6]), (cq_off[0], cq_off[1], cq_off[5])
        rings = self._mapped(0, max(sq_array + 4 * size, cqes + CQE * cq_entries))
        sqes = self._mapped(OFF_SQES, SQE * size)
        self._sq_tail, self._cq_head, self._cq_tail = (rings[at : at + 4].cast("I") for at in (sq_tail, cq_head, cq_tail))
        self._sq_array = rings[sq_array : sq_array + 4 * size].cast("I")
        self._turned = memoryview(array("I", [*range(size), *range(size)]))
        # Of a request, the descriptor lies at byte 4, the address at 16, the length at 24, flags at 28 and our mark at 32; of a
        # completion, our mark at 0 and the result at 8.
        completions = rings[cqes : cqes + CQE * cq_entries]
        self._place, self._res = completions.cast("Q")[::2], completions.cast("i")[2::4]
        self._fd, self._addr, self._len = sqes.cast("i")[1::16], sqes.cast("Q")[2::8], sqes.cast("I")[6::16]
        sqes[::SQE] = array("B", [OP_SEND]) * size
        sqes.cast("I")[7::16] = array("I", [socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL]) * size
        sqes.cast("Q")[4::8] = array("Q", range(size))

    def _mapped(self, offset: int, size: int) -> "memoryview[int]":
        return memoryview(mmap.mmap(self._descriptor, size, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=offset))

    def _try_out(self) -> None:
        """Raise OSError if it doesn't do what we need: a kernel may have io_uring and no send in it, or forbid that alone."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.setblocking(False)
            short = self.send([ours.fileno(), -1], b"ab")
            if short != {-1: 0} or self.failure or theirs.recv(3) != b"ab":
                raise OSError(errno.ENOSYS, "io_uring doesn't send")


def _system_call(number: int, *arguments: int) -> int:
    while (result := int(_call(number, *arguments, *[0] * (6 - len(arguments))))) < 0:
        if (error := ctypes.get_errno()) != errno.EINTR:
            raise OSError(error, os.strerror(error))
    return result
