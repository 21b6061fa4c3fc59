"""The event log in SQL tables, beside the tables of whoever uses it. Implements `event_log.EventLog` on a SQLite file.

Must not decide who may read what, nor keep events in memory: that is the feed's.
"""

import heapq
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from petstore.sse.commits import Commits
from petstore.sse.database import Database, driver_of
from petstore.sse.doorbell import Doorbell
from petstore.sse.event import ENDINGS, Draft, Event, dump
from petstore.sse.event_log import Extent, Transaction

T = TypeVar("T")

metadata = MetaData()
"""The tables of the streaming core; a product migrates them together with its own."""

ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite stores a row by its key only when that is an INTEGER.

clock = Table(
    "event_clock",
    metadata,
    Column("origin", ID, primary_key=True, autoincrement=False),
    Column("last_id", ID, nullable=False),
    Column("trimmed_id", ID, nullable=False),
)
"""One row. Its lock, held to the commit, is what makes commit order id order."""

events = Table(
    "events",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=False),
    Column("topic", String(200), nullable=False),
    Column("type", String(60), nullable=False),
    Column("data", Text, nullable=False),
    Index("events_topic_id", "topic", "id"),
)

trims = Table(
    "event_trims",
    metadata,
    Column("topic", String(200), primary_key=True),
    Column("last_id", ID, nullable=False),
)
"""For each topic that retention has cut: the newest id that it removed."""

FORGET = 500
"""Topics forgotten by one statement."""

# What every event and every stream asks is run by the driver itself: SQLAlchemy takes four times as long to run a statement as
# SQLite does, and ten changes a second find every cache cold.
_PAGE = "SELECT id, topic, type, data FROM events WHERE id > :after ORDER BY id LIMIT :limit"
_PAGE_OF_TOPIC = "SELECT id, topic, type, data FROM events WHERE topic = :topic AND id > :after ORDER BY id LIMIT :limit"
_LAST_ID = "SELECT last_id FROM event_clock"
_TRIMMED_TO = "SELECT trimmed_id FROM event_clock"
_TRIMMED = "SELECT last_id FROM event_trims WHERE topic = :topic"
_OLDEST = "SELECT min(id) FROM events WHERE topic = :topic"
_NEWEST = "SELECT id, type FROM events WHERE topic = :topic ORDER BY id DESC LIMIT 1"
_ADVANCE = "UPDATE event_clock SET last_id = :to"
_APPEND = "INSERT INTO events (id, topic, type, data) VALUES (:id, :topic, :type, :data)"


def create_log(connection: Connection) -> None:
    """Start the clock of a new log. Its tables exist; a clock that already runs is left alone."""
    if connection.execute(select(clock.c.origin)).first() is None:
        now = _now()
        connection.execute(insert(clock).values(origin=now, last_id=now, trimmed_id=0))


