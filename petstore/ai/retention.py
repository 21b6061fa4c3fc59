"""What is kept of runs, and for how long: those past retention are forgotten, and at once all of an account that was closed.

Nothing of what somebody asked or was told outlives that. Must not know what a generation does.
"""

from collections.abc import Sequence

from sqlalchemy import select

from petstore.ai.production import Meter, stopped
from petstore.ai.run import Run, RunStatus, run_from, runs
from petstore.shop import Shop
from petstore.sse import EventLog, Transaction

CLOSED = "the account was closed"

BATCH = 100
"""Runs that are forgotten with one statement, and of the old ones with one transaction, so that nobody waits for it."""

_ENDED = tuple(status for status in RunStatus if status is not RunStatus.RUNNING)


def forget_old(log: EventLog, transaction: Transaction, before: int) -> int:
    """Forget up to BATCH of the runs that were begun before this moment and have ended. Returns how many."""
    # By name: an index can't find "all but this", and a look at every run would hold the write lock for seconds.
    old = select(runs).where(runs.c.status.in_(_ENDED), runs.c.created_at < before).limit(BATCH)
    found = [run_from(row) for row in transaction.connection.execute(old)]
    _forget(log, transaction, found)
    return len(found)


def forget_customer(shop: Shop, customer_id: str, meter: Meter) -> None:
    """Forget all runs of a customer whose account is closed, and stop those that go on."""

    def forget(transaction: Transaction) -> None:
        theirs = select(runs).filter_by(tenant=shop.tenant, customer_id=customer_id)
        found = [run_from(row) for row in transaction.connection.execute(theirs)]
        for at in range(0, len(found), BATCH):
            _forget(shop.log, transaction, found[at : at + BATCH])
        # The word to those who still listen, on whatever worker; it quotes nobody. Whoever makes the run looks up at it, and
        # finds the run gone.
        for run in found:
            if run.status is RunStatus.RUNNING:
                transaction.append([stopped(run, run.engine, run.made, CLOSED)])
                meter.run_ended(run.kind, RunStatus.STOPPED, run.engine)

    shop.write(forget)


def _forget(log: EventLog, transaction: Transaction, found: Sequence[Run]) -> None:
    if found:
        log.forget(transaction, [run.topic for run in found])
        transaction.connection.execute(runs.delete().where(runs.c.id.in_([run.id for run in found])))
