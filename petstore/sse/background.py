"""What a worker does besides requests: it follows the log and takes its turn at the jobs, from its start to its end.

Must not know what the jobs are.
"""

import gc
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

from petstore.sse.error import LogUnavailable
from petstore.sse.feed import Feed

LOOK_S = 1.0
"""How often we look whether gunicorn wants the worker to end, which it says by a flag when `max_requests` is reached, and how
late the loop lets us look."""

GC_THRESHOLDS = (10_000, 250, 100)
"""Python's own thresholds make it walk all objects of ten thousand streams every few hundred connections, for 100 ms each time.
A walk of the 10,000 newest takes 3 ms; longer walks are rarely due."""

logger = logging.getLogger(__name__)


class Work(Protocol):
    """What goes on in the background: a job, or something that each worker has for itself. Started once, and stopped once."""

    def start(self) -> None:
        """Begin, and return at once."""

    def stop(self) -> None:
        """End what has begun, if anything has."""


class Background:
    """The feed and the jobs of one worker, which `start` starts once however often it's called."""

    def __init__(self, feed: Feed, jobs: Sequence[Work]) -> None:
        self._feed = feed
        self._jobs = jobs
        self._lock = threading.Lock()
        self.started = False
        self._ended = threading.Event()

    def start(self) -> None:
        """Start everything once. A log that doesn't answer stops nobody: the feed begins with the first stream that finds it."""
        with self._lock:
            first, self.started = not self.started, True
        if not first:
            return
        for job in self._jobs:
            job.start()
        try:
            self._feed.start()
        except LogUnavailable as error:
            logger.warning("the feed could not start yet: %s", error)

    def watch(self, worker: Any) -> None:
        """Drain when `worker` (gunicorn's) begins to end, and until then report how late the loop is."""

        def look() -> None:
            while worker.alive:
                asked_at = time.monotonic()
                if self._ended.wait(LOOK_S):
                    return
                self._feed.observer.lagged(max(0.0, time.monotonic() - asked_at - LOOK_S))
            self.drain()

        # Ours calls it as soon as it begins to end; for gunicorn's own there is the look. In a thread, which under gevent is a
        # greenlet: a worker of threads has no loop that would run one.
        worker.drain = self.drain
        threading.Thread(target=look, name="watch", daemon=True).start()
        _tune_collector()

    def drain(self) -> None:
        """Say goodbye on every stream. May be called twice."""
        if not self._feed.draining:
            logger.info("draining")
            self._feed.drain()

    def stop(self) -> None:
        """Stop the jobs, giving their leases to the other workers, and the feed."""
        # What is frozen would be taken apart last of all, after the modules that its own clean-up needs.
        gc.unfreeze()
        self._ended.set()
        if self.started:
            for job in self._jobs:
                job.stop()
            self._feed.stop()


def _tune_collector() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
