"""Makes one run: tells what its generation makes, batch by batch, as long as the run is ours and somebody may want it.

Each batch is one transaction, which also renews our lease, and in which we learn that the run was stopped, taken over, or left
alone for too long. So two producers can never both write, and nothing is told after the end.

Must not know what a generation does.
"""

import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import bindparam, update

from petstore.ai.error import EngineFailed
from petstore.ai.generation import Batch, Generation, Made, Result
from petstore.ai.run import Run, RunStatus, producer_expiry, runs
from petstore.shop import now
from petstore.sse import COMPLETE, ERROR, Draft, EventLog, LogUnavailable, Transaction

PROGRESS = "progress"
"""The type of the events that say how far a run is which takes longer than PROGRESS_S."""

PROGRESS_S = 1.0
"""How often that is told, at the most: each is an event that is kept."""

ABANDONED = "nobody was there to see it"

_TYPES = "https://petstoreapi.com/errors/"
BROKEN = {"type": _TYPES + "internal-server-error", "title": "Internal Server Error", "status": 500, "retryable": True}
UNAVAILABLE = {"type": _TYPES + "service-unavailable", "title": "Service Unavailable", "status": 503, "retryable": True}
"""What the `error` of a run that failed says: a problem, as the contract has them."""

# Built once: building a statement takes longer than SQLite takes for it.
_OURS = (
    update(runs)
    .where(runs.c.id == bindparam("run"), runs.c.holder == bindparam("holder_is"), runs.c.status == RunStatus.RUNNING)
    .values({name: bindparam(f"new_{name}") for name in ("expires_at", "status", "made", "engine")})
    .returning(runs.c.watched_until)
)
_STOP = update(runs).where(runs.c.id == bindparam("run")).values(status=RunStatus.STOPPED).returning(runs.c.made)

logger = logging.getLogger(__name__)


class Meter(Protocol):
    """Told what runs cost. Both return at once and raise nothing."""

    def generated(self, engine: str, tokens: int, heard: bool) -> None:
        """An engine made so many tokens; `heard` says that somebody was there to see them."""

    def run_ended(self, kind: str, status: str, engine: str) -> None:
        """A run has ended, made at last by `engine`."""


def new_holder() -> str:
    """Return a name that nobody else has."""
    return secrets.token_hex(16)


class Production:
    """The making of one run, as `holder`: by that name alone it's ours, in this process too."""

    def __init__(self, log: EventLog, meter: Meter, run: Run, generation: Generation, holder: str | None = None) -> None:
        self._log = log
        self._meter = meter
        self.holder = holder or new_holder()
        self.run = run
        self.made = run.made
        self._generation = generation
        self._batches = generation.batches()
        self._told_at = time.monotonic()
        self._counted = 0

    @property
    def engine(self) -> str:
        """The engine that is at work."""
        return self._generation.engine

    def poke(self) -> None:
        """Look at once whether the run goes on."""
        self._generation.poke()

    def first(self) -> tuple[list[Draft], RunStatus]:
        """Make the first batch before there is a run, and return what is to be told of it and what status it leads to.

        Raises whatever keeps it from being made.
        """
        return self._draft(next(self._batches))

    def begun(self, status: RunStatus) -> None:
        """Count what the first batch cost, now that it's kept together with the run, which has `status`."""
        self._count(heard=True)  # Whoever has started the run is still waiting for its answer.
        self._ended(status)

    def make(self) -> None:
        """Make the rest of the run, to its end or to ours."""
        try:
            for batch in self._batches:
                if not self._tell(*self._draft(batch)):
                    return
        except LogUnavailable as error:
            logger.warning("run %s rests until its lease expires: %s", self.run.id, error)
        except EngineFailed as error:
            logger.warning("run %s can't go on: %s", self.run.id, error)
            self._fail(UNAVAILABLE)
        except Exception:
            logger.exception("run %s failed", self.run.id)
            self._fail(BROKEN)
        finally:
            self.close()
            self._count(heard=False)  # What came after the end.

    def close(self) -> None:
        """Give up whatever goes on."""
        self._batches.close()

    def _draft(self, batch: Batch) -> tuple[list[Draft], RunStatus]:
        made = [item for item in batch if isinstance(item, Made)]
        self.made += sum(item.amount for item in made)
        drafts = [Draft(self.run.topic, item.type, item.data) for item in made]
        for item in batch:
            if isinstance(item, Result):
                return [*drafts, Draft(self.run.topic, COMPLETE, ending(self.run, self.engine, item.data))], RunStatus.COMPLETE
        if time.monotonic() - self._told_at >= PROGRESS_S:
            self._told_at = time.monotonic()
            progress = {"done": self.made, "total": self._generation.total, "phase": self._generation.phase}
            drafts.append(Draft(self.run.topic, PROGRESS, progress))
        return drafts, RunStatus.RUNNING

    def _tell(self, drafts: Sequence[Draft], status: RunStatus) -> bool:
        """Append what the run has come to. Returns whether it goes on, and is ours."""
        outcome, heard = self._log.write(lambda transaction: self._write(transaction, drafts, status))
        self._count(heard)
        if outcome is not None:
            self._ended(outcome)
        return outcome is RunStatus.RUNNING

    def _fail(self, data: dict[str, Any]) -> None:
        try:
            self._tell([Draft(self.run.topic, ERROR, data)], RunStatus.FAILED)
        except LogUnavailable as error:
            logger.warning("run %s rests until its lease expires: %s", self.run.id, error)

    def _count(self, heard: bool) -> None:
        tokens, self._counted = self._generation.tokens - self._counted, self._generation.tokens
        if tokens:
            self._meter.generated(self.engine, tokens, heard)

    def _ended(self, status: RunStatus) -> None:
        if status is not RunStatus.RUNNING:
            self._meter.run_ended(self.run.kind, status, self.engine)

    def _write(self, transaction: Transaction, drafts: Sequence[Draft], status: RunStatus) -> tuple[RunStatus | None, bool]:
        """Append. Returns the run's status, None where it isn't ours any more, and whether anybody is there."""
        values = {
            "run": self.run.id,
            "holder_is": self.holder,
            "new_expires_at": producer_expiry(),
            "new_status": status,
            "new_made": self.made,
            "new_engine": self.engine,
        }
        watched_until = transaction.connection.execute(_OURS, values).scalar()
        if watched_until is None:
            return None, False
        transaction.append(drafts)
        moment = now()
        heard = watched_until - self.run.lease > moment
        if status is RunStatus.RUNNING and watched_until <= moment:
            return stop(transaction, self.run, self.engine, ABANDONED), heard
        return status, heard


def stop(transaction: Transaction, run: Run, engine: str, reason: str) -> RunStatus:
    """End a run before its time, and say why. Whoever calls has made sure that it still goes on."""
    made = transaction.connection.execute(_STOP, {"run": run.id}).scalar_one()
    transaction.append([stopped(run, engine, made, reason)])
    return RunStatus.STOPPED


def stopped(run: Run, engine: str, made: int, reason: str) -> Draft:
    """Return the `complete` of a run that ends before its time, after it has `made` so much."""
    return Draft(run.topic, COMPLETE, ending(run, engine, {"total": made, "status": "stopped", "reason": reason}))


def ending(run: Run, engine: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a run's `complete`."""
    total = {"total": data["total"]} if "total" in data else {}
    return {**total, "processingTime": (now() - run.created_at) // 1000, **data, "engine": engine}
