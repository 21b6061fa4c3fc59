"""Counts of requests in windows of a minute, in one small file that the workers of a machine share.

A fixed table: it can't grow, whoever asks under however many names. Where all places of a name's row are taken in the same minute,
the one with the fewest requests is forgotten, so that a crowd of new names displaces itself, never those who ask most.

Must not know who is counted nor what is too much.
"""

import fcntl
import logging
import mmap
import os
import struct
import threading
from hashlib import blake2b
from pathlib import Path

WINDOW_S = 60

PLACES = 4
ROWS = 16_384
"""Of four places each: 65,536 names a minute, in 1 MiB."""

TRIES = 200
"""How often we try to lock a row that another process holds, before we count without: it holds it for microseconds, unless it was
stopped right there, and then nobody may wait for it. The worst of it is a request that isn't counted."""

logger = logging.getLogger(__name__)

_PLACE = struct.Struct("<QII")  # Who, by a hash; the number of the minute; how many requests.
_ROW_BYTES = PLACES * _PLACE.size


class Windows:
    """The counts. `key` keeps strangers from choosing names that meet in one row. Nothing is opened before the first request."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key
        self._lock = threading.Lock()
        self._file = -1
        self._table: mmap.mmap | None = None
        self._failed_in = -1

    def count(self, name: str, window: int, requests: int = 1) -> int:
        """Count `requests` for `name` in this window, and return how many it has had. Takes some microseconds.

        Where the file can't be had, on a full disk say, nobody is counted, and so nobody is refused.
        """
        who = int.from_bytes(blake2b(name.encode(), digest_size=8, key=self._key).digest(), "little")
        start = who % ROWS * _ROW_BYTES
        with self._lock:
            table = self._table or self._open(window)
            if table is None:
                return 0
            locked = self._lock_row(start)
            try:
                return _count(table, start, who, window, requests)
            finally:
                if locked:
                    fcntl.lockf(self._file, fcntl.LOCK_UN, _ROW_BYTES, start)

    def close(self) -> None:
        """Let go of the file, which stays: other workers count on."""
        with self._lock:
            self._close()

    def _open(self, window: int) -> mmap.mmap | None:
        if window == self._failed_in:
            return None
        size = ROWS * _ROW_BYTES
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # Zeros, where it's new. A file with holes would do, until the disk is full: to write there would end the process.
            os.posix_fallocate(self._file, 0, size)
            self._table = mmap.mmap(self._file, size)
        except OSError as error:
            logger.error("requests can't be counted, and are not limited: %s", error)
            self._failed_in = window  # Tried again in the next one: not each request should.
            self._close()
        return self._table

    def _close(self) -> None:
        if self._table is not None:
            self._table.close()
            self._table = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _lock_row(self, start: int) -> bool:
        for _ in range(TRIES):
            try:
                # Not flock: that would lock the whole file, and every worker would meet every other.
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, _ROW_BYTES, start)
                return True
            except OSError:
                continue
        return False


def _count(table: mmap.mmap, start: int, who: int, window: int, requests: int) -> int:
    oldest = (window + 1, 0, start)
    for offset in range(start, start + _ROW_BYTES, _PLACE.size):
        other, at, counted = _PLACE.unpack_from(table, offset)
        if other == who and at == window:
            counted = min(counted + requests, 2**32 - 1)
            _PLACE.pack_into(table, offset, who, window, counted)
            return int(counted)
        oldest = min(oldest, (at, counted, offset))
    _PLACE.pack_into(table, oldest[2], who, window, requests)
    return requests
