"""Admission: how many streams a worker holds, and what one that can't be held is told.

The count lives in the memory of the worker that holds the streams, so a worker that is killed takes its count along and no
place can leak. Nobody who is connected is ever dropped to let another one in: he would come straight back.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Admission:
    """Places for `max_streams` streams at once."""

    def __init__(self, max_streams: int) -> None:
        self.max_streams = max_streams
        self.open = 0
        # Only the development server has real threads here, but there a lost count would be lost for good.
        self._lock = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether the next stream would be one too many."""
        return self.open >= self.max_streams

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while the stream is open."""
        with self._lock:
            self.open += 1
        try:
            yield
        finally:
            with self._lock:
                self.open -= 1
