"""What was measured, run by run, and the medians of it. Written as JSON, from which table and plots are made.

Must not measure.
"""

import json
import statistics
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Numbers = dict[str, Any]


@dataclass
class Results:
    """All runs. A run is flat: server, streams and numbers. `missing` and `failed` say what isn't here, and why."""

    quick: bool
    machine: Numbers
    versions: dict[str, str]
    when: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    runs: list[Numbers] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, server: str, numbers: Numbers, **circumstances: int) -> None:
        """Keep a run."""
        self.runs.append({"server": server, **circumstances, **numbers})

    def median(self, server: str, number: str, **circumstances: int) -> float | None:
        """Return the median of a number over the runs of a server under these circumstances; None when it wasn't measured."""
        values = [run[number] for run in self._find(server, circumstances) if number in run]
        return statistics.median(values) if values else None

    def spread(self, server: str, number: str, **circumstances: int) -> float:
        """Return how far apart the runs are: the largest less the smallest, as a share of the median."""
        values = [run[number] for run in self._find(server, circumstances) if number in run]
        middle = statistics.median(values) if values else 0
        return (max(values) - min(values)) / middle if middle else 0.0

    def _find(self, server: str, circumstances: dict[str, int]) -> list[Numbers]:
        wanted = {"server": server, **circumstances}
        return [run for run in self.runs if all(run.get(name) == value for name, value in wanted.items())]

    def circumstances(self, name: str, server: str | None = None) -> list[int]:
        """Return the values of a circumstance (`streams`, `workers`, `topics`) that occur, in order."""
        return sorted({run[name] for run in self.runs if name in run and server in (None, run["server"])})

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")
