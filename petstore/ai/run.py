"""Runs: one generation each, whose picks are events in the log, so that whoever asked may be cut and come back anywhere.

A run belongs to a customer, not to a connection. The worker that starts it produces it in a greenlet of its own and holds it
under a lease; when that worker dies, the sweep of another one finds the lease expired and goes on where the events end.
Each append checks the lease in its own transaction, so two producers can never both write.

Must not know HTTP, nor how a recommender works.
"""

import logging
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from gevent import get_hub
from sqlalchemy import BigInteger, Column, Index, Select, String, Table, insert, select, update

from petstore.ai.recommender import Recommendation, Recommender
from petstore.shop import CustomerNotFound, Shop, all_pets, find_customer, get_customer, new_id
from petstore.sse import COMPLETE, ERROR, Draft, EventLog, LogUnavailable, Transaction, close_own_loop, metadata

RECOMMENDATIONS = "recommendations/"
"""What the topic of a run begins with; its id follows."""

LEASE_S = 5.0
"""How long a run rests at the most when its worker was killed."""

SLICE_S = 0.005
"""Picks made within this time are committed together: a fast recommender must not pay a commit for each."""

SWEEP_S = 2.5
"""How often abandoned runs are looked for."""

FORGET_S = 60.0
"""How often runs past retention are looked for, at most."""

logger = logging.getLogger(__name__)

runs = Table(
    "runs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant", String(36), nullable=False),
    Column("customer_id", String(64), nullable=False),
    Column("status", String(10), nullable=False),
    Column("holder", String(32), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("runs_customer", "tenant", "customer_id", "status"),
    Index("runs_status_created", "status", "created_at"),
)
"""Status is RUNNING, COMPLETE or FAILED; times in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Run:
    """A generation for a customer of a tenant's shop."""

    id: str
    tenant: str
    customer_id: str

    @property
    def topic(self) -> str:
        """Where its events are."""
        return RECOMMENDATIONS + self.id


