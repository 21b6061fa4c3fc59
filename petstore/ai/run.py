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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from gevent import get_hub
from sqlalchemy import BigInteger, Column, Connection, Index, Select, String, Table, bindparam, insert, select, update

from petstore.ai.recommender import Recommendation, Recommender
from petstore.shop import Customer, CustomerNotFound, Shop, find_customer, get_customer, new_id
from petstore.sse import COMPLETE, ERROR, Draft, Event, EventLog, LogUnavailable, Transaction, close_own_loop, metadata

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
    """A generation for a customer of a tenant's shop, begun at `created_at` (microseconds since 1970): no event of it is older."""

    id: str
    tenant: str
    customer_id: str
    created_at: int

    @property
    def topic(self) -> str:
        """Where its events are."""
        return RECOMMENDATIONS + self.id


@dataclass(frozen=True, slots=True)
class _Made:
    """Picks that were made together; `last` when none follow."""

    picks: Sequence[Recommendation]
    last: bool


_RUN = select(runs.c.id, runs.c.tenant, runs.c.customer_id, runs.c.created_at)
_GOING_ON = _RUN.where(
    runs.c.tenant == bindparam("tenant"), runs.c.customer_id == bindparam("customer_id"), runs.c.status == "RUNNING"
).limit(1)
_INSERT = insert(runs)


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
        """Return the run that goes on for this customer, or start one. Raises CustomerNotFound, LogUnavailable.

        What a recommender finds at once is committed together with the run: most runs are one transaction.
        """

        def look(connection: Connection) -> Run | Customer | None:
            return _going_on(shop, connection, customer_id) or find_customer(shop, connection, customer_id)

        found = shop.query(look)
        if isinstance(found, Run):
            return found
        if found is None:
            raise CustomerNotFound(customer_id)
        # Dated before the first pick is made: its time is part of what the run took.
        new = Run(new_id(), shop.tenant, customer_id, _now())
        picks = self._recommender.recommend(shop, found, [], self._limit)
        made = get_hub().threadpool.apply(_slice, (picks, self._limit))
        run, started = shop.write(lambda transaction: self._insert(shop, transaction, new, made))
        if started and not made.last:
            threading.Thread(target=self._go_on, args=(run, picks, len(made.picks)), name=f"run {run.id}", daemon=True).start()
        return run

    def find(self, topic: str) -> Run | None:
        """Return the run whose events are in `topic`, if there is one."""
        if not topic.startswith(RECOMMENDATIONS):
            return None
        query = _RUN.where(runs.c.id == topic.removeprefix(RECOMMENDATIONS))
        row = self._log.query(lambda connection: connection.execute(query).first())
        return None if row is None else Run(row.id, row.tenant, row.customer_id, row.created_at)

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

    def _insert(self, shop: Shop, transaction: Transaction, run: Run, made: _Made) -> tuple[Run, bool]:
        going_on = _going_on(shop, transaction.connection, run.customer_id)
        if going_on is not None:
            return going_on, False  # Somebody else was first; what we made was for nothing.
        row = {**asdict(run), "status": "COMPLETE" if made.last else "RUNNING"}
        transaction.connection.execute(_INSERT, {**row, "holder": self._holder, "expires_at": _expiry()})
        transaction.append(_drafts(run, made, 0))
        return run, True

    def _adopt(self, transaction: Transaction) -> Run | None:
        row = transaction.connection.execute(_abandoned()).first()
        if row is None:
            return None
        claim = update(runs).filter_by(id=row.id).values(holder=self._holder, expires_at=_expiry())
        transaction.connection.execute(claim)
        return Run(row.id, row.tenant, row.customer_id, row.created_at)

    def _forget_old(self, transaction: Transaction) -> None:
        before = _now() - int(self._retention_s * 1e6)
        old = select(runs.c.id).where(runs.c.status != "RUNNING", runs.c.created_at < before).limit(100)
        ids = list(transaction.connection.execute(old).scalars())
        if ids:
            self._log.forget(transaction, [RECOMMENDATIONS + id for id in ids])
            transaction.connection.execute(runs.delete().where(runs.c.id.in_(ids)))

    def _produce(self, run: Run) -> None:
        """Go on with a run that somebody else began."""
        try:
            done = self._log.read([run.topic], 0, self._limit + 1)
            shop = Shop(self._log, run.tenant)
            customer = get_customer(shop, run.customer_id)
            picks = self._recommender.recommend(shop, customer, [_recommendation(event) for event in done], self._limit)
        except LogUnavailable as error:
            logger.warning("run %s rests until its lease expires: %s", run.id, error)
        except Exception:
            logger.exception("run %s failed", run.id)
            self._fail(run)
        else:
            self._go_on(run, picks, len(done))

    def _go_on(self, run: Run, picks: Iterator[Recommendation], total: int) -> None:
        """Commit what `picks` brings, slice by slice, after the first `total` picks."""
        try:
            while True:
                made = get_hub().threadpool.apply(_slice, (picks, self._limit - total))
                if not self._append(run, made, total) or made.last:
                    break
                total += len(made.picks)
        except LogUnavailable as error:
            logger.warning("run %s rests until its lease expires: %s", run.id, error)
        except Exception:
            logger.exception("run %s failed", run.id)
            self._fail(run)
        finally:
            close_own_loop()

    def _append(self, run: Run, made: _Made, total: int) -> bool:
        status = "COMPLETE" if made.last else "RUNNING"
        return self._log.write(lambda transaction: self._write(transaction, run, _drafts(run, made, total), status))

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


def _abandoned() -> Select[tuple[str, str, str, int]]:
    return _RUN.where(runs.c.status == "RUNNING", runs.c.expires_at < _now()).limit(1)


def _going_on(shop: Shop, connection: Connection, customer_id: str) -> Run | None:
    row = connection.execute(_GOING_ON, {"tenant": shop.tenant, "customer_id": customer_id}).first()
    return None if row is None else Run(row.id, row.tenant, row.customer_id, row.created_at)


def _slice(picks: Iterator[Recommendation], limit: int) -> _Made:
    """Return the picks of one slice of time, at least one if there is one."""
    made: list[Recommendation] = []
    until = time.monotonic() + SLICE_S
    while len(made) < limit and (not made or time.monotonic() < until):
        pick = next(picks, None)
        if pick is None:
            return _Made(made, True)
        made.append(pick)
    return _Made(made, len(made) == limit)


def _drafts(run: Run, made: _Made, total: int) -> list[Draft]:
    """Return the events of what was made after `total` picks, and the end if it's that."""
    drafts = [_draft(run, pick) for pick in made.picks]
    if made.last:
        data = {"total": total + len(made.picks), "processingTime": (_now() - run.created_at) // 1000}
        drafts.append(Draft(run.topic, COMPLETE, data))
    return drafts


def _draft(run: Run, pick: Recommendation) -> Draft:
    data = {"petId": pick.pet_id, "name": pick.name, "score": pick.score, "reason": pick.reason}
    return Draft(run.topic, "recommendation", data)


def _recommendation(event: Event) -> Recommendation:
    data = event.value()
    return Recommendation(data["petId"], data["name"], data["score"], data["reason"])


def _now() -> int:
    return time.time_ns() // 1000


def _expiry() -> int:
    return _now() + int(LEASE_S * 1e6)
