"""The contract of the event log: an append-only, durable list of events, in the same database as what they tell about.

The model. A log holds events of many topics, ordered by id. An id is a number of microseconds since 1970, made strictly
increasing (`max(last + 1, now)`) under a lock that is held to the commit, so commit order is id order: a reader that has
seen an id never sees a smaller one appear later. A topic either goes on for ever or ends with a `complete` or an `error`.

The guarantees. What `write` returns is committed, and every log on the same database can read it and is woken. What it
raises for has left nothing behind. Any number of threads, greenlets and processes may use logs on one database; one log
object belongs to one process, and one follower at a time may `wait` on it.

Must not know any backend: implementations import this module, never the other way round. Every implementation passes
`tests/sse/event_log_contract.py`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from petstore.sse.event import Draft, Event

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Extent:
    """What the log still has of one topic. Ids; 0 or None where there is none.

    `trimmed_id` is the newest event that retention removed, `oldest_id` the oldest that is left, `final_id` the event that
    ended the topic.
    """

    trimmed_id: int = 0
    oldest_id: int | None = None
    final_id: int | None = None


class Transaction(Protocol):
    """A unit of work: changes through `connection` and the events that tell of them, committed together or not at all."""

    @property
    def connection(self) -> Connection:
        """The connection of the database that the log shares with its users."""

    def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """Append `drafts` in their order and return them with their ids."""


class EventLog(Protocol):
    """Write, query, read, wait, head, trim.

    All but `wait`, `wake` and `close` raise LogUnavailable when the database doesn't answer.
    """

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one write transaction, commit, wake all followers, and return what `work` returned.

        `work` may run in another thread: it must do nothing but compute and talk to its transaction.
        """

    def query(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot of the database, which it must not change."""

    def read(self, topics: Collection[str] | None, after: int, limit: int) -> list[Event]:
        """Return up to `limit` events with an id above `after`, oldest first, of `topics` (None: of all topics)."""

    def wait(self, timeout_s: float) -> bool:
        """Wait until something may have been appended since the last call: True; or until `timeout_s` is over: False.

        Raises nothing: where it can't hear others, it waits all the same, and its caller looks by itself. It waits in gevent's
        loop: a thread of its own that has waited calls `close_own_loop` at its end.
        """

    def wake(self) -> None:
        """Let every `wait` return, as an append does: whoever waits here is to look up. Raises nothing."""

    def head(self, connection: Connection | None = None, topic: str | None = None) -> int:
        """Return the newest id that was ever given out, or the newest that `topic` has, 0 for none.

        With `connection`, as that snapshot sees it.
        """

    def origin(self) -> int:
        """Return the id below which no id of this log can lie: the moment at which the log was made."""

    def trimmed(self, connection: Connection | None = None) -> int:
        """Return the id up to which `trim` has removed what it removes; 0 when it never has.

        With `connection`, as that snapshot sees it.
        """

    def extents(self, topics: Collection[str]) -> Mapping[str, Extent]:
        """Return the extent of each topic, known or not."""

    def topic_of(self, id: int) -> str | None:
        """Return the topic of the event with this id, or None when the log doesn't hold it."""

    def trim(self, before: int, limit: int) -> int:
        """Remove up to `limit` events with an id below `before` and return how many; 0 means that none are left.

        What was removed is remembered for each topic, so that a gap can be told. The event that ended a topic stays:
        a client that comes back late must still learn that the topic has ended.
        """

    def forget(self, transaction: Transaction, topics: Collection[str]) -> None:
        """Remove every trace of topics whose subject no longer exists."""

    def close(self) -> None:
        """Let go of connections and sockets."""
