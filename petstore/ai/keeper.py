"""Notes in the database for which runs somebody is there, one keeper in each worker, and hands runs over when the worker ends.

Must not know who is there, nor what a run is.
"""

import logging
import threading
import time

from petstore.ai.audience import Audience
from petstore.ai.runs import Runs
from petstore.sse import LogUnavailable

FINISH_S = 1.0
"""How long a worker whose connections have gone stays for the runs that it makes: a model's can't be handed over."""

POLL_S = 0.05
"""How often a worker that ends looks whether its runs have: the longest that it waits for nothing."""

AGAIN_S = 1.0
"""How soon a write that failed is tried again."""

logger = logging.getLogger(__name__)


class Keeper:
    """Works in a thread of its own (a greenlet under gevent) from `start` to `stop`. Nobody there means no transaction."""

    def __init__(self, runs: Runs, audience: Audience) -> None:
        self._runs = runs
        self._audience = audience
        self._stopping = False
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        audience.on_leave = self._news.set

    def start(self) -> None:
        """Begin. A keeper is started once."""
        self._thread.start()

    def stop(self) -> None:
        """End, when the runs of this worker have or after FINISH_S, and let other workers go on with the rest."""
        self._stopping = True
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()
        until = time.monotonic() + FINISH_S
        while self._runs.is_busy() and time.monotonic() < until:
            time.sleep(POLL_S)
        try:
            self._runs.hand_over()
        except LogUnavailable as error:
            logger.warning("runs could not be handed over, and rest until their leases expire: %s", error)

    def _run(self) -> None:
        due = time.monotonic() + self._runs.presence.touch_s
        while not self._stopping:
            self._news.wait(max(0.0, due - time.monotonic()))
            self._news.clear()
            left = self._audience.take_left()
            try:
                self._runs.leave(left)
                left = []
                if time.monotonic() >= due:
                    self._runs.presence.stay(self._audience.present())
                    due = time.monotonic() + self._runs.presence.touch_s
            except LogUnavailable as error:
                logger.warning("it could not be noted who is there: %s", error)
                due = time.monotonic() + AGAIN_S
            except Exception:
                logger.exception("the keeper failed and goes on")
                due = time.monotonic() + AGAIN_S
            self._audience.put_back(left)
