"""Counts: a disk that is full, now or later, neither kills the process that counts nor keeps it from serving."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from petstore.api.metrics import FILE_BYTES, FILES, _facts

ROOT = Path(__file__).resolve().parent.parent.parent

COUNT_EVERYTHING = """
import sys
from pathlib import Path
from petstore.api.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]))
for topic in ("inventory", "orders/1", "recommendations/1", "chat/1"):
    metrics.opened((topic,), (), True, 1)
    for cause in ("complete", "left", "stuck", "drained", "failed"):
        metrics.ended((topic,), (), cause, 1.0, 1)
for reason in ("full", "draining", "too-many"):
    metrics.refused(reason)
metrics.delivered(1, 1)
metrics.lagged(0.1)
"""


def test_all_the_room_that_counts_will_ever_need_is_taken_before_the_first_one(tmp_path: Path):
    subprocess.run([sys.executable, "-c", COUNT_EVERYTHING, str(tmp_path)], cwd=ROOT, check=True)
    files = {path.name.rpartition("_")[0]: path.stat() for path in tmp_path.glob("*.db")}
    assert files.keys() == set(FILES)
    for status in files.values():
        # A file that had grown, or had holes in it, could meet a full disk in the middle of a count.
        assert (status.st_size, status.st_blocks * 512) == (FILE_BYTES, FILE_BYTES)


def test_a_worker_that_finds_no_room_to_count_serves_all_the_same(make_app, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    client = make_app(var_directory=tmp_path / "full").test_client()
    assert client.get("/v1/inventory").status_code == 200
    assert list((tmp_path / "full" / "metrics").iterdir()) == []


def test_of_a_stream_of_several_customers_each_is_in_the_log():
    facts = _facts(("orders/1", "orders/2"), ("address 1.1.1.1", "user a", "user b"))
    assert facts == {"topics": "orders/1,orders/2", "address": "1.1.1.1", "user": "a,b"}
