"""The results as plots, in PNG files. Must not measure."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")

from matplotlib import pyplot

from bench.results import Results
from bench.servers import SERVERS

PLOTS = (
    ("one_capacity_per_s", "one-capacity-per-s", "deliveries a second, one change a request"),
    ("capacity_per_s", "capacity-per-s", "deliveries a second, changes in bulk"),
    ("schedule_p99_ms", "p99-ms", "p99 from the moment due, at 10,000 deliveries a second, ms"),
    ("memory_mib", "memory-mib", "memory for idle streams, MiB"),
)
"""A number, what its file is called, and its axis."""


def draw(results: Results, directory: Path, name: str) -> list[Path]:
    """Draw what was measured at more than one number of streams, and return the files."""
    paths = []
    for number, file, label in PLOTS:
        figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
        for server in SERVERS:
            points = [(streams, _value(results, server.name, number, streams)) for streams in results.circumstances("streams")]
            known = [(streams, value) for streams, value in points if value]
            if known:
                axes.plot(
                    *zip(*known, strict=True), marker="o", linewidth=2.5 if server.name == "petstore" else 1.2, label=server.title
                )
        axes.set(xlabel="streams", ylabel=label, xscale="log", yscale="log")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        paths.append(directory / f"{name}-{file}.png")
        figure.savefig(paths[-1], dpi=110)
        pyplot.close(figure)
    return paths


def _value(results: Results, server: str, number: str, streams: int) -> float | None:
    if number != "memory_mib":
        return results.median(server, number, streams=streams)
    kib = results.median(server, "kib_per_stream", streams=streams)
    return None if kib is None else kib * streams / 1024
