"""Cursors: from what a client sent to a place in the log, and the gap that it is told of where the log can't reach back.

A cursor is an id: everything up to it has been delivered. Must not know HTTP: which header or parameter a text came from is
the caller's business.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from petstore.sse.error import InvalidCursor
from petstore.sse.event_log import EventLog, Extent
from petstore.sse.ring import Ring

MAX_LENGTH = 256
"""Characters of a cursor. An id has 16; whatever is longer is an attempt on our memory or our logs."""

CLOCK_SKEW_S = 60
"""How far in the future a `since` may lie before we take it for a mistake."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ID = re.compile(r"[0-9]{1,18}")
_DURATION = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s)?")


@dataclass(frozen=True, slots=True)
class Requested:
    """Where a client wants to go on: after the id that it holds, or from a moment on.

    `id` is None when `text`, which claims to be an id, can't be one of ours. A moment is an id that nobody held, so it's never
    unknown: `held` is False.
    """

    id: int | None
    text: str
    held: bool = True


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of `topic` after the requested id are gone; the log still has them from `oldest_id` on (None: it has none)."""

    topic: str
    requested: int | str
    oldest_id: int | None


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a stream begins: after `cursor` (None: now), with these gaps to tell.

    `over` are the topics that had ended by then, of which nothing follows; `ended` when that is all of them and there is no gap.
    What retention had removed up to `told` was looked at; None when whatever is missing is none of the client's business.
    """

    cursor: int | None
    gaps: tuple[Gap, ...] = ()
    ended: bool = False
    over: frozenset[str] = frozenset()
    told: int | None = field(default=None, compare=False)


def read_id(text: str) -> Requested:
    """Return what a client holds, as it claims. Whether the log knows the id is for `open_at` to say."""
    return Requested(int(text) if _ID.fullmatch(text) else None, text)


def read_since(text: str, now: datetime) -> Requested:
    """Return the moment that `text` names: a duration before `now` (`90s`, `10m`, `1h30m`, `2d`) or an RFC 3339 time.

    Raises InvalidCursor.
    """
    duration = _DURATION.fullmatch(text)
    if duration and text:
        days, hours, minutes, seconds = (int(part or 0) for part in duration.groups())
        age_s = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        return _since(text, _microseconds(now) - age_s * 1_000_000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidCursor("since", "must be a duration like 10m or a time like 2026-03-13T10:30:00Z") from None
    if moment.tzinfo is None:
        raise InvalidCursor("since", "must name its time zone, as in 2026-03-13T10:30:00Z")
    if (moment - now).total_seconds() > CLOCK_SKEW_S:
        raise InvalidCursor("since", "must not lie in the future")
    return _since(text, _microseconds(min(moment, now)))


def _microseconds(moment: datetime) -> int:
    # Not by `timestamp`, whose rounding would lose or double the event of that very microsecond.
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _since(text: str, id: int) -> Requested:
    # An event of that very moment is wanted; a cursor is what was had.
    return Requested(max(0, id - 1), text, held=False)


def open_at(
    log: EventLog, topics: Collection[str], request: Requested | None, otherwise: int | None, ring: Ring | None = None
) -> Opening:
    """Return where a stream of `topics` begins for a client that asks with `request`.

    `otherwise` is the cursor of a client that holds none (0: all that there is, None: from now on, where some topic goes on for
    ever), and of one whose id can't be ours: it never had one of these events, as far as we know. A `ring` that follows the log
    answers for it where it can: when many come back at once, they need not all ask the database. Raises LogUnavailable.
    """
    if request is None:
        return Opening(otherwise)
    over = None if ring is None else _over_by_ring(ring, topics, request)
    if over is not None:
        return Opening(request.id, (), len(over) == len(set(topics)), over, request.id)
    # Before the topics are looked at: what is removed meanwhile is then told twice, and not never.
    told = log.trimmed()
    extents = log.extents(topics)
    if request.id is None or (request.held and not log.origin() <= request.id <= log.head()):
        return Opening(otherwise, _gaps(request, extents), False, _over(extents, otherwise))
    cursor = request.id if request.held else not_ahead(log, request.id)
    # What the ring still has is not lost, whatever the log has removed by now: the client will get it. One that has not begun to
    # follow the log has nothing.
    reached = ring is not None and 0 < ring.floor <= cursor
    cut = {topic: extent for topic, extent in extents.items() if extent.trimmed_id > cursor and not reached}
    over = _over(extents, cursor)
    return Opening(cursor, _gaps(request, cut), len(over) == len(extents), over, cursor if reached else told)


def not_ahead(log: EventLog, moment: int) -> int:
    """Return the cursor of who wants what comes from `moment` on: when a clock was set back, new ids may be below that."""
    return min(moment, log.head())


def _over_by_ring(ring: Ring, topics: Collection[str], request: Requested) -> frozenset[str] | None:
    """Return which topics had ended at the requested id; None when the ring can't know whether all is there after that."""
    id = request.id
    if id is None or not ring.floor <= id <= ring.head:
        return None
    newest = {topic: ring.newest(topic) for topic in topics}
    if None in newest.values():
        return None  # It may have ended before the ring began.
    return frozenset(topic for topic, event in newest.items() if event is not None and event.ends and event.id <= id)


def _over(extents: Mapping[str, Extent], cursor: int | None) -> frozenset[str]:
    return frozenset(
        topic for topic, extent in extents.items() if extent.final_id is not None and (cursor is None or cursor >= extent.final_id)
    )


def _gaps(request: Requested, extents: Mapping[str, Extent]) -> tuple[Gap, ...]:
    requested = request.text if request.id is None else request.id
    return tuple(Gap(topic, requested, extent.oldest_id) for topic, extent in extents.items())
