"""Retention: how long the log keeps events that nobody may need any more.

Must not decide what a client is told of it: the cursors do.
"""

import time

from petstore.sse.event_log import EventLog

SLICE = 2000
"""Events removed in one transaction: a writer must not wait long behind it."""

PAUSE_S = 60.0
"""How often the log is looked over when there is nothing to remove."""


class Retention:
    """Removes what is older than `keep_s` seconds from `log`."""

    def __init__(self, log: EventLog, keep_s: float) -> None:
        self._log = log
        self._keep_s = keep_s

    def trim(self) -> float:
        """Remove one slice. Returns the seconds until the next one: none while there is more."""
        before = int((time.time() - self._keep_s) * 1e6)
        removed = self._log.trim(before, SLICE)
        return 0.0 if removed == SLICE else min(PAUSE_S, self._keep_s / 10)
