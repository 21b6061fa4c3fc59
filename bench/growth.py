"""Measures of ours alone: what a delivery costs as topics and workers grow, and how fast the log takes events.

Must not be part of a comparison: the peers have nothing like it.
"""

import http.client
import json
import subprocess
import tempfile

from bench.measures import Numbers, capacity, connect, steady, wrong
from bench.servers import OURS, ROOT, Petstore
from bench.session import LOAD_CORE, SERVER_CORE, Session, session

TOPIC_EVENTS = 10_000
TOPIC_EVENTS_PER_S = 1000.0


def append(seconds: float) -> Numbers:
    """Measure the log alone: events a second, committed one by one and 1,000 at a time, in a process like a worker."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        command = ["taskset", "-c", str(SERVER_CORE), str(OURS / "python"), "-m", "bench.append", "rates", directory, str(seconds)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        numbers: Numbers = json.loads(done.stdout)
        return numbers


def workers(count: int, streams: int, trial_s: float) -> Numbers:
    """Measure with so many workers, which share the one core: what one more of them costs."""
    kind = type("PetstoreWorkers", (Petstore,), {"workers": count})
    with session(kind, streams) as running:
        connect(running, streams)
        numbers = steady(running, 10_000 / streams, trial_s)
        return {"workers": count} | numbers | capacity(running, streams, trial_s, 100_000)


def topics(count: int) -> Numbers:
    """Hold one stream on each of so many orders, append to their topics in turn, and tell what an event costs."""
    with session(Petstore, count) as running:
        paths, names = _place_orders(running, count)
        running.load.open(count, 500, paths)
        running.load.check()
        (running.directory / "topics").write_text("\n".join(names))
        before = running.process.cpu_s()
        running.load.expect(TOPIC_EVENTS // count, TOPIC_EVENTS / TOPIC_EVENTS_PER_S + 20)
        pace = [str(running.server.database), str(running.directory / "topics"), str(TOPIC_EVENTS_PER_S), str(TOPIC_EVENTS)]  # type: ignore[attr-defined]
        command = ["taskset", "-c", str(LOAD_CORE), str(OURS / "python"), "-m", "bench.append", "topics", *pace]
        subprocess.run(command, cwd=ROOT, check=True)
        answer = running.load.answer()
        used = running.process.cpu_s() - before
        return {
            "topics": count,
            "cpu_s_per_100k": used / max(1, answer["deliveries"]) * 100_000,
            "p99_ms": answer["byId"]["p99"] / 1000,
            "wrong": wrong(answer),
        }


def _place_orders(running: Session, count: int) -> tuple[list[str], list[str]]:
    """Place orders through the API and return the paths of their streams and their topics."""
    connection = http.client.HTTPConnection("127.0.0.1", running.server.port)
    (request, _) = running.server.publish(72)[0]
    # First a stock from which so many can be sold.
    connection.request("PATCH", "/v1/inventory", request.partition(b"\r\n\r\n")[2], running.server.headers)  # type: ignore[attr-defined]
    connection.getresponse().read()
    paths, names = [], []
    headers = {"Content-Type": "application/json"}  # Guests' orders: one customer may not have so many streams.
    for _ in range(count):
        connection.request("POST", "/v1/orders", json.dumps({"petId": running.server.pets[0]}), headers)  # type: ignore[attr-defined]
        order = json.load(connection.getresponse())
        paths.append(order["links"]["statusStream"].removeprefix(f"http://127.0.0.1:{running.server.port}"))
        names.append(f"orders/{order['id']}")
    connection.close()
    return paths, names
