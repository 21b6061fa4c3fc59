"""Leases, and jobs that run in one worker at a time under one.

A lease is a row that names its holder and expires by itself, so a holder that was killed blocks nobody for longer than
LEASE_S. Holding one is an optimisation against doing work twice at once, never the proof that a step is done once: that is
the transaction of the step itself.

Must not know what a job does.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from functools import cached_property

from sqlalchemy import Column, Connection, String, Table, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from petstore.sse.error import LogUnavailable
from petstore.sse.event_log import EventLog, Transaction
from petstore.sse.sql_event_log import ID, metadata

LEASE_S = 5.0
"""How long a lease lasts. It bounds how long work rests after its worker was killed; a holder renews it when half is over."""

RETRY_S = 1.0
"""How long a job rests after a failure."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("holder", String(40), nullable=False),
    Column("expires_at", ID, nullable=False),
)
"""`expires_at` in microseconds since 1970."""

# Built once: every worker asks about every job all the time.
_OF_ANOTHER = select(leases.c.expires_at).where(leases.c.name == bindparam("lease"), leases.c.holder != bindparam("own"))
_NEW = upsert(leases)
_TAKE = _NEW.on_conflict_do_update(
    index_elements=["name"],
    set_={"holder": _NEW.excluded.holder, "expires_at": _NEW.excluded.expires_at},
    # One that ends later than ours would is of a clock that was wrong: it would be waited for until then.
    where=(leases.c.holder == _NEW.excluded.holder)
    | (leases.c.expires_at < bindparam("moment"))
    | (leases.c.expires_at > _NEW.excluded.expires_at),
)

logger = logging.getLogger(__name__)


class Lease:
    """The right to do the work called `name`, for this object alone while it holds it."""

    def __init__(self, log: EventLog, name: str) -> None:
        self._log = log
        self._name = name
        self._renew_at = 0.0
        self.free_in_s = 0.0
        """After a `take` that failed: how long the other holder's lease lasts unless it's renewed."""

    @cached_property
    def _holder(self) -> str:
        """Its name, given at the first use: what is made before a fork would have the same one in every worker."""
        return secrets.token_hex(16)

    def take(self) -> bool:
        """Take or renew the lease. Returns whether it is ours now. Raises LogUnavailable."""
        if time.monotonic() < self._renew_at:
            return True
        if not self._renew_at:
            # Whoever waits for a lease only looks: a write lock for each worker and job every second would be felt.
            self.free_in_s = self._log.query(self._left_of_another)
            if self.free_in_s > 0:
                return False
        asked_at = time.monotonic()
        taken = self._log.write(self._take)
        self._renew_at = asked_at + LEASE_S / 2 if taken else 0.0
        return taken

    def _left_of_another(self, connection: Connection) -> float:
        expires_at = connection.execute(_OF_ANOTHER, {"lease": self._name, "own": self._holder}).scalar()
        left_s = 0.0 if expires_at is None else expires_at / 1e6 - time.time()
        return left_s if 0 < left_s <= LEASE_S else 0.0

    def _take(self, transaction: Transaction) -> bool:
        # The time is looked at under the lock: a write may have waited for longer than the lease lasts.
        moment = time.time_ns() // 1000
        row = {"name": self._name, "holder": self._holder, "expires_at": moment + int(LEASE_S * 1e6)}
        return transaction.connection.execute(_TAKE, row | {"moment": moment}).rowcount == 1

    def release(self) -> None:
        """Let the next one have it at once, if it may be ours. Raises LogUnavailable."""
        if not self._renew_at:
            return
        self._renew_at = 0.0
        statement = delete(leases).filter_by(name=self._name, holder=self._holder)
        self._log.write(lambda transaction: transaction.connection.execute(statement))


class Job:
    """Work that goes on in one worker at a time: `work()` does what is due and returns the seconds to the next call.

    The thread (a greenlet under gevent) belongs to this object; `stop` ends it.
    """

    def __init__(self, log: EventLog, name: str, work: Callable[[], float]) -> None:
        self._lease = Lease(log, name)
        self._name = name
        self._work = work
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"job {name}", daemon=True)

    def start(self) -> None:
        """Begin. A job is started once."""
        self._thread.start()

    def stop(self) -> None:
        """End the work after the step that is being done, and give the lease back."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        due_at = 0.0
        while not self._stopping.is_set():
            try:
                if not self._lease.take():
                    # Whoever gets it begins at once: nobody knows what the last one has left.
                    due_at, pause_s = 0.0, self._lease.free_in_s + 0.01
                else:
                    if time.monotonic() >= due_at:
                        rest_s = self._work()
                        due_at = time.monotonic() + rest_s
                    pause_s = max(0.0, min(due_at - time.monotonic(), LEASE_S / 3))
            except LogUnavailable as error:
                logger.warning("job %s waits: %s", self._name, error)
                due_at, pause_s = 0.0, RETRY_S  # Meanwhile another one may have had it, and left something.
            except Exception:
                logger.exception("job %s failed and will be tried again", self._name)
                pause_s = RETRY_S
            self._stopping.wait(pause_s)
        try:
            self._lease.release()
        except LogUnavailable as error:
            logger.warning("job %s could not give its lease back, which expires by itself: %s", self._name, error)
