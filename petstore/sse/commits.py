"""What this process has committed lately, so that its own follower need not read it back from the database.

To read back an event that was written a moment ago takes as long as to write it. Each commit knows which id was the last one
before it; so what follows an id without a hole can be told from memory, as long as no other process has written in between.

Must not be asked once another process may have written: only the database knows what that one wrote.
"""

from collections.abc import Sequence

from petstore.sse.event import Event

MAX_EVENTS = 10_000
"""A follower takes them at once. One that is so far behind may as well read the database."""


class Commits:
    """Commits of this process, by the last id before each."""

    def __init__(self) -> None:
        self._following: dict[int, Sequence[Event]] = {}
        self._events = 0

    def add(self, before: int, events: Sequence[Event]) -> None:
        """Note `events`, now committed, of which the first one follows the id `before`, on whatever topic that was."""
        if self._events > MAX_EVENTS:
            self._forget()
        self._following[before] = events
        self._events += len(events)

    def take(self, after: int, limit: int) -> list[Event]:
        """Return all that was noted and follows `after` without a hole, once, if that is no more than `limit` events."""
        taken: list[Event] = []
        while events := self._following.get(after):
            taken += events
            after = taken[-1].id
        self._forget()
        return taken if len(taken) <= limit else []

    def _forget(self) -> None:
        # What isn't taken now will have been read from the database before anybody asks for it.
        self._following = {}
        self._events = 0
