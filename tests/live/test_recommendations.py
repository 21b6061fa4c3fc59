"""A run of recommendations outlives the connection, and the worker, that asked for it."""

import random
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from sqlalchemy import text

from petstore.sse import EventLog, Received
from tests.live.client import Exchange
from tests.live.server import Server, wait_until
from tests.live.shop import RECOMMENDATIONS, change_many, get


def runs(log: EventLog) -> list[tuple[str, str]]:
    """Return the id and the status of every run, oldest first."""
    query = text("SELECT id, status FROM runs ORDER BY created_at")
    return [(row.id, row.status) for row in log.query(lambda connection: connection.execute(query).all())]


def recorded(log: EventLog, run_id: str) -> list[Received]:
    """Return the events of a run as a client must have them."""
    return [Received(event.type, event.data, str(event.id)) for event in log.read([f"recommendations/{run_id}"], 0, 100)]


def test_a_cut_client_gets_the_rest_of_the_same_run_from_whichever_worker_and_no_second_one_starts(shop: Server):
    workers = shop.worker_pids()
    with closing(shop.open_event_log()) as log:
        for received in range(1, 11):
            before = len(runs(log))
            with Exchange(shop.address, RECOMMENDATIONS, connection=shop.connect(workers[received % 2])) as stream:
                events = stream.read_events(received)
                stream.cut()
            headers = {"Last-Event-ID": events[-1].last_event_id}
            with Exchange(shop.address, RECOMMENDATIONS, headers, connection=shop.connect(workers[(received + 1) % 2])) as stream:
                events += stream.read_to_end().events
            assert len(runs(log)) == before + 1
            assert events == recorded(log, runs(log)[-1][0])
            assert [event.type for event in events] == ["recommendation"] * 10 + ["complete"]


def test_clients_that_ask_while_a_run_goes_on_join_it(shop: Server):
    with closing(shop.open_event_log()) as log:
        streams = [Exchange(shop.address, RECOMMENDATIONS) for _ in range(8)]
        events = [stream.read_to_end().events for stream in streams]
        for stream in streams:
            stream.close()
        recent = [recorded(log, run_id) for run_id, _ in runs(log)[-8:]]
    for received in events:
        assert received in recent


def test_what_is_sold_out_is_recommended_by_no_worker_from_that_moment_on(shop: Server):
    workers = shop.worker_pids()
    for turn in range(8):
        before = [pick["petId"] for pick in recommended(shop, workers[turn % 2])]
        change_many(shop, [{"petId": pet_id, "stock": 0} for pet_id in before])
        after = [pick["petId"] for pick in recommended(shop, workers[turn // 2 % 2])]
        change_many(shop, [{"petId": pet_id, "stock": 5} for pet_id in before])
        assert len(before) == len(after) == 10
        assert not set(before) & set(after)


def recommended(server: Server, pid: int) -> list[dict[str, Any]]:
    """Return the recommendations that this worker makes."""
    with Exchange(server.address, RECOMMENDATIONS.replace("/stream", ""), connection=server.connect(pid)) as answer:
        found: list[dict[str, Any]] = answer.read_to_end().json()["data"]
        return found


def test_a_run_whose_worker_is_killed_is_finished_by_another_and_its_client_gets_each_pick_once(start: Callable[..., Server]):
    server = start(PETSTORE_HEARTBEAT_S=1)
    with closing(server.open_event_log()) as log:
        received, run_id = cut_by_a_kill(server, log)
        held = {"Last-Event-ID": received[-1].last_event_id} if received else {}
        with Exchange(server.address, RECOMMENDATIONS, held) as stream:
            received += stream.read_to_end().events
        assert received == recorded(log, run_id)
        assert runs(log)[-1] == (run_id, "COMPLETE")
    assert [event.type for event in received] == ["recommendation"] * 10 + ["complete"]
    picks = [event.data for event in received[:-1]]
    assert len(set(picks)) == 10
    whole = get(server, "/v1/pets/recommendations?userId=user-456")
    assert len(whole["data"]) == 10


def cut_by_a_kill(server: Server, log: EventLog) -> tuple[list[Received], str]:
    """Kill a worker in the middle of a run, and return what its client had by then, and the run's id.

    A run takes milliseconds, so it takes some tries to hit one.
    """
    for _ in range(50):
        known = len(runs(log))
        pid = random.choice(server.worker_pids())
        with Exchange(server.address, RECOMMENDATIONS, connection=server.connect(pid), wait=False) as stream:
            wait_until(lambda: len(runs(log)) > known, "the run has begun")  # noqa: B023
            server.kill_worker(pid)
            with suppress(ConnectionError):
                stream.read_head().read_to_end()
        run_id, status = runs(log)[-1]
        if status == "RUNNING":
            return stream.events, run_id
        wait_until(lambda: len(server.worker_pids()) == 2, "the worker is replaced")
    raise AssertionError("no run was hit")
