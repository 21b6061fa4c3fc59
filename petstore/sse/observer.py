"""What the streaming core tells to whoever counts: the boundary to metrics and logs.

Must not count or log anything itself. Every method returns at once and raises nothing.
"""

from collections.abc import Sequence
from typing import Protocol


class Observer(Protocol):
    """Told of what happens to streams. Causes of an end: complete, left, stuck, behind, drained, failed."""

    def opened(self, topics: Sequence[str], holders: Sequence[str], replays: bool, gaps: int) -> None:
        """A stream of `topics` began; `replays` when it began in the past, `gaps` topics of it with a gap."""

    def ended(self, topics: Sequence[str], holders: Sequence[str], cause: str, duration_s: float, events: int) -> None:
        """A stream ended, after `duration_s` seconds and `events` sent."""

    def refused(self, reason: str) -> None:
        """A stream was refused because the server is `full` or `draining`, or its client has `too-many`."""

    def delivered(self, events: int, newest_id: int) -> None:
        """So many events, counted once for each stream, were handed to sockets; the newest had `newest_id`."""

    def lagged(self, lag_s: float) -> None:
        """The event loop came to something `lag_s` seconds later than it should have."""


class Silence:
    """An observer that lets it pass."""

    def opened(self, topics: Sequence[str], holders: Sequence[str], replays: bool, gaps: int) -> None:
        pass

    def ended(self, topics: Sequence[str], holders: Sequence[str], cause: str, duration_s: float, events: int) -> None:
        pass

    def refused(self, reason: str) -> None:
        pass

    def delivered(self, events: int, newest_id: int) -> None:
        pass

    def lagged(self, lag_s: float) -> None:
        pass
