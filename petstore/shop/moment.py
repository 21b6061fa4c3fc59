"""Points in time: microseconds since 1970 inside, as in the event log; UTC datetimes and RFC 3339 text at the boundary.

Must not know what happened at them.
"""

import time
from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
DAY = 86_400 * SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """Return the present in microseconds since 1970."""
    return time.time_ns() // 1000


def following(*moments: int) -> int:
    """Return the present, or where the clock stands still or back, a moment after all of `moments`.

    So the time of a row's last change is also its version: no two states of it have the same one.
    """
    return max((now(), *(moment + 1 for moment in moments)))


def span(seconds: float) -> int:
    """Return `seconds` in microseconds."""
    return round(seconds * SECOND)


def to_datetime(moment: int) -> datetime:
    """Return `moment` as a datetime in UTC, exact to the microsecond (a float of seconds would not be)."""
    return _EPOCH + timedelta(microseconds=moment)


def from_datetime(moment: datetime) -> int:
    """Undo `to_datetime`."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_timestamp(moment: int) -> str:
    """Return `moment` as RFC 3339 text in UTC, cut to the second: 2026-03-13T10:30:00Z."""
    return to_datetime(moment).strftime("%Y-%m-%dT%H:%M:%SZ")
