"""What we must reach and what we aim at, as ratios to others in the same run, or as plain numbers.

Must not measure or print.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bench.results import Results

Value = Callable[[Results], float | None]


@dataclass(frozen=True)
class Promise:
    """A measure, with the least and the aim. `low` where less is better."""

    measure: str
    value: Value
    least: float
    aim: float
    low: bool = False

    def verdict(self, value: float | None) -> str:
        """Return in a word how a value does."""
        if value is None:
            return "not measured"
        good = [value <= bound if self.low else value >= bound for bound in (self.aim, self.least)]
        return "aim reached" if good[0] else "kept, aim not reached" if good[1] else "**missed**"


def number(name: str, **circumstances: int) -> Value:
    """Our number itself."""
    return lambda results: results.median("petstore", name, **circumstances)


def ratio(name: str, other: str, ours: str | None = None, **circumstances: int) -> Value:
    """Our number divided by another server's."""

    def value(results: Results) -> float | None:
        mine = results.median("petstore", ours or name, **circumstances)
        theirs = results.median(other, name, **circumstances)
        return mine / theirs if mine is not None and theirs else None

    return value


def _capacities(streams: int, nchan: tuple[float, float], limit: tuple[float, float]) -> list[Promise]:
    name = f"capacity, {streams:,} streams"
    one = f"{name}, one change a request"
    return [
        Promise(f"{name}, against nchan", ratio("capacity_per_s", "nchan", streams=streams), *nchan),
        Promise(f"{name}, against the limit", ratio("capacity_per_s", "writer", streams=streams), *limit),
        Promise(f"{one}, against nchan", ratio("one_capacity_per_s", "nchan", streams=streams), *nchan),
        Promise(f"{one}, against the limit", ratio("one_capacity_per_s", "writer", streams=streams), *limit),
    ]


_p99 = ratio("schedule_p99_ms", "writer", streams=1000)

PROMISES = (
    *_capacities(1_000, (1.5, 2.5), (0.9, 1.5)),
    *_capacities(10_000, (1.5, 3.0), (0.8, 1.5)),
    Promise("p99 at 1,000 streams x 10 events/s, against the limit", _p99, 2.0, 1.2, True),
    Promise("CPU per delivery there, against the limit", ratio("cpu_s_per_100k", "writer", streams=1000), 1.6, 1.3, True),
    Promise("KiB per idle stream at 10,000", number("kib_per_stream", streams=10_000), 24, 16, True),
    Promise("idle CPU with 10,000 streams, % of a core", number("idle_cpu_percent", streams=10_000), 4, 2, True),
    Promise("p99 of the first byte, 10,000 at 1,500/s, ms", number("first_byte_p99_ms", streams=10_000), 30, 10, True),
    Promise("connect + first event + close, against queue-per-client Flask", ratio("churn_per_s", "queue-flask"), 1.0, 1.5),
    Promise("the same, kept up for 45 s", ratio("kept_up_per_s", "queue-flask"), 1.0, 1.5),
    Promise("10-event streams/s, durable, against its undurable ones", ratio("short_per_s", "queue-flask"), 0.5, 1.0),
    Promise("p99 of the first recommendation at 100,000 pets, ms", number("first_p99_ms", pets=100_000), 50, 25, True),
    Promise("events/s into the log, one by one", number("append_one_per_s"), 1_500, 3_000),
    Promise("events/s into the log, 1,000 at a time", number("append_bulk_per_s"), 40_000, 100_000),
)
