"""What happens to streams, counted for Prometheus and written to the log, and `GET /metrics`.

Each worker counts in files of a directory that all share, and whichever is asked adds them up. Must not know what an event is
about; labels are few and bounded: no id, no address and no token ever becomes one.
"""

import logging
import os
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from flask import Blueprint, Response
from gevent import get_hub

from petstore.api.operation import Answer, Operation
from petstore.settings import share_counts
from petstore.sse import Silence

blueprint = Blueprint("metrics", __name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

DELAYS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

FILES = ("counter", "histogram", "gauge_livesum", "gauge_livemax")
FILE_BYTES = 1 << 16
"""A worker's counts, one file for each kind, of the size that the library gives them first. Ours never need more."""

logger = logging.getLogger(__name__)


class Metrics:
    """An Observer of streams (see `petstore.sse`) and a Meter of runs (see `petstore.ai`) that counts and logs.

    Making it raises OSError where there is no room to count.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        share_counts(directory)
        _reserve(directory)
        # Only now: the library decides at its import whether processes share their counts.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        own = CollectorRegistry()
        streams = Gauge("petstore_streams_open", "Streams that are open.", ["topic"], registry=own, multiprocess_mode="livesum")
        # Remembered by label: the library's own search for a label costs more than the counting.
        self._open = cache(streams.labels)
        self._opened = cache(Counter("petstore_streams_opened", "Streams begun.", ["topic"], registry=own).labels)
        self._ended = cache(Counter("petstore_streams_ended", "Streams ended, by cause.", ["cause"], registry=own).labels)
        self._refused = cache(Counter("petstore_streams_refused", "Streams refused, by reason.", ["reason"], registry=own).labels)
        self._replays = Counter("petstore_replays", "Streams that began in the past.", registry=own)
        self._gaps = Counter("petstore_gaps", "Gaps that clients were told of.", registry=own)
        self._delivered = Counter("petstore_events_delivered", "Events sent, once for each stream.", registry=own)
        self._delay = Histogram(
            "petstore_delivery_delay_seconds",
            "From an event's commit to the end of the pass that sent it.",
            buckets=DELAYS_S,
            registry=own,
        )
        self._lag = Gauge(
            "petstore_loop_lag_seconds",
            "How late the event loop was, at worst, in the last seconds.",
            registry=own,
            multiprocess_mode="livemax",
        )
        self._tokens = Counter("petstore_tokens", "Tokens that engines made.", ["engine"], registry=own)
        self._unheard = Counter("petstore_tokens_unheard", "Those made while nobody was there.", ["engine"], registry=own)
        self._runs = Counter("petstore_runs_ended", "Runs ended.", ["kind", "status", "engine"], registry=own)

    def opened(self, topics: Sequence[str], holders: Sequence[str], replays: bool, gaps: int) -> None:
        label = _label(topics)
        self._open(label).inc()
        self._opened(label).inc()
        if replays:
            self._replays.inc()
        if gaps:
            self._gaps.inc(gaps)
        if logger.isEnabledFor(logging.INFO):
            logger.info("stream opened", extra={"facts": _facts(topics, holders) | {"gaps": gaps}})

    def ended(self, topics: Sequence[str], holders: Sequence[str], cause: str, duration_s: float, events: int) -> None:
        self._open(_label(topics)).dec()
        self._ended(cause).inc()
        if logger.isEnabledFor(logging.INFO):
            facts = {"cause": cause, "duration_s": round(duration_s, 3), "events": events}
            logger.info("stream ended", extra={"facts": _facts(topics, holders) | facts})

    def refused(self, reason: str) -> None:
        self._refused(reason).inc()
        logger.info("stream refused", extra={"facts": {"reason": reason}})

    def delivered(self, events: int, newest_id: int) -> None:
        self._delivered.inc(events)
        self._delay.observe(max(0.0, time.time() - newest_id / 1e6))

    def lagged(self, lag_s: float) -> None:
        self._lag.set(lag_s)

    def generated(self, engine: str, tokens: int, heard: bool) -> None:
        self._tokens.labels(engine).inc(tokens)
        if not heard:
            self._unheard.labels(engine).inc(tokens)

    def run_ended(self, kind: str, status: str, engine: str) -> None:
        self._runs.labels(kind, status, engine).inc()


class Uncounted(Silence):
    """What takes the place of Metrics where there is no room to count."""

    def generated(self, engine: str, tokens: int, heard: bool) -> None:
        pass

    def run_ended(self, kind: str, status: str, engine: str) -> None:
        pass


@blueprint.get("/metrics")
@Operation("getMetrics", answers={200: Answer(CONTENT_TYPE)})
def get_metrics() -> Response:
    """Return the counts of all workers, in Prometheus's text format."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    # In a thread: workers that have ended leave their counts behind, and to add up hundreds of files takes a while.
    return Response(get_hub().threadpool.apply(generate_latest, (registry,)), content_type=CONTENT_TYPE)


def _reserve(directory: Path) -> None:
    """Take all the room that this process needs to count in.

    The library maps its files to memory and has them grow by themselves: on a disk that is full by then, the next count would
    kill the process with SIGBUS.
    """
    files = [directory / f"{kind}_{os.getpid()}.db" for kind in FILES]
    try:
        for path in files if hasattr(os, "posix_fallocate") else ():
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
    except OSError:
        for path in files:
            path.unlink(missing_ok=True)  # What has no size would be in the way of whoever adds up.
        raise


def forget_worker(directory: Path, pid: int) -> None:
    """Take what a worker that has ended had open out of the sums."""
    # Before the import, as in Metrics: whoever forks the next worker passes on what the library decides here.
    share_counts(directory)
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]


def clear(directory: Path) -> None:
    """Remove the counts of servers that ran before this one."""
    for file in directory.glob("*.db"):
        file.unlink(missing_ok=True)


def _label(topics: Sequence[str]) -> str:
    return topics[0].partition("/")[0] if len(topics) == 1 else "several"


def _facts(topics: Sequence[str], holders: Sequence[str]) -> dict[str, object]:
    facts: dict[str, object] = {"topics": ",".join(topics)}
    for kind, name in (holder.split(" ", 1) for holder in holders):
        facts[kind] = f"{facts[kind]},{name}" if kind in facts else name
    return facts
