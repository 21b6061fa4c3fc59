"""The results as Markdown: the servers side by side, the promises, and our own cost as the work grows.

Must not measure, and leaves nothing out in silence: what wasn't measured is a dash, and what is missing is named.
"""

from collections.abc import Sequence

from bench.promises import PROMISES
from bench.results import Results
from bench.servers import SERVERS

Row = Sequence[str]


def render(results: Results) -> str:
    """Return the whole report."""
    parts = [_heading(results)]
    parts += [_side_by_side(results, streams) for streams in results.circumstances("streams")]
    parts += [_visits(results), _recommendations(results), _promises(results), _growth(results), _absent(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(results: Results) -> str:
    machine, kind = results.machine, "quick run, one of each" if results.quick else "medians of the runs"
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return (
        f"# Fan-out, measured\n\n{results.when}, {kind}. {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}. Each server on one core, the load on another.\n\n{versions}\n\n"
        "Read ratios, not numbers: the machine may be shared. `README.md` says what each column means."
    )


def _side_by_side(results: Results, streams: int) -> str:
    header = (
        "server", "capacity / sustained, k/s", "one change a request, k/s", "CPU s per 100k", "p50 / p99 ms",
        "from the id, ms", "KiB per stream", "idle CPU %", "first byte p99 ms",
    )  # fmt: skip
    rows = []
    for server in SERVERS:
        cell = _Cells(results, server.name, streams)
        if results.median(server.name, "kib_per_stream", streams=streams) is None:
            continue
        rows.append(
            (
                server.title,
                cell.capacity("") + " / " + cell("sustained_per_s", 1e-3, ".0f"),
                cell.capacity("one_") + " / " + cell("one_sustained_per_s", 1e-3, ".0f"),
                cell("cpu_s_per_100k", 1, ".2f"),
                cell.delays("schedule_"),
                # Who has ids of another kind (`at`) is timed from its sending, which is something else.
                cell.delays("") if server.key == "id" else "-",
                cell("kib_per_stream", 1, ".1f"),
                cell("idle_cpu_percent", 1, ".1f"),
                cell("first_byte_p99_ms", 1, ".1f"),
            )
        )
    return f"## {streams:,} streams\n\n" + table(header, rows)


class _Cells:
    """Numbers of one server as text. One whose measuring went wrong is marked."""

    def __init__(self, results: Results, server: str, streams: int) -> None:
        self._results = results
        self._server = server
        self._streams = streams

    def __call__(self, name: str, factor: float, form: str) -> str:
        value = self._number(name)
        return "-" if value is None else format(value * factor, form)

    def capacity(self, kind: str) -> str:
        """Return a capacity; with a plus where the load generator had no time left or the ramp ended at the most it offers."""
        busy = (self._number(f"{kind}load_busy_at_capacity") or 0) > 0.97
        more = busy or (self._number(f"{kind}ramp_ended_at_most") or 0) >= 0.5
        return self(f"{kind}capacity_per_s", 1e-3, ".0f") + ("+" if more else "")

    def delays(self, start: str) -> str:
        """Return median and 99th percentile, counted from this start."""
        wrong = " (lost some)" if self._number("wrong") else ""
        return self(f"{start}p50_ms", 1, ".1f") + " / " + self(f"{start}p99_ms", 1, ".1f") + wrong

    def _number(self, name: str) -> float | None:
        return self._results.median(self._server, name, streams=self._streams)


def _visits(results: Results) -> str:
    names = (
        "churn_per_s", "churn_failed", "churn_cpu_us", "churn_grown_mib", "kept_up_per_s", "kept_up_failed",
        "short_per_s", "short_failed",
    )  # fmt: skip
    rows = []
    for server in SERVERS:
        values = [results.median(server.name, name) for name in names]
        if values[0] is not None:
            rows.append((server.title, *("-" if value is None else f"{value:,.0f}" for value in values)))
    header = (
        "server", "connect + first event + close /s", "failed", "CPU us each, its end included", "MiB that they left",
        "kept up for 45 s, /s", "failed", "10-event streams /s", "failed",
    )  # fmt: skip
    return "## Short visits\n\n" + table(header, rows) if rows else ""


def _recommendations(results: Results) -> str:
    rows = []
    for pets in results.circumstances("pets"):

        def pair(one: str, other: str, pets: int = pets) -> str:
            values = [results.median("petstore", name, pets=pets) for name in (one, other)]
            return " / ".join("-" if value is None else f"{value:,.1f}" for value in values)

        rows.append(
            (
                f"{pets:,}",
                pair("first_p50_ms", "first_p99_ms"),
                pair("ten_p50_ms", "ten_p99_ms"),
                pair("schedule_p99_without_ms", "schedule_p99_beside_ms"),
                *(
                    f"{results.median('petstore', name, pets=pets) or 0:,.1f}"
                    for name in ("cpu_ms_per_run", "cold_ms", "memory_mib")
                ),
            )
        )
    header = (
        "pets", "first, p50 / p99 ms", "all ten, p50 / p99 ms", "p99 of 1,000 other streams, without / beside 10 runs/s, ms",
        "CPU ms a run", "first after a start, ms", "server MiB",
    )  # fmt: skip
    return "## Recommendations\n\n" + table(header, rows) if rows else ""


def _promises(results: Results) -> str:
    rows = []
    for promise in PROMISES:
        value = promise.value(results)
        bound = "at most" if promise.low else "at least"
        shown = "-" if value is None else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
        rows.append((promise.measure, shown, f"{bound} {promise.least:,g}", f"{promise.aim:,g}", promise.verdict(value)))
    return "## What we promise\n\n" + table(("measure", "measured", "promise", "aim", ""), rows)


def _growth(results: Results) -> str:
    rows = []
    for kind in ("workers", "topics"):
        for count in results.circumstances(kind):
            # Topics are written to by a process of its own, which keeps no schedule that the load generator knows.
            p99 = "schedule_p99_ms" if kind == "workers" else "p99_ms"
            found = [results.median("petstore", name, **{kind: count}) for name in ("cpu_s_per_100k", p99, "capacity_per_s")]
            rows.append((f"{count:,} {kind}", *("-" if value is None else f"{value:,.2f}" for value in found)))
    header = ("petstore with", "CPU s per 100k deliveries", "p99 ms (of topics from the id)", "capacity /s")
    return "## As the work grows\n\n" + table(header, rows) if rows else ""


def _absent(results: Results) -> str:
    lines = [f"- **{server} is missing**: {reason}." for server, reason in results.missing.items()]
    lines += [f"- **{server} failed**: {reason}" for server, reason in results.failed.items()]
    return "## Not measured\n\n" + "\n".join(lines) if lines else ""


def table(header: Row, rows: Sequence[Row]) -> str:
    """Return a Markdown table, aligned to be read as text too."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Row) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])
