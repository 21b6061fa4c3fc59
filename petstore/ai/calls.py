"""Places for calls of models, each of which is paid for: so many at once in a process, and fewer for each caller.

Must not know what is called.
"""

import threading
from collections import Counter
from collections.abc import Hashable

MAX_CALLS = 100
"""Runs of one process that a model makes at once. The embedded engines make what comes on top of that."""

MAX_CALLS_EACH = 20
"""Those of one caller among them, so that nobody alone can turn all others away. All guests together are one caller."""


class Calls:
    """The places that are taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[Hashable] = Counter()

    def take(self, caller: Hashable) -> bool:
        """Take a place, if there is one for this caller."""
        with self._lock:
            if self._taken.total() >= MAX_CALLS or self._taken[caller] >= MAX_CALLS_EACH:
                return False
            self._taken[caller] += 1
            return True

    def give_back(self, caller: Hashable) -> None:
        """Let somebody else have a place that was taken."""
        with self._lock:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]
