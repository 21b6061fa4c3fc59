"""The measures. Each takes a session and returns flat numbers, whose names say their units.

Must not know which server is measured, nor what is done with the numbers.
"""

import time
from typing import Any

from bench.load import BULK, scheduled, spread
from bench.ramp import climb
from bench.session import Session

Numbers = dict[str, Any]

CONNECT_PER_S = 1500
SUSTAINED_P99_MS = 250.0
MOST_PER_S = 8_000_000
"""Deliveries a second at which the ramp ends: beyond it the load generator would be what is measured."""

QUIET_S = 1.0
"""Nothing is late any more when nothing has come for so long."""

MOST_RESTS = 30
MORE_THAN_COME = 10**9


def connect(session: Session, streams: int) -> Numbers:
    """Open so many streams at 1,500 a second and hold them; the time to the first byte counts from when each was due."""
    first = session.load.open(streams, CONNECT_PER_S, session.server.stream)["firstByte"]
    session.load.check()
    return {"first_byte_p50_ms": first["p50"] / 1000, "first_byte_p99_ms": first["p99"] / 1000}


def idle(session: Session, streams: int, seconds: float, settle_s: float = 1.0) -> Numbers:
    """Measure memory for each open stream and, over so many seconds, what it costs to hold them; 15 s hold one heartbeat each."""
    time.sleep(settle_s)
    session.load.check()
    before = session.process.cpu_s()
    time.sleep(seconds)
    used = session.process.cpu_s() - before
    session.load.check()
    kib = session.process.memory_kib() - session.bare_kib
    return {"kib_per_stream": kib / streams} | ({"idle_cpu_percent": 100 * used / seconds} if seconds else {})


def steady(session: Session, events_per_s: float, seconds: float) -> Numbers:
    """Deliver at a rate that everybody manages: the delay, and the CPU time for 100,000 deliveries, publishing included."""
    before = session.process.cpu_s()
    answer = _publish(session, events_per_s, seconds)
    used = session.process.cpu_s() - before
    return _delays(answer) | {"cpu_s_per_100k": used / max(1, answer["deliveries"]) * 100_000, "wrong": wrong(answer)}


def capacity(session: Session, streams: int, seconds: float, first: float, requests_per_s: float = BULK) -> Numbers:
    """Ramp the rate of publishing from `first` deliveries a second until no more comes out (see ramp.py)."""
    trials: list[Numbers] = []

    def works(offered: float) -> bool:
        """Try a rate, and return whether a higher one may bring more."""
        best = max((trial["per_s"] for trial in trials if trial["offered_per_s"] < offered and not trial["wrong"]), default=0.0)
        trials.append(_trial(session, streams, offered, seconds, requests_per_s))
        per_s, wrong = trials[-1]["per_s"], trials[-1]["wrong"]
        # A server that joins what waits delivers more the more is offered, long after it is late.
        return not wrong and (per_s > 0.9 * offered or per_s > 1.1 * best)

    at_most = climb(works, first, MOST_PER_S)
    whole = [trial for trial in trials if not trial["wrong"]]
    best = max(whole, key=lambda trial: trial["per_s"], default={"per_s": 0.0, "load_busy": 0.0})
    prompt = (trial["per_s"] for trial in whole if trial["schedule_p99_ms"] < SUSTAINED_P99_MS)
    return {
        "capacity_per_s": best["per_s"],
        "sustained_per_s": max(prompt, default=0.0),
        "load_busy_at_capacity": best["load_busy"],
        "ramp_ended_at_most": int(at_most),
        "trials": trials,
    }


def _trial(session: Session, streams: int, offered: float, seconds: float, requests_per_s: float) -> Numbers:
    answer = _publish(session, offered / streams, seconds, requests_per_s)
    return _delays(answer) | {
        "offered_per_s": offered,
        "per_s": answer["perSecond"],
        "load_busy": answer["loadBusy"],
        "wrong": wrong(answer),
    }


def _delays(answer: Numbers) -> Numbers:
    """Return the delays from when an event was due, which is the same for all, and from its id; nchan's are from its sending."""
    starts = {"schedule_": "bySchedule", "": "byId"}
    return {f"{name}{p}_ms": answer[start][p] / 1000 for name, start in starts.items() for p in ("p50", "p99")}


def _publish(session: Session, events_per_s: float, seconds: float, requests_per_s: float = BULK) -> Numbers:
    session.load.check()
    requests = scheduled(session.server.publish, spread(events_per_s, seconds, requests_per_s))
    expected = sum(events for _, (_, events) in requests)
    # As long as so many events take at this rate: a little more or less than asked for, where there are only a few.
    length_s = expected / events_per_s
    # Somebody who only needs four times as long is slow; somebody who needs longer has lost events.
    answer = session.load.publish(requests, expected, 4 * length_s + 5, length_s)
    if not session.process.alive:
        raise RuntimeError(f"the server has died: {session.process.log.read_text()[-500:]}")
    if answer["lost"]:
        _rest(session)
    if answer["dropped"]:
        _connect_again(session)
    return answer


def _connect_again(session: Session) -> None:
    """Have all streams open again after a trial in which some were dropped, which has failed by that."""
    streams = session.load.held
    session.load.close()
    connect(session, streams)


def _rest(session: Session) -> None:
    """Let come what was given up as lost and is only late: the next trial would take it for its own, and fail."""
    for _ in range(MOST_RESTS):
        session.load.expect(MORE_THAN_COME, QUIET_S)
        if not session.load.answer()["deliveries"]:
            return


def wrong(answer: Numbers) -> int:
    """Return how many deliveries were lost, doubled, out of order or to nobody, and requests not taken, together."""
    kinds = ("lost", "doubled", "reordered", "unequal", "dropped", "refused")
    return sum(int(answer[kind]) for kind in kinds) + int(answer["requests"] - answer["accepted"])


def churn(session: Session, seconds: float, settle_s: float, parallel: int = 32) -> Numbers:
    """Connect, read the first event and close, `parallel` at a time; then wait until the server has let go of them all.

    A server that learns only from a heartbeat's failure who has left pays for the end of a visit later, if anybody looks.
    """
    path, before = session.server.hello(), session.process.cpu_s()
    answer = session.load.churn(parallel, seconds, 1, path)
    numbers = _visits(answer, "churn")
    visits, grown = max(1, answer["visit"]["count"]), session.process.memory_kib() - session.bare_kib
    if settle_s:
        time.sleep(settle_s)
        numbers |= {"churn_cpu_us": 1e6 * (session.process.cpu_s() - before) / visits, "churn_grown_mib": grown / 1024}
    return numbers


def kept_up(session: Session, seconds: float, parallel: int = 32) -> Numbers:
    """Visit as `churn` does, for so long that every server also has to end what it has begun."""
    return _visits(session.load.churn(parallel, seconds, 1, session.server.hello()), "kept_up")


def short(session: Session, seconds: float) -> Numbers:
    """Read streams of ten events and an end, each from its connecting to its end, as many at a time as there are customers."""
    paths = session.server.short
    if not paths:
        return {}
    return _visits(session.load.churn(12, seconds, -11, list(paths)), "short")


def _visits(answer: Numbers, name: str) -> Numbers:
    return {
        f"{name}_per_s": answer["perSecond"],
        f"{name}_p99_ms": answer["visit"]["p99"] / 1000,
        f"{name}_failed": answer["failed"],
    }
