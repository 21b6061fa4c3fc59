"""Who is there to see runs, noted where all workers read it: so nobody's leaving ends what somebody else watches elsewhere.

A worker says for which runs it has somebody, again and again; what it doesn't repeat is void soon, whatever became of it. The
run's own lease begins when no worker has anybody any more. Must not know how a run is made, nor who is there.
"""

import secrets
from collections.abc import Callable, Sequence
from functools import cached_property

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, String, Table, delete, func, literal, select, update
from sqlalchemy.dialects.sqlite import insert

from petstore.ai.run import Run, RunStatus, runs
from petstore.shop import now
from petstore.sse import EventLog, metadata

PAGE = 500
"""Runs of one transaction: a statement takes only so many values, and others want to write too."""

audiences = Table(
    "audiences",
    metadata,
    Column("run_id", String(36), primary_key=True),
    Column("holder", String(32), primary_key=True),
    Column("until", BigInteger, nullable=False),
)
"""For which runs a worker, the `holder`, has somebody; believed `until` then, in microseconds."""


class Presence:
    """What this worker says, and for how long that is believed, when the runs' lease is `lease_s`."""

    def __init__(self, log: EventLog, lease_s: float) -> None:
        self._log = log
        self.touch_s = max(0.1, lease_s / 4)
        """How often it's said again."""
        self.slack = int(2e6 * self.touch_s)
        """For how long, in microseconds, it's believed."""

    @cached_property
    def _holder(self) -> str:
        """This worker's name, made at its first use: one that is made before a fork would be the same in every worker."""
        return secrets.token_hex(16)

    def come(self, connection: Connection, run: Run) -> None:
        """Note that somebody is here for a run, if it goes on."""
        _note(connection, [run.id], self._holder, now() + self.slack)

    def rejoin(self, run: Run) -> None:
        """Note that somebody is back for a run, if it goes on. Raises LogUnavailable."""
        if run.status is RunStatus.RUNNING:
            self._log.write(lambda transaction: self.come(transaction.connection, run))

    def look(self, run: Run) -> None:
        """Note that somebody has asked for a run, as those do who come back now and then: its lease begins anew.

        Not each time, so that whoever asks often writes seldom. Raises LogUnavailable.
        """
        if run.status is RunStatus.RUNNING and run.watched_until < now() + run.lease * 3 // 4:
            later = (
                update(runs).where(_going_on([run.id])).values(watched_until=func.max(runs.c.watched_until, runs.c.lease + now()))
            )
            self._log.write(lambda transaction: transaction.connection.execute(later))

    def stay(self, run_ids: Sequence[str]) -> None:
        """Say that somebody is still here for these runs. Raises LogUnavailable."""
        self._write(run_ids, lambda connection, page: _note(connection, page, self._holder, now() + self.slack))

    def leave(self, run_ids: Sequence[str]) -> None:
        """Say that nobody is here any more for these runs. Raises LogUnavailable."""
        self._write(run_ids, self._leave)

    def _write(self, run_ids: Sequence[str], work: Callable[[Connection, Sequence[str]], object]) -> None:
        for start in range(0, len(run_ids), PAGE):
            page = run_ids[start : start + PAGE]
            self._log.write(lambda transaction, page=page: work(transaction.connection, page))  # type: ignore[misc]

    def _leave(self, connection: Connection, run_ids: Sequence[str]) -> None:
        ours = (audiences.c.holder == self._holder) & audiences.c.run_id.in_(run_ids)
        connection.execute(delete(audiences).where(ours))
        elsewhere = select(func.max(audiences.c.until)).where(audiences.c.run_id == runs.c.id, audiences.c.until > now())
        until = runs.c.lease + func.coalesce(elsewhere.scalar_subquery(), now())
        connection.execute(update(runs).where(_going_on(run_ids)).values(watched_until=until))


def forget(connection: Connection) -> None:
    """Remove what is void."""
    connection.execute(delete(audiences).where(audiences.c.until < now()))


def _note(connection: Connection, run_ids: Sequence[str], holder: str, until: int) -> None:
    here = select(runs.c.id, literal(holder), literal(until)).where(_going_on(run_ids))
    row = insert(audiences).from_select(["run_id", "holder", "until"], here)
    connection.execute(row.on_conflict_do_update(set_={"until": row.excluded.until}))
    # Nobody can have put it off further: all reckon in the same way.
    connection.execute(update(runs).where(_going_on(run_ids)).values(watched_until=runs.c.lease + until))


def _going_on(run_ids: Sequence[str]) -> ColumnElement[bool]:
    return runs.c.id.in_(run_ids) & (runs.c.status == RunStatus.RUNNING)
