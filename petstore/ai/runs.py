"""Starts, finds and stops runs, and has them made.

A run belongs to a customer, or to whoever knows its id, not to a connection. What an embedded engine makes at once is committed
together with the run: most runs are one transaction. The rest of any other is made in a greenlet of the worker that has begun it.

Must not know HTTP, nor what a generation does.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert, update

from petstore.ai.calls import Calls
from petstore.ai.engine import EMBEDDED
from petstore.ai.error import RunEnded, RunNotFound
from petstore.ai.finding import find_going_on, find_run, find_same, is_cut
from petstore.ai.generation import Generate
from petstore.ai.presence import Presence
from petstore.ai.production import Meter, Production, stop
from petstore.ai.run import Run, RunKind, RunStatus, id_in, producer_expiry, row_from, runs
from petstore.shop import Shop, expect_customer, new_id, now
from petstore.sse import Draft, Event, EventLog, Feed, LogUnavailable, Selection, Transaction, close_own_loop

DEFAULT_LIMIT = 10
"""Recommendations of a run that asks for no number."""

DELETED = "it was deleted"

PAGE = 10_000
"""Events of a run that are read: far more than any has."""

# Built once: building a statement takes longer than SQLite takes for it.
_INSERT = insert(runs)

logger = logging.getLogger(__name__)


class Runs:
    """All runs of a database, and those that this process makes.

    `generates` begins the generations of each kind, and `engine` is the one that they begin with. A run waits `lease_s` for a
    client to come back.
    """

    def __init__(
        self,
        log: EventLog,
        feed: Feed,
        generates: Mapping[RunKind, Generate],
        engine: str,
        meter: Meter,
        lease_s: float,
    ) -> None:
        self._log = log
        self._feed = feed
        self._generates = generates
        self._engine = engine
        self.meter = meter
        self._lease = int(lease_s * 1e6)
        self.presence = Presence(log, lease_s)
        self._calls = Calls()
        self._making: dict[str, Production] = {}

    def start(
        self,
        shop: Shop,
        kind: RunKind,
        request: Mapping[str, Any],
        customer_id: str | None = None,
        *,
        key: str | None = None,
        engine: str | None = None,
        lease_s: float | None = None,
        watched: bool = False,
    ) -> Run:
        """Start a run, or return the one that the same `key` has started.

        `watched` says that somebody is there already, who will be seen in the audience. Raises CustomerNotFound, KeyReused,
        LogUnavailable.
        """
        lease = self._lease if lease_s is None else int(lease_s * 1e6)
        run = self._make_run(shop, kind, request, customer_id, engine, lease, watched)
        return self._begin(run, key, watched, join=False)

    def join(self, shop: Shop, customer_id: str) -> Run:
        """Return the run of recommendations that goes on for this customer, or start one. Raises as `start` does."""
        request = {"limit": DEFAULT_LIMIT}
        run = self._make_run(shop, RunKind.RECOMMENDATIONS, request, customer_id, None, self._lease, watched=True)
        return self._begin(run, None, watched=True, join=True)

    def find(self, topic: str) -> Run | None:
        """Return the run whose events are in `topic`, if there is one."""
        run_id = id_in(topic)
        run = None if run_id is None else self._log.query(lambda connection: find_run(connection, run_id))
        return run if run is not None and run.topic == topic else None

    def get(self, run_id: str) -> Run:
        """Return the run. Raises RunNotFound, also for one whose events retention has begun to remove."""

        def find(connection: Connection) -> Run | None:
            run = find_run(connection, run_id)
            return None if run is None or is_cut(self._log, connection, run) else run

        run = self._log.query(find)
        if run is None:
            raise RunNotFound(run_id)
        return run

    def events(self, run: Run) -> list[Event]:
        """Return all that the run has told by now. Raises LogUnavailable."""
        return self._log.read([run.topic], 0, PAGE)

    def leave(self, run_ids: Sequence[str]) -> None:
        """Note that nobody is here any more to see these runs: those that wait for nobody end at once. Raises LogUnavailable."""
        self.presence.leave(run_ids)
        for run_id in run_ids:
            production = self._making.get(run_id)
            if production is not None and not production.run.lease:
                production.poke()

    def stop(self, run_id: str) -> None:
        """End a run now, even the call of a model, in whichever worker that is. Raises RunNotFound, RunEnded."""

        def end(transaction: Transaction) -> Run:
            run = find_run(transaction.connection, run_id)
            if run is None:
                raise RunNotFound(run_id)
            if run.status is not RunStatus.RUNNING:
                raise RunEnded(run_id)
            stop(transaction, run, run.engine, DELETED)
            return run

        stopped = self._log.write(end)
        self.meter.run_ended(stopped.kind, RunStatus.STOPPED, stopped.engine)

    def is_busy(self) -> bool:
        """Say whether this process makes any run."""
        return bool(self._making)

    def hand_over(self) -> None:
        """Let go of all runs that this process makes, so that another one can go on with them at once. Raises LogUnavailable."""
        making = tuple(self._making.values())
        ours = runs.c.holder.in_([production.holder for production in making]) & (runs.c.status == RunStatus.RUNNING)
        if making:
            free = update(runs).where(ours).values(holder="", expires_at=0)
            self._log.write(lambda transaction: transaction.connection.execute(free))
        for production in making:
            production.poke()

    def is_making(self, run_id: str) -> bool:
        """Say whether this process makes the run."""
        return run_id in self._making

    def go_on(self, run: Run, holder: str) -> None:
        """Make the rest of a run that somebody else began, as `holder`, whose it is by now."""
        try:
            done = self.events(run)
        except LogUnavailable as error:
            logger.warning("run %s rests until its lease expires: %s", run.id, error)
        else:
            self._make(Production(self._log, self.meter, run, self._generates[run.kind](run, done), holder))

    def _make_run(
        self,
        shop: Shop,
        kind: RunKind,
        request: Mapping[str, Any],
        customer_id: str | None,
        engine: str | None,
        lease: int,
        watched: bool,
    ) -> Run:
        moment = now()
        until = moment + lease + (self.presence.slack if watched else 0)
        made_by = engine or self._engine
        # Here and now: whoever asks in the same moment finds the place taken.
        if made_by != EMBEDDED and not self._calls.take((shop.tenant, customer_id)):
            made_by = EMBEDDED
        return Run(
            id=new_id(),
            tenant=shop.tenant,
            kind=kind,
            customer_id=customer_id,
            request=request,
            engine=made_by,
            status=RunStatus.RUNNING,
            made=0,
            lease=lease,
            watched_until=until,
            created_at=moment,
        )

    def _begin(self, run: Run, key: str | None, watched: bool, *, join: bool) -> Run:
        production = Production(self._log, self.meter, run, self._generates[run.kind](run, ()))
        goes_on = False
        try:
            # What takes no time is kept together with the run. (It was for nothing where a run is found instead, which is rare.)
            drafts, status = production.first() if run.engine == EMBEDDED else ([], RunStatus.RUNNING)
            found = self._log.write(lambda transaction: self._insert(transaction, production, key, watched, join, drafts, status))
            if found is None:
                production.begun(status)
                goes_on = status is RunStatus.RUNNING
        finally:
            if not goes_on:
                production.close()
                self._give_back(run)
        if goes_on:
            threading.Thread(target=self._make, args=(production,), name=f"run {run.id}", daemon=True).start()
        return found or replace(run, status=status, made=production.made)

    def _insert(
        self,
        transaction: Transaction,
        production: Production,
        key: str | None,
        watched: bool,
        join: bool,
        drafts: Sequence[Draft],
        status: RunStatus,
    ) -> Run | None:
        """Keep a new run with what it has made, unless there is one already: then that is returned."""
        run, connection = production.run, transaction.connection
        found = find_same(self._log, connection, run, key) if key is not None else find_going_on(connection, run) if join else None
        if found is not None:
            # At once: its lease may be about to end.
            if watched:
                self.presence.come(connection, found)
            return found
        # Also where the customer was looked at to make what is there already: an account that was closed since is to leave nothing.
        if run.customer_id is not None:
            expect_customer(Shop(self._log, run.tenant), connection, run.customer_id)
        row = row_from(run) | {
            "key": key,
            "status": status,
            "made": production.made,
            "holder": production.holder,
            "expires_at": producer_expiry(),
        }
        connection.execute(_INSERT, row)
        if watched and status is RunStatus.RUNNING:
            self.presence.come(connection, run)
        transaction.append(drafts)
        return None

    def _give_back(self, run: Run) -> None:
        if run.engine != EMBEDDED:
            self._calls.give_back((run.tenant, run.customer_id))

    def _make(self, production: Production) -> None:
        run = production.run
        self._making[run.id] = production
        try:
            if run.engine == EMBEDDED:
                production.make()
            else:
                self._make_watched(production)
        finally:
            self._making.pop(run.id, None)
            self._give_back(run)
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