class SqlEventLog:
    """See `event_log.EventLog` for the contract."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._doorbell = Doorbell(path.with_name(path.name + "-followers"))
        self._commits = Commits()

    def write(self, work: Callable[[Transaction], T]) -> T:
        def transact(connection: Connection) -> tuple[T, SqlTransaction]:
            transaction = SqlTransaction(connection)
            return work(transaction), transaction

        result, transaction = self._database.write(transact)
        if transaction.appended:
            # Before the bell is rung: whoever hears it must find them.
            self._commits.add(transaction.before, transaction.appended)
            self._doorbell.ring()
        return result

    def query(self, work: Callable[[Connection], T]) -> T:
        return self._database.read(work)

    def read(self, topics: Collection[str] | None, after: int, limit: int) -> list[Event]:
        if topics is None and self._doorbell.only_own and (own := self._commits.take(after, limit)):
            return own
        return self.query(lambda connection: _read(connection, topics, after, limit))

    def wait(self, timeout_s: float) -> bool:
        return self._doorbell.wait(timeout_s)

    def wake(self) -> None:
        self._doorbell.ring()

    def head(self, connection: Connection | None = None, topic: str | None = None) -> int:
        if connection is None:
            return self.query(lambda connection: self.head(connection, topic))
        if topic is None:
            return _clock(connection, _LAST_ID)
        newest = _first(connection, _NEWEST, topic=topic)
        return 0 if newest is None else int(newest[0])

    def origin(self) -> int:
        # Not remembered: the file may be replaced by another log while we run.
        origin: int = self.query(lambda connection: connection.execute(select(clock.c.origin)).scalar_one())
        return origin

    def trimmed(self, connection: Connection | None = None) -> int:
        if connection is None:
            return self.query(self.trimmed)
        return _clock(connection, _TRIMMED_TO)

    def extents(self, topics: Collection[str]) -> Mapping[str, Extent]:
        return self.query(lambda connection: {topic: _extent(connection, topic) for topic in topics})

    def topic_of(self, id: int) -> str | None:
        return self.query(lambda connection: connection.execute(select(events.c.topic).filter_by(id=id)).scalar())

    def trim(self, before: int, limit: int) -> int:
        return self._database.write(lambda connection: _trim(connection, before, limit))

    def forget(self, transaction: Transaction, topics: Collection[str]) -> None:
        # A statement takes a limited number of them, and a tenant may have had more orders than that.
        names = list(topics)
        for start in range(0, len(names), FORGET):
            for table in (events, trims):
                some = delete(table).where(table.c.topic.in_(names[start : start + FORGET]))
                transaction.connection.execute(some)

    def close(self) -> None:
        self._doorbell.close()
        self._database.close()


class SqlTransaction:
    """See `event_log.Transaction` for the contract."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.before = 0
        self.appended: list[Event] = []

    def append(self, drafts: Sequence[Draft]) -> list[Event]:
        if not drafts:
            return []
        # The bump comes from the row, and the row is locked until the commit, so that it holds against every other writer.
        before = _clock(self.connection, _LAST_ID)
        first = max(before + 1, _now())
        appended = [Event(id, draft.topic, draft.type, dump(draft.data)) for id, draft in enumerate(drafts, start=first)]
        rows = [{"id": event.id, "topic": event.topic, "type": event.type, "data": event.data} for event in appended]
        driver = driver_of(self.connection)
        driver.execute(_ADVANCE, {"to": appended[-1].id})
        driver.executemany(_APPEND, rows)
        self.before = self.before or before
        self.appended += appended
        return appended


def _now() -> int:
    return time.time_ns() // 1000


def _first(connection: Connection, statement: str, **parameters: object) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = driver_of(connection).execute(statement, parameters).fetchone()
    return row


def _clock(connection: Connection, statement: str) -> int:
    row = _first(connection, statement)
    assert row is not None, "a log has one clock, from its beginning"
    return int(row[0])


def _read(connection: Connection, topics: Collection[str] | None, after: int, limit: int) -> list[Event]:
    driver, page = driver_of(connection), {"after": after, "limit": limit}
    if topics is None:
        return [Event(*row) for row in driver.execute(_PAGE, page)]
    # One query a topic, each along its index. A single one with IN would sort everything after the cursor to find a page.
    pages = ([Event(*row) for row in driver.execute(_PAGE_OF_TOPIC, {**page, "topic": topic})] for topic in dict.fromkeys(topics))
    return list(heapq.merge(*pages, key=lambda event: event.id))[:limit]


def _extent(connection: Connection, topic: str) -> Extent:
    trimmed = _first(connection, _TRIMMED, topic=topic)
    (oldest,) = _first(connection, _OLDEST, topic=topic) or (None,)
    newest = _first(connection, _NEWEST, topic=topic)
    return Extent(
        0 if trimmed is None else trimmed[0],
        oldest,
        newest[0] if newest is not None and newest[1] in ENDINGS else None,
    )


def _trim(connection: Connection, before: int, limit: int) -> int:
    # All below the clock's trimmed_id was looked at before: what is left there are the events that ended a topic, which stay.
    trimmed_id = _clock(connection, _TRIMMED_TO)
    page = (
        select(events.c.id, events.c.topic, events.c.type)
        .where(events.c.id > trimmed_id, events.c.id < before)
        .order_by(events.c.id)
        .limit(limit)
    )
    rows = connection.execute(page).all()
    if not rows:
        return 0
    connection.execute(update(clock).values(trimmed_id=rows[-1].id))
    newest = {row.topic: row.id for row in rows if row.type not in ENDINGS}
    if newest:
        connection.execute(
            delete(events).where(events.c.id > trimmed_id, events.c.id <= rows[-1].id, events.c.type.not_in(ENDINGS))
        )
        record = upsert(trims)
        connection.execute(
            record.on_conflict_do_update(index_elements=["topic"], set_={"last_id": record.excluded.last_id}),
            [{"topic": topic, "last_id": id} for topic, id in newest.items()],
        )
    return len(rows)
