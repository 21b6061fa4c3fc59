"""The bell: whoever rings is heard, however his ring falls together with the end of a wait."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from petstore.sse.doorbell import Doorbell
from tests.sse.other_process import PATIENCE_S


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Doorbell]:
    bell = Doorbell(tmp_path)
    bell.wait(0)
    yield bell
    bell.close()


class Interrupted:
    """The bell's socket, with something that another thread does just before the second `recv`, the first that finds nothing."""

    def __init__(self, socket: Any, interrupt: Callable[[], None]) -> None:
        self._socket = socket
        self._interrupt = interrupt
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv(self, size: int) -> Any:
        self._calls += 1
        if self._calls == 2:
            self._interrupt()
        return self._socket.recv(size)


def test_who_rings_while_a_wait_ends_does_not_silence_who_rings_after_it(bell: Doorbell):
    bell._socket = Interrupted(bell._socket, bell.ring)  # type: ignore[assignment]
    bell.ring()
    assert bell.wait(PATIENCE_S)
    bell.ring()
    assert bell.wait(PATIENCE_S)


def test_a_ring_that_failed_does_not_silence_the_next_one(bell: Doorbell, tmp_path: Path):
    path = tmp_path / bell._name
    path.unlink()
    path.touch()  # What is no socket can't be rung.
    bell.ring()
    assert not bell.wait(0)
    bell.wait(0)  # It hangs up a new one.
    bell.ring()
    assert bell.wait(PATIENCE_S)


def test_many_rings_are_one(bell: Doorbell):
    for _ in range(100):
        bell.ring()
    assert bell.wait(PATIENCE_S)
    assert bell.only_own
    assert not bell.wait(0)
