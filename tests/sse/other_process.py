"""Work in another process, as a worker beside ours would do it. Forked, so that it takes any function along as it is.

Whoever starts one must have no connection and no thread open yet.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

FORK = multiprocessing.get_context("fork")

PATIENCE_S = 30.0
"""How long we wait for what must come before we call it missing."""


class OtherProcess:
    """Runs `work(tell, *arguments)` in a new process. `tell(value)` sends a value here; what `work` returns is told last."""

    def __init__(self, work: Callable[..., object], *arguments: object) -> None:
        self._told, tell = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=_run, args=(work, tell, arguments), daemon=True)
        self._process.start()
        tell.close()

    def next(self) -> Any:
        """Return the next value that it tells, waiting for it."""
        if not self._told.poll(PATIENCE_S):
            self.kill()
            raise AssertionError(f"process {self._process.pid} told nothing in {PATIENCE_S} s")
        failure, value = self._told.recv()
        assert failure is None, failure
        return value

    def end(self) -> Any:
        """Return the last value that it tells, when it has ended."""
        value = self.next()
        self._process.join(PATIENCE_S)
        self._close()
        return value

    def kill(self) -> None:
        """End it where it is, by SIGKILL."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._close()

    def _close(self) -> None:
        self._told.close()
        self._process.close()


def _run(work: Callable[..., object], tell: Any, arguments: tuple[object, ...]) -> None:
    try:
        tell.send((None, work(lambda value: tell.send((None, value)), *arguments)))
    except BaseException:
        tell.send((traceback.format_exc(), None))
        raise


def eventually(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.002)
