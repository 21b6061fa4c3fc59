"""The bell: whoever rings is heard, however his ring falls together with the end of a wait."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from petstore.sse.doorbell import Doorbell
from tests.sse.other_process import PATIENCE_S


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Doorbell]:
    bell = Doorbell(tmp_path)
    bell.wait(0)
    yield bell
    bell.close()


@pytest.fixture
def other(tmp_path: Path) -> Doorbell:
    """Return the means of another process, which does not follow."""
    return Doorbell(tmp_path)


class Interrupted:
    """The bell's socket, with something that another thread does just before the `recv` that finds nothing."""

    def __init__(self, socket: Any, interrupt: Callable[[], None]) -> None:
        self._socket = socket
        self._interrupt = interrupt
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv(self, size: int) -> Any:
        self._calls += 1
        if self._calls == 1:
            self._interrupt()
        return self._socket.recv(size)


def test_who_rings_while_a_wait_ends_does_not_silence_who_rings_after_it(bell: Doorbell):
    bell._socket = Interrupted(bell._socket, bell.ring)  # type: ignore[assignment]
    bell.ring()
    assert bell.wait(PATIENCE_S)
    bell.ring()
    assert bell.wait(PATIENCE_S)


def test_a_ring_that_failed_does_not_silence_the_next_one(bell: Doorbell, other: Doorbell, tmp_path: Path):
    path = tmp_path / bell._name
    path.unlink()
    path.touch()  # What is no socket can't be rung.
    other.ring()
    assert not bell.wait(0)
    bell.wait(0)  # It hangs up a new one.
    other.ring()
    assert bell.wait(PATIENCE_S)


def test_one_s_own_ring_needs_no_bell(bell: Doorbell, tmp_path: Path):
    (tmp_path / bell._name).unlink()
    bell.ring()
    assert bell.wait(PATIENCE_S)
    assert bell.only_own


def test_a_bell_that_was_cleaned_away_is_missed_however_often_one_rings_oneself(bell: Doorbell, other: Doorbell, tmp_path: Path):
    (tmp_path / bell._name).unlink()
    bell.ring()
    assert bell.wait(PATIENCE_S)
    bell.ring()
    assert bell.wait(PATIENCE_S)
    other.ring()
    assert bell.wait(PATIENCE_S)
    assert not bell.only_own


def test_who_waits_is_woken_by_his_own_process(bell: Doorbell):
    ringing = gevent.spawn_later(0.01, bell.ring)
    assert bell.wait(PATIENCE_S)
    assert bell.only_own
    ringing.join()


def test_who_waits_is_woken_by_a_thread_of_his_process(bell: Doorbell):
    ringing = threading.Timer(0.01, bell.ring)
    ringing.start()
    assert bell.wait(PATIENCE_S)
    ringing.join()


def test_who_waits_is_woken_by_another(bell: Doorbell, other: Doorbell):
    ringing = gevent.spawn_later(0.01, other.ring)
    assert bell.wait(PATIENCE_S)
    assert not bell.only_own
    ringing.join()


def test_a_ring_of_another_is_not_taken_for_one_s_own(bell: Doorbell, other: Doorbell):
    bell.ring()
    other.ring()
    assert bell.wait(PATIENCE_S)
    assert not bell.only_own
    assert not bell.wait(0)


def test_many_rings_are_one(bell: Doorbell):
    for _ in range(100):
        bell.ring()
    assert bell.wait(PATIENCE_S)
    assert bell.only_own
    assert not bell.wait(0)


def test_a_directory_that_can_not_be_looked_into_any_more_is_no_failure(bell: Doorbell, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: object, **options: object) -> None:
        raise PermissionError(path)

    monkeypatch.setattr("os.stat", refuse)
    assert not bell.wait(0.01)
    assert bell._socket is None, "the next wait tries to hang one up"
