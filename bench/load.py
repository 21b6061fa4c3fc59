"""The load generator (load.c) as an object: commands to it, and its answers. Also the files of requests that it publishes from.

Must not know which server is under load.
"""

import json
import math
import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

BULK = 20.0
"""Requests a second when changes come in bulk: above this rate each carries several events, for every server alike."""

ONE_BY_ONE = math.inf
"""The same when each change is a request of its own, evenly spaced: at no rate does a request carry two."""

Request = tuple[bytes, int]
"""The bytes of a request, and the events that it makes."""


class Load:
    """A running load generator on `core`, with room for `connections`, against a server on `port` of this machine."""

    def __init__(self, program: Path, port: int, key: str, core: int, directory: Path, connections: int) -> None:
        self._directory = directory
        self.held = 0
        """Connections that should be open."""
        # The publisher's time in the data tells the order only as long as one connection publishes.
        publishers = "1" if key == "at" else "8"
        self._child = subprocess.Popen(
            [program, "--port", str(port), "--key", key, "--publishers", publishers, "--max", str(connections + 100)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # Its input ends, and so does it; if it is in the middle of something, it isn't waited for.
        if self._child.stdin:
            self._child.stdin.close()
        self._child.terminate()
        self._child.wait()

    def open(self, count: int, per_second: float, paths: str | Sequence[str]) -> dict[str, Any]:
        """Open `count` more connections, paced, and hold them."""
        self.held += count
        return self._ask(f"open {count} {per_second} {self._spec(paths)}")

    def check(self) -> None:
        """Raise unless all that it holds are open: a server that refuses or drops streams has less to do with the rest."""
        answer = self._ask("count")
        if answer["open"] != self.held:
            raise RuntimeError(f"{answer['open']:,} streams are open, of {self.held:,}")

    def publish(self, requests: Iterable[tuple[int, Request]], expected: int, deadline_s: float, length_s: float) -> dict[str, Any]:
        """Send requests, each at its microsecond of `length_s`, until each connection has got `expected` events."""
        path = self._directory / "requests"
        with path.open("wb") as file:
            for offset_us, (content, events) in requests:
                file.write(b"%d %d %d\n%s" % (offset_us, len(content), events, content))
        return self._ask(f"publish {path} {expected} {deadline_s} {length_s}")

    def expect(self, expected: int, deadline_s: float) -> None:
        """Begin to wait for `expected` events on each connection, which somebody else publishes; `answer` has the result."""
        self._say(f"expect {expected} {deadline_s}")

    def churn(self, parallel: int, seconds: float, events: int, paths: str | Sequence[str]) -> dict[str, Any]:
        """Connect, read `events` events (below 0: that many to the body's end) and close, again and again."""
        return self._ask(f"churn {parallel} {seconds} {events} {self._spec(paths)}")

    def close(self) -> None:
        """Close all connections."""
        self.held = 0
        self._ask("close")

    def answer(self) -> dict[str, Any]:
        """Return the answer to the last command."""
        assert self._child.stdout
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError("the load generator has died")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"the load generator says: {answer['error']}")
        return answer

    def _ask(self, command: str) -> dict[str, Any]:
        self._say(command)
        return self.answer()

    def _say(self, command: str) -> None:
        assert self._child.stdin
        self._child.stdin.write(command + "\n")
        self._child.stdin.flush()

    def _spec(self, paths: str | Sequence[str]) -> str:
        if isinstance(paths, str):
            return paths
        path = self._directory / "paths"
        path.write_text("\n".join(paths) + "\n")
        return f"@{path}"


def spread(rate: float, seconds: float, requests_per_s: float = BULK) -> list[tuple[int, int]]:
    """Return when, in microseconds, how many events are to be published, so that `rate` a second come out evenly."""
    ticks = min(rate, requests_per_s)
    moments = max(1, round(ticks * seconds))
    upto = [round(moment * rate / ticks) for moment in range(moments + 1)]
    return [(round(moment / ticks * 1e6), upto[moment + 1] - upto[moment]) for moment in range(moments)]


def scheduled(publish: Callable[[int], list[Request]], moments: Iterable[tuple[int, int]]) -> list[tuple[int, Request]]:
    """Return the requests that publish so many events at each moment."""
    return [(offset_us, request) for offset_us, events in moments for request in publish(events)]
