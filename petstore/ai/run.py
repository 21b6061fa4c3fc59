"""What a run is, and its row: one generation, whose events outlive the connection and the worker that asked for it.

Two leases keep it. The producer's: the worker that makes the run holds it for PRODUCER_LEASE_S at a time, and when that one dies
another goes on. The clients': when nobody has been there for as long as the run's own lease, it stops.

Must not know HTTP, nor what a generation does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Row, String, Table, UniqueConstraint

from petstore.shop import now
from petstore.sse import metadata

RECOMMENDATIONS, CHAT = "recommendations/", "chat/"
"""What the topics of runs begin with; the run's id follows."""

PRODUCER_LEASE_S = 5.0
"""How long a run rests at the most when its worker was killed."""


class RunKind(StrEnum):
    """What a run makes."""

    RECOMMENDATIONS = "RECOMMENDATIONS"
    CHAT = "CHAT"


class RunStatus(StrEnum):
    """Where a run is. STOPPED: somebody wanted it so, or nobody was there; FAILED: it couldn't go on."""

    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


_PREFIXES = {RunKind.RECOMMENDATIONS: RECOMMENDATIONS, RunKind.CHAT: CHAT}

runs = Table(
    "runs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant", String(36), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("customer_id", String(64)),
    Column("request", JSON, nullable=False),
    Column("key", String(64)),
    Column("engine", String(20), nullable=False),
    Column("status", String(10), nullable=False),
    Column("made", Integer, nullable=False),
    Column("holder", String(32), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("lease", BigInteger, nullable=False),
    Column("watched_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("key", name="runs_key"),
    Index("runs_customer", "tenant", "customer_id", "status"),
    Index("runs_status_created", "status", "created_at"),
)
"""Times and `lease` in microseconds. `key` stands for an Idempotency-Key of one caller; `made` counts picks or tokens.

`holder` and `expires_at` are the producer's lease. `lease` is the clients', and `watched_until` when it ends: while somebody is
there, that is put off to more than a whole lease from now; when the last one has left, it's one lease from then.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A generation in a tenant's shop, begun at `created_at` (microseconds since 1970): no event of it is older.

    `request` is what was asked for, as its kind reads it; `customer_id` is None for a guest's.
    """

    id: str
    tenant: str
    kind: RunKind
    customer_id: str | None
    request: Mapping[str, Any]
    engine: str
    status: RunStatus
    made: int
    lease: int
    watched_until: int
    created_at: int
    replayed: bool = False
    """Whether it was there already when it was asked for, under the same key."""

    @property
    def topic(self) -> str:
        """Where its events are."""
        return _PREFIXES[self.kind] + self.id

    @property
    def beginning(self) -> int:
        """A cursor before all of its events, and near them, so that memory can tell what follows it."""
        return self.created_at - 1


def run_from(row: Row[Any]) -> Run:
    """Return the run that a row of the table stands for."""
    return Run(
        id=row.id,
        tenant=row.tenant,
        kind=RunKind(row.kind),
        customer_id=row.customer_id,
        request=row.request,
        engine=row.engine,
        status=RunStatus(row.status),
        made=row.made,
        lease=row.lease,
        watched_until=row.watched_until,
        created_at=row.created_at,
    )


def row_from(run: Run) -> dict[str, Any]:
    """Return what a row of the table holds of a run."""
    return {name: getattr(run, name) for name in Run.__slots__ if name in runs.c}


def id_in(topic: str) -> str | None:
    """Return the id of the run whose topic this is, or None when it's another topic."""
    for prefix in _PREFIXES.values():
        if topic.startswith(prefix):
            return topic.removeprefix(prefix)
    return None


def producer_expiry() -> int:
    """Return when the lease of a producer that is at work now ends."""
    return now() + int(PRODUCER_LEASE_S * 1e6)