class Runs:
    """Starts, finds and produces runs of up to `limit` recommendations. Finished ones are kept for `retention_s`."""

    def __init__(self, log: EventLog, recommender: Recommender, retention_s: float, limit: int = 10) -> None:
        self._log = log
        self._recommender = recommender
        self._retention_s = retention_s
        self._limit = limit
        self._holder = secrets.token_hex(16)
        self._forget_at = 0.0
        self._forget_s = min(FORGET_S, retention_s / 10)

    def join(self, shop: Shop, customer_id: str) -> Run:
        """Return the run that goes on for this customer, or start one. Raises CustomerNotFound."""
        run, started = shop.write(lambda transaction: self._find_or_insert(shop, transaction, customer_id))
        if started:
            threading.Thread(target=self._produce, args=(run,), name=f"run {run.id}", daemon=True).start()
        return run

    def find(self, topic: str) -> Run | None:
        """Return the run whose events are in `topic`, if there is one."""
        query = select(runs.c.id, runs.c.tenant, runs.c.customer_id).filter_by(id=topic.removeprefix(RECOMMENDATIONS))
        row = self._log.query(lambda connection: connection.execute(query).first())
        return Run(row.id, row.tenant, row.customer_id) if row and topic.startswith(RECOMMENDATIONS) else None

    def sweep(self) -> float:
        """Take over one run whose worker has gone, and forget runs past retention. Returns the seconds to the next sweep."""
        # Looked at first: a write lock every second, for nothing, would be felt by those who write.
        if self._log.query(lambda connection: connection.execute(_abandoned()).first()):
            run = self._log.write(self._adopt)
            if run is not None:
                logger.warning("run %s was abandoned and goes on here", run.id)
                self._produce(run)
                return 0.0
        if time.monotonic() > self._forget_at:
            self._forget_at = time.monotonic() + self._forget_s
            self._log.write(self._forget_old)
        return SWEEP_S

    def _find_or_insert(self, shop: Shop, transaction: Transaction, customer_id: str) -> tuple[Run, bool]:
        if find_customer(shop, transaction.connection, customer_id) is None:
            raise CustomerNotFound(customer_id)
        going_on = select(runs.c.id).filter_by(tenant=shop.tenant, customer_id=customer_id, status="RUNNING")
        id = transaction.connection.execute(going_on).scalar()
        if id is not None:
            return Run(id, shop.tenant, customer_id), False
        run = Run(new_id(), shop.tenant, customer_id)
        row = {"id": run.id, "tenant": run.tenant, "customer_id": customer_id, "status": "RUNNING", "created_at": _now()}
        transaction.connection.execute(insert(runs).values(**row, holder=self._holder, expires_at=_expiry()))
        return run, True

    def _adopt(self, transaction: Transaction) -> Run | None:
        row = transaction.connection.execute(_abandoned()).first()
        if row is None:
            return None
        claim = update(runs).filter_by(id=row.id).values(holder=self._holder, expires_at=_expiry())
        transaction.connection.execute(claim)
        return Run(row.id, row.tenant, row.customer_id)

    def _forget_old(self, transaction: Transaction) -> None:
        before = _now() - int(self._retention_s * 1e6)
        old = select(runs.c.id).where(runs.c.status != "RUNNING", runs.c.created_at < before).limit(100)
        ids = list(transaction.connection.execute(old).scalars())
        if ids:
            self._log.forget(transaction, [RECOMMENDATIONS + id for id in ids])
            transaction.connection.execute(runs.delete().where(runs.c.id.in_(ids)))

    def _produce(self, run: Run) -> None:
        try:
            done = self._log.read([run.topic], 0, self._limit + 1)
            known = {event.value()["petId"] for event in done}
            picks = (pick for pick in self._picks(run) if pick.pet_id not in known)
            total = len(known)
            while total < self._limit:
                made = get_hub().threadpool.apply(_slice, (picks, self._limit - total))
                if not made or not self._append(run, made):
                    break
                total += len(made)
            self._finish(run, total)
        except LogUnavailable as error:
            logger.warning("run %s rests until its lease expires: %s", run.id, error)
        except Exception:
            logger.exception("run %s failed", run.id)
            self._fail(run)
        finally:
            close_own_loop()

    def _picks(self, run: Run) -> Iterator[Recommendation]:
        shop = Shop(self._log, run.tenant)
        return self._recommender.recommend(get_customer(shop, run.customer_id), all_pets(shop), self._limit)

    def _append(self, run: Run, made: list[Recommendation]) -> bool:
        return self._log.write(lambda transaction: self._write(transaction, run, [_draft(run, pick) for pick in made]))

    def _finish(self, run: Run, total: int) -> None:
        def finish(transaction: Transaction) -> None:
            created_at = transaction.connection.execute(select(runs.c.created_at).filter_by(id=run.id)).scalar_one()
            data = {"total": total, "processingTime": (_now() - created_at) // 1000}
            self._write(transaction, run, [Draft(run.topic, COMPLETE, data)], "COMPLETE")

        self._log.write(finish)

    def _fail(self, run: Run) -> None:
        draft = Draft(run.topic, ERROR, {"type": "about:blank", "title": "Internal Server Error", "status": 500})
        self._log.write(lambda transaction: self._write(transaction, run, [draft], "FAILED"))

    def _write(self, transaction: Transaction, run: Run, drafts: list[Draft], status: str = "RUNNING") -> bool:
        """Append what the run has come to, unless it isn't ours any more. Returns whether it still is."""
        ours = update(runs).filter_by(id=run.id, holder=self._holder, status="RUNNING")
        held = transaction.connection.execute(ours.values(expires_at=_expiry(), status=status)).rowcount == 1
        if held:
            transaction.append(drafts)
        return held


def _abandoned() -> Select[tuple[str, str, str]]:
    expired = select(runs.c.id, runs.c.tenant, runs.c.customer_id).where(runs.c.status == "RUNNING", runs.c.expires_at < _now())
    return expired.limit(1)


def _slice(picks: Iterator[Recommendation], limit: int) -> list[Recommendation]:
    """Return the picks of one slice of time, at least one if there is one."""
    made = []
    until = time.monotonic() + SLICE_S
    for pick in islice(picks, limit):
        made.append(pick)
        if time.monotonic() > until:
            break
    return made


def _draft(run: Run, pick: Recommendation) -> Draft:
    data = {"petId": pick.pet_id, "name": pick.name, "score": pick.score, "reason": pick.reason}
    return Draft(run.topic, "recommendation", data)


def _now() -> int:
    return time.time_ns() // 1000


def _expiry() -> int:
    return _now() + int(LEASE_S * 1e6)
