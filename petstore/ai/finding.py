"""How runs are found in the database: by id, by the key that started them, or because they go on already.

Must not start any, nor end them.
"""

from dataclasses import replace

from sqlalchemy import Connection, bindparam, select, update

from petstore.ai.run import Run, RunKind, RunStatus, run_from, runs
from petstore.shop import KeyReused
from petstore.sse import EventLog

# Built once: building a statement takes longer than SQLite takes for it.
_BY_ID = select(runs).where(runs.c.id == bindparam("run"))
_BY_KEY = select(runs).where(runs.c.key == bindparam("run_key"))
_GOING_ON = select(runs).where(
    runs.c.tenant == bindparam("tenant"),
    runs.c.customer_id == bindparam("customer"),
    runs.c.status == RunStatus.RUNNING,
    runs.c.kind == RunKind.RECOMMENDATIONS,
)


def find_run(connection: Connection, run_id: str) -> Run | None:
    """Return the run, if there is one."""
    row = connection.execute(_BY_ID, {"run": run_id}).first()
    return None if row is None else run_from(row)


def find_same(log: EventLog, connection: Connection, run: Run, key: str) -> Run | None:
    """Return the run that `key` has started, if there is one. Raises KeyReused when that isn't what `run` would be."""
    row = connection.execute(_BY_KEY, {"run_key": key}).first()
    if row is None:
        return None
    found = run_from(row)
    cut = is_cut(log, connection, found)
    if not cut and (found.kind, found.customer_id, found.request) != (run.kind, run.customer_id, run.request):
        raise KeyReused(key)
    stopped = found.status is RunStatus.STOPPED and found.kind is RunKind.CHAT
    if cut or stopped or found.status is RunStatus.FAILED:
        # Its answer is gone, or never came as a whole: whoever tries again wants another one.
        connection.execute(update(runs).filter_by(id=found.id).values(key=None))
        return None
    return replace(found, replayed=True)


def is_cut(log: EventLog, connection: Connection, run: Run) -> bool:
    """Say whether retention has begun to remove the events of a run that has ended: what is left isn't what it made."""
    return run.status is not RunStatus.RUNNING and run.created_at < log.trimmed(connection)


def find_going_on(connection: Connection, run: Run) -> Run | None:
    """Return the run that is making already what `run` would make, if there is one."""
    rows = connection.execute(_GOING_ON, {"tenant": run.tenant, "customer": run.customer_id})
    return next((run_from(row) for row in rows if row.request == run.request), None)
