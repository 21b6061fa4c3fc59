"""Admission: how many streams a worker holds, in all and for each client.

The counts live in the memory of the worker that holds the streams, so a worker that is killed takes its counts along and no
place can leak. Nobody who is connected is ever dropped to let another one in: he would come straight back.
"""

from collections import Counter
from collections.abc import Sequence


class Admission:
    """Places for `max_streams` streams at once, and at most `max_per_holder` of them for each holder.

    A holder is whom a stream is counted for: an address, or a user, as a text that tells the two apart.
    """

    def __init__(self, max_streams: int, max_per_holder: int | None = None) -> None:
        self.max_streams = max_streams
        self.open = 0
        self._max_per_holder = max_per_holder
        self._held: Counter[str] = Counter()

    def refusal(self, holders: Sequence[str] = ()) -> str | None:
        """Return why a stream of these holders would be refused now: `full` or `too-many`; None when there is a place."""
        if self.open >= self.max_streams:
            return "full"
        limit = self._max_per_holder
        return "too-many" if limit is not None and any(self._held[holder] >= limit for holder in holders) else None

    def take(self, holders: Sequence[str] = ()) -> None:
        """Take a place, to be given back when the stream ends."""
        self.open += 1
        self._held.update(holders)

    def give_back(self, holders: Sequence[str] = ()) -> None:
        """Give back a place that these holders had taken."""
        self.open -= 1
        for holder in holders:
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]
