"""Appends to an event log as a worker does: patched by gevent, with a feed that follows. Run as a program of its own.

`python -m bench.append rates DIRECTORY SECONDS`: the rate of commits with one event, and with 1,000, as JSON.
`python -m bench.append topics DATABASE FILE PER_SECOND EVENTS`: one event after another to the topics of FILE, in turn, paced.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import json
import sys
import time
from pathlib import Path

from petstore.migrations import migrate
from petstore.sse import Draft, Feed, SqlEventLog, Transaction

BULK = 1000
TICKS = 100
DATA = {"petId": "019b4127-e295-7be4-976e-b77988a8b015", "oldStock": 100_000, "newStock": 100_001}


def append(log: SqlEventLog, drafts: list[Draft]) -> None:
    """Commit `drafts` in one transaction."""

    def work(transaction: Transaction) -> None:
        transaction.append(drafts)

    log.write(work)


def rate(log: SqlEventLog, events: int, seconds: float) -> float:
    """Return how many events a second are committed, `events` at a time."""
    drafts = [Draft("inventory", "stock-change", DATA)] * events
    begin, done = time.monotonic(), 0
    while time.monotonic() < begin + seconds:
        append(log, drafts)
        done += events
    return done / (time.monotonic() - begin)


def rates(directory: Path, seconds: float) -> dict[str, float]:
    """Measure in a fresh database."""
    path = directory / "petstore.db"
    migrate(path)
    log = SqlEventLog(path)
    Feed(log).start()
    return {"append_one_per_s": rate(log, 1, seconds), "append_bulk_per_s": rate(log, BULK, seconds)}


def pace(database: Path, topics: list[str], per_second: float, events: int) -> None:
    """Append to the topics in turn, in a transaction every hundredth of a second."""
    log = SqlEventLog(database)
    begin, done, tick = time.monotonic(), 0, 0
    while done < events:
        tick += 1
        upto = min(events, int(tick * per_second / TICKS))
        append(log, [Draft(topics[number % len(topics)], "stock-change", DATA) for number in range(done, upto)])
        done = upto
        time.sleep(max(0.0, begin + tick / TICKS - time.monotonic()))
    log.close()


if __name__ == "__main__":
    command, place, *rest = sys.argv[1:]
    if command == "rates":
        json.dump(rates(Path(place), float(rest[0])), sys.stdout)
    else:
        pace(Path(place), Path(rest[0]).read_text().split(), float(rest[1]), int(rest[2]))
