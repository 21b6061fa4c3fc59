"""Runs the benchmarks: `make bench` (all) and `make bench-quick` (two minutes). README.md says what is measured and how.

Must not hold a measure itself: it decides what is measured, in which order, and what is kept.
"""

import argparse
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import growth, measures, recommend
from bench.load import ONE_BY_ONE
from bench.machine import machine, versions
from bench.measures import Numbers
from bench.plots import draw
from bench.report import render
from bench.results import Results
from bench.servers import SERVERS, Server
from bench.session import CORES, session

DIRECTORY = Path(__file__).resolve().parent / "results"
FILES = 12_000
"""Open files that a process needs for 10,000 streams."""


THOROUGH = ("petstore", "queue-flask")
"""Whose visits are counted to their end, which takes half a minute: we promise something of ours against theirs."""


FIRST_BEAT_S = 17.0
"""Until everybody has beaten once."""


@dataclass(frozen=True)
class Plan:
    """How much is measured: with so many `streams`, and those that aren't among the quick three only with the `few`.

    At each of `held` streams only memory, and over `idle_s` the cost of holding them. `settle_s` holds two heartbeats of
    everybody's: after the first one a client that has left refuses, at the second that is seen. `kept_up_s` holds three.
    """

    quick: bool
    servers: tuple[str, ...]
    repeats: int
    streams: tuple[int, ...]
    few: tuple[int, ...]
    held: int
    idle_s: float
    steady_s: float
    trial_s: float
    first_per_s: float
    visits_s: float
    settle_s: float
    kept_up_s: float
    append_s: float
    growth: bool
    pets: tuple[int, ...]
    part: str | None = None
    """Measure nothing but what has this circumstance: `streams`, `pets`, `workers` or `topics`."""
    partial: bool = False
    """Some servers or numbers of streams are left out: the results don't take the place of a whole run's."""

    @property
    def name(self) -> str:
        """What the files of its results are called."""
        return "partial" if self.partial else "quick" if self.quick else "latest"


QUICK = Plan(True, ("petstore", "nchan", "writer"), 1, (1000,), (), 3000, 15, 3, 1, 50_000, 0, 0, 0, 1, False, (10_000,))
FULL = Plan(
    False,
    tuple(server.name for server in SERVERS),
    3,
    (100, 1000, 5000, 10_000),
    (1000, 10_000),
    10_000,
    30,
    10,
    3,
    25_000,
    5,
    32,
    45,
    5,
    True,
    (1000, 10_000, 100_000),
)


def measure_streams(kind: type[Server], streams: int, plan: Plan) -> Numbers:
    """Measure a server with so many streams open."""
    with session(kind, streams) as running:
        numbers = measures.connect(running, streams)
        # The greenlet that beats is to be in our memory, and its beginning not in what it costs to hold a stream.
        settle_s = FIRST_BEAT_S if streams == plan.held or kind.name == "petstore" else 1.0
        numbers |= measures.idle(running, streams, plan.idle_s if streams == plan.held else 0, settle_s)
        numbers |= measures.steady(running, 10_000 / streams, plan.steady_s)
        numbers |= measures.capacity(running, streams, plan.trial_s, plan.first_per_s)
        if not plan.quick or streams == 1000:
            one = measures.capacity(running, streams, plan.trial_s, plan.first_per_s, ONE_BY_ONE)
            numbers |= {f"one_{name}": value for name, value in one.items()}
        return numbers


def measure_held(kind: type[Server], plan: Plan) -> Numbers:
    """Measure only what it costs to hold streams."""
    with session(kind, plan.held) as running:
        numbers = measures.connect(running, plan.held)
        # Only ours has a heartbeat to be judged by here; the wait for it is most of the time.
        return numbers | measures.idle(running, plan.held, plan.idle_s if kind.name == "petstore" else 0)


def measure_visits(kind: type[Server], plan: Plan) -> Numbers:
    """Measure streams that come and go."""
    with session(kind, 100) as running:
        thorough = kind.name in THOROUGH
        numbers = measures.short(running, plan.visits_s)
        numbers |= measures.churn(running, plan.visits_s, plan.settle_s if thorough else 0)
        return numbers | (measures.kept_up(running, plan.kept_up_s) if thorough else {})


Job = tuple[str, dict[str, int], Callable[[], Numbers]]


