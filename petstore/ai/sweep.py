"""The job that looks after runs: it takes over those whose worker has gone, and forgets those past retention.

An embedded engine goes on where the events end. A model's half answer is nobody else's to finish, and its call is gone: such a
run ends with an error that says that it may be tried again.

Must not know what a generation does.
"""

import logging
import time

from sqlalchemy import Select, select, update

from petstore.ai.engine import EMBEDDED
from petstore.ai.presence import forget
from petstore.ai.production import UNAVAILABLE, new_holder
from petstore.ai.retention import BATCH, forget_old
from petstore.ai.run import Run, RunStatus, producer_expiry, run_from, runs
from petstore.ai.runs import Runs
from petstore.shop import now
from petstore.sse import ERROR, Draft, EventLog, Transaction

SWEEP_S = 2.5
"""How often abandoned runs are looked for."""

AGAIN_S = 1.0
"""How soon one that may be abandoned is looked at again: whoever makes a run says so every second."""

PAGE = 1_000
"""Runs that are looked at together: more than two workers ever make by models."""

FORGET_S = 60.0
"""How often runs past retention are looked for, at most."""

logger = logging.getLogger(__name__)


class Sweep:
    """Looks after the runs of `log`. They are kept for `retention_s` after their start."""

    def __init__(self, log: EventLog, runs: Runs, retention_s: float) -> None:
        self._log = log
        self._runs = runs
        self._retention_s = retention_s
        self._seen: dict[str, int] = {}
        self._forget_at = 0.0
        self._forget_s = min(FORGET_S, retention_s / 10)

    def sweep(self) -> float:
        """Take over one run, or forget some. Returns the seconds to the next sweep. Raises LogUnavailable."""
        # Looked at first: a write lock every second, for nothing, would be felt by those who write.
        rows = self._log.query(lambda connection: connection.execute(_abandoned()).all())
        resting = {row.id: row.expires_at for row in rows if not self._runs.is_making(row.id)}
        # Seen expired twice: after a laptop's sleep every lease has expired, and its holder is about to renew it. A run that was
        # handed over needs no second look.
        for run_id, expires_at in resting.items():
            if expires_at == 0 or self._seen.get(run_id) == expires_at:
                self._take_over(run_id, expires_at)
                return 0.0
        self._seen = resting
        if time.monotonic() > self._forget_at:
            if self._log.write(self._forget_old) == BATCH:
                return 0.0
            self._forget_at = time.monotonic() + self._forget_s
        return AGAIN_S if resting else SWEEP_S

    def _take_over(self, run_id: str, expires_at: int) -> None:
        holder = new_holder()
        run = self._log.write(lambda transaction: self._adopt(transaction, run_id, expires_at, holder))
        if run is not None:
            logger.warning("run %s was abandoned and goes on here", run.id)
            self._runs.go_on(run, holder)

    def _adopt(self, transaction: Transaction, run_id: str, expires_at: int, holder: str) -> Run | None:
        resting = select(runs).filter_by(id=run_id, status=RunStatus.RUNNING, expires_at=expires_at)
        row = transaction.connection.execute(resting).first()
        if row is None:
            return None
        run = run_from(row)
        claim = update(runs).filter_by(id=run.id)
        if run.engine != EMBEDDED:
            transaction.connection.execute(claim.values(status=RunStatus.FAILED))
            transaction.append([Draft(run.topic, ERROR, UNAVAILABLE)])
            self._runs.meter.run_ended(run.kind, RunStatus.FAILED, run.engine)
            logger.warning("run %s ends: its worker has gone, and with it the call of the model", run.id)
            return None
        transaction.connection.execute(claim.values(holder=holder, expires_at=producer_expiry()))
        return run

    def _forget_old(self, transaction: Transaction) -> int:
        forget(transaction.connection)
        return forget_old(self._log, transaction, now() - int(self._retention_s * 1e6))


def _abandoned() -> Select[tuple[str, int]]:
    return select(runs.c.id, runs.c.expires_at).where(runs.c.status == RunStatus.RUNNING, runs.c.expires_at < now()).limit(PAGE)
