"""Counts in windows: exact over processes, bounded, and never waiting for somebody who was stopped."""

import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from petstore.api.windows import PLACES, ROWS, Windows

KEY = b"correct horse battery"


@pytest.fixture
def windows(tmp_path: Path) -> Iterator[Windows]:
    made = Windows(tmp_path / "rates", KEY)
    yield made
    made.close()


def test_each_name_is_counted_by_itself_and_anew_in_each_window(windows: Windows):
    assert [windows.count("a", 7) for _ in range(3)] == [1, 2, 3]
    assert windows.count("b", 7) == 1
    assert windows.count("a", 8) == 1
    assert windows.count("a", 8) == 2


def test_another_worker_and_the_next_server_count_on(windows: Windows, tmp_path: Path):
    windows.count("a", 7)
    other = Windows(tmp_path / "rates", KEY)
    assert other.count("a", 7) == 2
    assert windows.count("a", 7) == 3
    other.close()
    assert windows.count("a", 7) == 4


def test_the_file_is_its_owner_s_alone_small_and_never_grows(windows: Windows, tmp_path: Path):
    for number in range(ROWS):
        windows.count(f"name {number}", 7)
    status = (tmp_path / "rates").stat()
    assert status.st_size == ROWS * PLACES * 16 == 1024 * 1024
    assert status.st_mode & 0o777 == 0o600


def test_of_a_crowd_that_fills_the_table_those_are_forgotten_who_ask_least(windows: Windows, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("petstore.api.windows.ROWS", 2)
    for _ in range(5):
        windows.count("the one", 7)
    for number in range(1000):
        windows.count(f"name {number}", 7)
    assert windows.count("the one", 7) == 6


def count(path: Path, times: int) -> None:
    windows = Windows(path, KEY)
    for _ in range(times):
        windows.count("a", 7)


def test_three_processes_at_once_count_nearly_every_request(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=count, args=(tmp_path / "rates", 5000)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    windows = Windows(tmp_path / "rates", KEY)
    # Only where one was interrupted while it held the row, and another one gave up waiting, one may be missing.
    assert 14_900 <= windows.count("a", 7, 0) <= 15_000
    windows.close()


HOLD = "import fcntl, sys; file = open(sys.argv[1], 'r+b'); fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"


def test_who_was_stopped_while_it_counted_holds_nobody_up(windows: Windows, tmp_path: Path):
    windows.count("a", 7)
    command = [sys.executable, "-c", HOLD, str(tmp_path / "rates")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        assert [windows.count("a", 7) for _ in range(3)] == [2, 3, 4]
        other.kill()
    assert windows.count("a", 7) == 5


def test_where_the_file_can_not_be_had_nobody_is_counted_until_it_can(tmp_path: Path):
    (tmp_path / "var").write_text("a file where a directory should be")
    windows = Windows(tmp_path / "var" / "rates", KEY)
    assert [windows.count("a", 7) for _ in range(3)] == [0, 0, 0]
    (tmp_path / "var").unlink()
    assert windows.count("a", 7) == 0
    assert windows.count("a", 8) == 1
    windows.close()