def jobs(plan: Plan, kinds: list[type[Server]]) -> Iterator[Job]:
    """Yield everything that is to be measured once: whose it is, under which circumstances, and how."""
    # Who is compared is measured one after another, as far as can be: the machine is another one a quarter of an hour later.
    for streams in plan.streams:
        for kind in kinds:
            if kind.name in QUICK.servers or streams in plan.few:
                yield kind.name, {"streams": streams}, partial(measure_streams, kind, streams, plan)
    for kind in kinds:
        if plan.held not in plan.streams and plan.held not in plan.few:
            yield kind.name, {"streams": plan.held}, partial(measure_held, kind, plan)
        if plan.visits_s:
            yield kind.name, {}, partial(measure_visits, kind, plan)
    if any(kind.name == "petstore" for kind in kinds):
        yield "petstore", {}, partial(growth.append, plan.append_s)
        for pets in plan.pets:
            yield "petstore", {"pets": pets}, partial(recommend.recommend, pets, 30 if plan.quick else 200, plan.steady_s)
        for workers in (1, 2, 4) if plan.growth else ():
            yield "petstore", {"workers": workers}, partial(growth.workers, workers, 1000, plan.trial_s)
        for topics in (1, 100, 10_000) if plan.growth else ():
            yield "petstore", {"topics": topics}, partial(growth.topics, topics)


def run(plan: Plan, results: Results) -> None:
    """Measure all, in rounds, so that a bad minute of the machine meets everybody alike."""
    kinds = [kind for kind in SERVERS if kind.name in plan.servers]
    results.missing |= {kind.name: reason for kind in kinds if (reason := kind.missing())}
    present = [kind for kind in kinds if kind.name not in results.missing]
    for _ in range(plan.repeats):
        for server, circumstances, measure in jobs(plan, present):
            if plan.part and plan.part not in circumstances:
                continue
            shown = " ".join(f"{value:,} {name}" for name, value in circumstances.items())
            begin = time.monotonic()
            try:
                results.add(server, measure(), **circumstances)
            except subprocess.CalledProcessError as error:
                results.failed[f"{server} {shown}"] = f"{error}: {(error.stderr or b'').decode()[-500:]}"
            except (RuntimeError, OSError) as error:
                results.failed[f"{server} {shown}"] = str(error)
            print(f"{time.monotonic() - begin:6.1f} s  {server} {shown}", file=sys.stderr, flush=True)
        save(results, plan)


def save(results: Results, plan: Plan) -> str:
    """Write JSON, table and plots, and return the table. What was measured of one part only (`--part`) is kept nowhere."""
    text = render(results)
    if plan.part:
        return text
    results.save(DIRECTORY / f"{'' if plan.name == 'latest' else f'{plan.name}-'}{results.when[:10]}.json")
    plots = draw(results, DIRECTORY, plan.name)
    (DIRECTORY / f"{plan.name}.md").write_text(text + "".join(f"\n![{plot.stem}]({plot.name})\n" for plot in plots))
    return text


def main() -> None:
    """Read the command line, raise the limit of open files, run."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes: us, nchan and the limit")
    parser.add_argument("--only", help="these servers, separated by commas: " + ", ".join(kind.name for kind in SERVERS))
    parser.add_argument("--part", choices=("streams", "pets", "workers", "topics"), help="only what is measured for each of these")
    parser.add_argument("--streams", help="these numbers of streams, separated by commas")
    parser.add_argument("--repeats", type=int, help="rounds, of which the medians are shown")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    changes = {
        "servers": options.only and tuple(options.only.split(",")),
        "streams": options.streams and tuple(map(int, options.streams.split(","))),
        "few": options.streams and tuple(map(int, options.streams.split(","))),
        "repeats": options.repeats,
        "part": options.part,
        "partial": bool(options.only or options.streams),
    }
    plan = Plan(**{name: changes.get(name) or value for name, value in vars(plan).items()})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < FILES:
        sys.exit(f"{FILES} open files are needed and {hard} are allowed: raise the hard limit (ulimit -Hn)")
    if len(CORES) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    # By an exit the servers are ended; by the signal itself they would be left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = Results(plan.quick, machine(), versions())
    run(plan, results)
    print(save(results, plan))


if __name__ == "__main__":
    main()
