"""One tenant's shop: what every function of the domain takes, and how several of them become one transaction.

All shops share one database and one event log. Each has its own pets, customers, orders and events, and no function reaches
into another's. Must not know what a shop holds.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar

from sqlalchemy import Connection

from petstore.sse import EventLog, Transaction

T = TypeVar("T")

SHARED = ""
"""The tenant of those who name none: the shop that all of them share."""


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop of `tenant`, a UUID or SHARED. With a `transaction`, all that is done in the shop is part of that."""

    log: EventLog
    tenant: str = SHARED
    transaction: Transaction | None = None

    @property
    def topic_suffix(self) -> str:
        """What the topics of this shop end with where their names would otherwise be the same as other shops'."""
        return f"/{self.tenant}" if self.tenant else ""

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a write transaction, as the log's `write` does: in this shop's own, if it has one."""
        return self.log.write(work) if self.transaction is None else work(self.transaction)

    def query(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot, as the log's `query` does: on what this shop's transaction sees, if it has one."""
        return self.log.query(work) if self.transaction is None else work(self.transaction.connection)

    def together(self, work: Callable[[Self], T]) -> T:
        """Run `work` with a shop whose functions all act in one transaction: all is kept, or, when `work` raises, nothing."""
        return self.write(lambda transaction: work(self.within(transaction)))

    def within(self, transaction: Transaction) -> Self:
        """Return this shop, acting in a transaction that the caller has."""
        return dataclasses.replace(self, transaction=transaction)
