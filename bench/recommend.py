"""Recommendations under measure: how soon the first and the tenth come, and what the other streams feel of it.

Must not be part of a comparison: the peers have nothing like it.
"""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.measures import Numbers, connect, steady
from bench.servers import Petstore
from bench.session import Session, session

STREAMS = 1000
EVENTS_PER_S = 10.0
VISITS_PER_S = 10.0
"""Recommendations asked for while the other streams are measured."""


def recommend(pets: int, visits: int, steady_s: float) -> Numbers:
    """Measure in a shop of so many pets, with 1,000 streams of its inventory open."""
    kind = type("PetstoreOfManyPets", (Petstore,), {"pet_count": pets})
    with session(kind, STREAMS) as running:
        port, paths = running.server.port, list(running.server.short)
        # The first one waits for the index, if the server has just started.
        cold_ms = visit(port, paths[0])[0] * 1000
        connect(running, STREAMS)
        before = running.process.cpu_s()
        times = [visit(port, paths[number % len(paths)]) for number in range(visits)]
        used = running.process.cpu_s() - before
        without = steady(running, EVENTS_PER_S, steady_s)
        with visitors(running, paths) as more:
            beside = steady(running, EVENTS_PER_S, steady_s)
        return {
            "pets": pets,
            "cold_ms": cold_ms,
            "memory_mib": running.process.memory_kib() / 1024,
            "cpu_ms_per_run": used * 1000 / visits,
            **spread_of("first", [first for first, _ in times]),
            **spread_of("ten", [last for _, last in times]),
            **spread_of("busy_first", [first for first, _ in more]),
            "schedule_p99_without_ms": without["schedule_p99_ms"],
            "schedule_p99_beside_ms": beside["schedule_p99_ms"],
            "wrong": without["wrong"] + beside["wrong"],
        }


def spread_of(name: str, seconds: Sequence[float]) -> Numbers:
    """Return the median and the 99th percentile in milliseconds."""
    ordered = sorted(seconds)
    return {
        f"{name}_p50_ms": ordered[len(ordered) // 2] * 1000,
        f"{name}_p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
    }


@contextmanager
def visitors(running: Session, paths: Sequence[str]) -> Iterator[list[tuple[float, float]]]:
    """Ask for recommendations at a steady rate, until the end."""
    times: list[tuple[float, float]] = []
    ended = threading.Event()

    def ask() -> None:
        number = 0
        while not ended.wait(1 / VISITS_PER_S):
            times.append(visit(running.server.port, paths[number % len(paths)]))
            number += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield times
    finally:
        ended.set()
        thread.join()


def visit(port: int, path: str) -> tuple[float, float]:
    """Read a whole stream, and return the seconds from the request to the first recommendation and to the last."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        begun = time.monotonic()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode())
        received, first = b"", 0.0
        while b"event: complete" not in received:
            received += (some := connection.recv(65536))
            if not some:
                raise RuntimeError(f"the stream broke off: {received[-200:]!r}")
            if not first and b"event: recommendation" in received:
                first = time.monotonic() - begun
        last = time.monotonic() - begun
    if received.count(b"event: recommendation") != 10:
        raise RuntimeError(f"there were not ten recommendations: {received[-200:]!r}")
    return first, last
