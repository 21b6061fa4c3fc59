"""Starts, finds, stops and forgets runs, and has them made.

A run belongs to a customer, or to whoever knows its id, not to a connection. The worker that starts it makes it in a greenlet of
its own; when that worker dies, the sweep of another one finds the lease expired and goes on where the events end, or says that
it can't: a model's half answer is nobody else's to finish.

Must not know HTTP, nor what a generation does.
"""

import logging
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, insert, select, update

from petstore.ai.engine import EMBEDDED, MODEL
from petstore.ai.error import KeyReused, RunNotFound
from petstore.ai.generation import Generate
from petstore.ai.production import UNAVAILABLE, Meter, Production, stop
from petstore.ai.run import Run, RunKind, RunStatus, id_in, now, producer_expiry, run_from, runs
from petstore.shop import CustomerNotFound, find_customer, new_id
from petstore.sse import ERROR, Draft, EventLog, Feed, LogUnavailable, Selection, Transaction, close_own_loop

SWEEP_S = 2.5
"""How often abandoned runs are looked for."""

FORGET_S = 60.0
"""How often runs past retention are looked for, at most."""

DEFAULT_LIMIT = 10

DELETED = "it was deleted"

logger = logging.getLogger(__name__)


class Runs:
    """All runs of a database, and those that this process makes.

    `generates` begins the generations of each kind, and `engine` is the one that they begin with. Runs are kept for
    `retention_s` after their start, and wait `lease_s` for a client to come back.
    """

    def __init__(
        self,
        log: EventLog,
        feed: Feed,
        generates: Mapping[RunKind, Generate],
        engine: str,
        meter: Meter,
        retention_s: float,
        lease_s: float,
    ) -> None:
        self._log = log
        self._feed = feed
        self._generates = generates
        self._engine = engine
        self._meter = meter
        self._retention_s = retention_s
        self._lease = int(lease_s * 1e6)
        self.touch_s = max(0.1, lease_s / 4)
        """How often it's noted that somebody is there."""
        self._holder = secrets.token_hex(16)
        self._making: dict[str, Production] = {}
        self._forget_at = 0.0
        self._forget_s = min(FORGET_S, retention_s / 10)

    def start(
        self,
        kind: RunKind,
        request: Mapping[str, Any],
        customer_id: str | None = None,
        *,
        key: str | None = None,
        engine: str | None = None,
        lease_s: float | None = None,
        watched: bool = False,
    ) -> Run:
        """Start a run, or return the one that the same `key` has started. Raises CustomerNotFound, KeyReused.

        `watched` says that somebody is there already, who will be seen in the audience.
        """
        lease = self._lease if lease_s is None else int(lease_s * 1e6)
        until = now() + lease + (self._slack() if watched else 0)
        made_by = engine or self._engine
        run = Run(new_id(), kind, customer_id, request, made_by, RunStatus.RUNNING, 0, lease, until, now())
        return self._begin(*self._log.write(lambda transaction: self._insert(transaction, run, key)))

    def join(self, customer_id: str) -> Run:
        """Return the run of recommendations that goes on for this customer, or start one. Raises CustomerNotFound."""
        request = {"limit": DEFAULT_LIMIT}
        until = now() + self._lease + self._slack()
        run = Run(
            new_id(), RunKind.RECOMMENDATIONS, customer_id, request, self._engine, RunStatus.RUNNING, 0, self._lease, until, now()
        )
        return self._begin(*self._log.write(lambda transaction: self._find_or_insert(transaction, run)))

    def find(self, topic: str) -> Run | None:
        """Return the run whose events are in `topic`, if there is one."""
        run_id = id_in(topic)
        run = None if run_id is None else self._log.query(lambda connection: connection.execute(_by_id(run_id)).first())
        return run_from(run) if run is not None and run_from(run).topic == topic else None

    def get(self, run_id: str) -> Run:
        """Return the run. Raises RunNotFound."""
        row = self._log.query(lambda connection: connection.execute(_by_id(run_id)).first())
        if row is None:
            raise RunNotFound(run_id)
        return run_from(row)

    def rejoin(self, run: Run) -> None:
        """Note that somebody is back, if the run goes on and waits for that."""
        if run.status is RunStatus.RUNNING and run.watched_until <= now() + run.lease:
            self.keep([run.id], [])

    def keep(self, present: Sequence[str], left: Sequence[str]) -> None:
        """Note that somebody is there to see the runs `present`, and that nobody is any more to see those of `left`."""
        going_on = update(runs).where(runs.c.status == RunStatus.RUNNING)

        def note(transaction: Transaction) -> None:
            for ids, until in ((present, now() + self._slack()), (left, now())):
                if ids:
                    transaction.connection.execute(going_on.where(runs.c.id.in_(ids)).values(watched_until=runs.c.lease + until))

        if present or left:
            self._log.write(note)
        for run_id in left:
            production = self._making.get(run_id)
            if production is not None and not production.run.lease:
                production.poke()

    def stop(self, run_id: str) -> None:
        """End a run now, if it goes on: up to the call of a model, wherever that is made. Raises RunNotFound."""

        def end(transaction: Transaction) -> Run | None:
            row = transaction.connection.execute(_by_id(run_id)).first()
            if row is None:
                raise RunNotFound(run_id)
            run = run_from(row)
            if run.status is RunStatus.RUNNING:
                stop(transaction, run, run.engine, DELETED)
                return run
            return None

        stopped = self._log.write(end)
        if stopped is not None:
            self._meter.run_ended(stopped.kind, RunStatus.STOPPED, stopped.engine)

    def hand_over(self) -> None:
        """Let go of all runs that this process makes, so that another one can go on with them at once."""
        mine = update(runs).filter_by(holder=self._holder, status=RunStatus.RUNNING).values(holder="", expires_at=0)
        if self._making:
            self._log.write(lambda transaction: transaction.connection.execute(mine))
        for production in tuple(self._making.values()):
            production.poke()

    def sweep(self) -> float:
        """Take over one run whose worker has gone, and forget runs past retention. Returns the seconds to the next sweep."""
        # Looked at first: a write lock every second, for nothing, would be felt by those who write.
        if self._log.query(lambda connection: connection.execute(_abandoned()).first()):
            run = self._log.write(self._adopt)
            if run is not None:
                logger.warning("run %s was abandoned and goes on here", run.id)
                self._make(run, adopted=True)
                return 0.0
            return 0.0
        if time.monotonic() > self._forget_at:
            self._forget_at = time.monotonic() + self._forget_s
            self._log.write(self._forget_old)
        return SWEEP_S

    def _begin(self, run: Run, started: bool) -> Run:
        if started:
            threading.Thread(target=self._make, args=(run,), name=f"run {run.id}", daemon=True).start()
        return run

    def _insert(self, transaction: Transaction, run: Run, key: str | None) -> tuple[Run, bool]:
        if key is not None:
            row = transaction.connection.execute(select(runs).filter_by(key=key)).first()
            if row is not None:
                known = run_from(row)
                if (known.kind, known.customer_id, known.request) != (run.kind, run.customer_id, run.request):
                    raise KeyReused(known.id)
                return known, False
        if run.customer_id is not None and find_customer(transaction.connection, run.customer_id) is None:
            raise CustomerNotFound(run.customer_id)
        values = {
            "id": run.id,
            "kind": run.kind,
            "customer_id": run.customer_id,
            "request": dict(run.request),
            "key": key,
            "engine": run.engine,
            "status": run.status,
            "made": 0,
            "holder": self._holder,
            "expires_at": producer_expiry(),
            "lease": run.lease,
            "watched_until": run.watched_until,
            "created_at": run.created_at,
        }
        transaction.connection.execute(insert(runs).values(**values))
        return run, True

    def _find_or_insert(self, transaction: Transaction, run: Run) -> tuple[Run, bool]:
        going_on = select(runs).filter_by(customer_id=run.customer_id, status=RunStatus.RUNNING, kind=run.kind)
        for row in transaction.connection.execute(going_on):
            if row.request == run.request:
                return run_from(row), False
        return self._insert(transaction, run, None)

    def _adopt(self, transaction: Transaction) -> Run | None:
        row = transaction.connection.execute(_abandoned()).first()
        if row is None:
            return None
        run = run_from(row)
        claim = update(runs).filter_by(id=run.id)
        if run.engine != EMBEDDED:
            transaction.connection.execute(claim.values(status=RunStatus.FAILED))
            transaction.append([Draft(run.topic, ERROR, UNAVAILABLE)])
            logger.warning("run %s ends: its worker has gone, and with it the call of the model", run.id)
            return None
        transaction.connection.execute(claim.values(holder=self._holder, expires_at=producer_expiry()))
        return run

    def _forget_old(self, transaction: Transaction) -> None:
        before = now() - int(self._retention_s * 1e6)
        old = select(runs).where(runs.c.status != RunStatus.RUNNING, runs.c.created_at < before).limit(100)
        found = [run_from(row) for row in transaction.connection.execute(old)]
        if found:
            self._log.forget(transaction, [run.topic for run in found])
            transaction.connection.execute(runs.delete().where(runs.c.id.in_([run.id for run in found])))

    def _make(self, run: Run, adopted: bool = False) -> None:
        production = Production(self._log, self._meter, self._holder, run, self._generates[run.kind], adopted)
        self._making[run.id] = production
        try:
            if run.engine == MODEL:
                self._make_watched(production)
            else:
                production.make()
        finally:
            del self._making[run.id]
            close_own_loop()

    def _make_watched(self, production: Production) -> None:
        """Make a run that waits for others, and have it look up when somebody else has ended it."""
        topic = production.run.topic

        def look() -> None:
            newest = self._feed.ring.newest(topic)
            if newest is not None and newest.ends:
                production.poke()

        try:
            subscription = self._feed.subscribe(Selection((topic,)), None, look)
        except LogUnavailable as error:
            logger.warning("run %s rests until its lease expires: %s", production.run.id, error)
            return
        try:
            production.make()
        finally:
            self._feed.leave(subscription)

    def _slack(self) -> int:
        """Return for how long, besides the lease, whoever is there is believed to be."""
        return int(2e6 * self.touch_s)


def _by_id(run_id: str) -> Select[Any]:
    return select(runs).filter_by(id=run_id)


def _abandoned() -> Select[Any]:
    return select(runs).where(runs.c.status == RunStatus.RUNNING, runs.c.expires_at < now()).limit(1)
