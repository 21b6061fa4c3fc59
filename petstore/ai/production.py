"""Makes one run: tells what its generation makes, batch by batch, as long as the run is ours and somebody may want it.

Each batch is one transaction, which also renews our lease, and in which we learn that the run was stopped, taken over, or left
alone for too long. So two producers can never both write, and nothing is told after the end.

Must not know what a generation does.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import update

from petstore.ai.error import EngineFailed
from petstore.ai.generation import Batch, Generate, Generation, Made, Result
from petstore.ai.run import Run, RunStatus, now, producer_expiry, runs
from petstore.sse import COMPLETE, ERROR, Draft, EventLog, LogUnavailable, Transaction

PROGRESS = "progress"
"""The type of the events that say how far a run is which takes longer than PROGRESS_S."""

PROGRESS_S = 1.0

PAGE = 10_000
"""Events of a run at the most, by far: a batch has one of each piece, and a run has some thousand pieces."""

ABANDONED = "nobody was there to see it"
BROKEN = {"title": "Internal Server Error", "status": 500, "retryable": True}
UNAVAILABLE = {"title": "Service Unavailable", "status": 503, "retryable": True}

logger = logging.getLogger(__name__)


class Meter(Protocol):
    """Told what runs cost. Both return at once and raise nothing."""

    def generated(self, engine: str, tokens: int, heard: bool) -> None:
        """An engine made so many tokens; `heard` says that somebody was there to see them."""

    def run_ended(self, kind: str, status: str, engine: str) -> None:
        """A run has ended, made at last by `engine`."""


class Production:
    """The making of one run by this process, which is `holder`."""

    def __init__(self, log: EventLog, meter: Meter, holder: str, run: Run, generate: Generate, adopted: bool) -> None:
        self._log = log
        self._meter = meter
        self._holder = holder
        self.run = run
        self._generate = generate
        self._adopted = adopted
        self._generation: Generation | None = None
        self._made = run.made
        self._told_at = time.monotonic()
        self._over = False

    def poke(self) -> None:
        """Look at once whether the run goes on."""
        if self._generation is not None:
            self._generation.poke()

    def make(self) -> None:
        """Make the run, to its end or to ours."""
        try:
            done = self._log.read([self.run.topic], 0, PAGE) if self._adopted else []
            self._generation = self._generate(self.run, done)
            batches = self._generation.batches()
            try:
                for batch in batches:
                    self._tell(self._generation, batch)
                    if self._over:
                        break
            finally:
                batches.close()  # type: ignore[attr-defined]
        except LogUnavailable as error:
            logger.warning("run %s rests until its lease expires: %s", self.run.id, error)
        except EngineFailed as error:
            logger.warning("run %s can't go on: %s", self.run.id, error)
            self._fail(UNAVAILABLE)
        except Exception:
            logger.exception("run %s failed", self.run.id)
            self._fail(BROKEN)

    def _tell(self, generation: Generation, batch: Batch) -> None:
        made = [item for item in batch if isinstance(item, Made)]
        results = [item for item in batch if isinstance(item, Result)]
        self._made += sum(item.amount for item in made)
        drafts = [Draft(self.run.topic, item.type, item.data) for item in made]
        if results:
            data = ending(self.run, generation.engine, results[0].data)
            drafts.append(Draft(self.run.topic, COMPLETE, data))
        elif time.monotonic() - self._told_at >= PROGRESS_S:
            self._told_at = time.monotonic()
            progress = {"done": self._made, "total": generation.total, "phase": generation.phase}
            drafts.append(Draft(self.run.topic, PROGRESS, progress))
        status = RunStatus.COMPLETE if results else RunStatus.RUNNING
        outcome, heard = self._log.write(lambda transaction: self._write(transaction, drafts, status, generation.engine))
        tokens = sum(item.tokens for item in made)
        if tokens:
            self._meter.generated(generation.engine, tokens, heard)
        self._end(outcome, generation.engine)

    def _fail(self, data: dict[str, Any]) -> None:
        engine = self._generation.engine if self._generation is not None else self.run.engine
        drafts = [Draft(self.run.topic, ERROR, data)]
        try:
            outcome, _ = self._log.write(lambda transaction: self._write(transaction, drafts, RunStatus.FAILED, engine))
        except LogUnavailable as error:
            logger.warning("run %s rests until its lease expires: %s", self.run.id, error)
        else:
            self._end(outcome, engine)

    def _end(self, outcome: RunStatus | None, engine: str) -> None:
        if outcome is not RunStatus.RUNNING:
            self._over = True
        if outcome not in (RunStatus.RUNNING, None):
            self._meter.run_ended(self.run.kind, str(outcome), engine)

    def _write(
        self, transaction: Transaction, drafts: Sequence[Draft], status: RunStatus, engine: str
    ) -> tuple[RunStatus | None, bool]:
        """Append what the run has come to. Returns its status, None where it isn't ours any more, and whether anybody is there."""
        ours = update(runs).filter_by(id=self.run.id, holder=self._holder, status=RunStatus.RUNNING)
        values = {"expires_at": producer_expiry(), "status": status, "made": self._made, "engine": engine}
        watched_until = transaction.connection.execute(ours.values(**values).returning(runs.c.watched_until)).scalar()
        if watched_until is None:
            return None, False
        moment = now()
        heard = watched_until - self.run.lease > moment
        transaction.append(drafts)
        if status is RunStatus.RUNNING and watched_until <= moment:
            return stop(transaction, self.run, engine, ABANDONED), heard
        return status, heard


def stop(transaction: Transaction, run: Run, engine: str, reason: str) -> RunStatus:
    """End a run before its time, and say why. Whoever calls has seen to it that it goes on until now."""
    statement = update(runs).filter_by(id=run.id).values(status=RunStatus.STOPPED).returning(runs.c.made)
    made = transaction.connection.execute(statement).scalar_one()
    data = ending(run, engine, {"total": made, "status": "stopped", "reason": reason})
    transaction.append([Draft(run.topic, COMPLETE, data)])
    return RunStatus.STOPPED


def ending(run: Run, engine: str, data: Any) -> dict[str, Any]:
    """Return the data of a run's `complete`."""
    total = {"total": data["total"]} if "total" in data else {}
    return {**total, "processingTime": (now() - run.created_at) // 1000, **data, "engine": engine}
