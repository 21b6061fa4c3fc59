"""A run of recommendations outlives the connection, and the worker, that asked for it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

from sqlalchemy import insert, text

from petstore.ai.run import runs as run_table
from petstore.shop import new_id
from petstore.sse import Draft, EventLog, Received, Transaction
from tests.ai.model_server import Step, Text, picks
from tests.live.client import Exchange
from tests.live.conftest import Behind
from tests.live.server import DEADLINE_S, Server, wait_until
from tests.live.shop import CUSTOMER, RECOMMENDATIONS, change_many, data, get, recommendations
from tests.live.test_runs import candidates


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


def test_clients_that_ask_while_a_run_goes_on_join_it(behind: Behind):
    all_are_there = threading.Event()

    def rank(request: dict[str, Any]) -> Iterator[Step]:
        first, *others = picks(candidates(request)[:10])
        yield Text(first)
        assert all_are_there.wait(DEADLINE_S)
        yield from map(Text, others)

    server, model = behind(rank)
    with closing(server.open_event_log()) as log, ExitStack() as opened:
        streams = [
            opened.enter_context(Exchange(server.address, RECOMMENDATIONS, connection=server.connect(pid)))
            for pid in server.worker_pids() * 4
        ]
        for stream in streams:
            stream.read_events(1)
        all_are_there.set()
        received = [stream.read_to_end().events for stream in streams]
        assert len(model.calls) == 1
        ((run_id, status),) = runs(log)
        assert received == [recorded(log, run_id)] * 8
    assert status == "COMPLETE"
    assert [event.type for event in received[0] if event.type != "progress"] == ["recommendation"] * 10 + ["complete"]


def test_a_run_whose_client_left_at_once_is_finished_all_the_same(shop: Server):
    with closing(shop.open_event_log()) as log:
        before = len(runs(log))
        stream = Exchange(shop.address, RECOMMENDATIONS, wait=False)
        wait_until(lambda: len(runs(log)) > before, "the run has begun")
        stream.cut()
        run_id = runs(log)[-1][0]
        wait_until(lambda: runs(log)[-1] == (run_id, "COMPLETE"), "it has ended")
        assert [event.type for event in recorded(log, run_id)] == ["recommendation"] * 10 + ["complete"]


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
    with Exchange(server.address, recommendations(whole=True), connection=server.connect(pid)) as answer:
        found: list[dict[str, Any]] = answer.read_to_end().json()["data"]
        return found


def test_a_run_whose_worker_was_killed_is_finished_by_another_and_its_client_gets_each_pick_once(start: Callable[..., Server]):
    server = start(PETSTORE_HEARTBEAT_S=1)
    whole = get(server, recommendations(whole=True))["data"]
    with closing(server.open_event_log()) as log:
        run_id, held = leave(log, whole[:4])
        with Exchange(server.address, RECOMMENDATIONS, {"Last-Event-ID": held}) as stream:
            received = stream.read_to_end().events
        assert received == recorded(log, run_id)[4:]
        assert runs(log)[-1] == (run_id, "COMPLETE")
    assert [event.type for event in received] == ["recommendation"] * 6 + ["complete"]
    assert [data(event) for event in received[:-1]] == whole[4:]


def leave(log: EventLog, picks: list[dict[str, Any]]) -> tuple[str, str]:
    """Leave a run as a worker does that is killed after some picks, and return its id and the last event's.

    A run takes a few milliseconds: to hit one with a real SIGKILL would be luck.
    """
    run_id, now = new_id(), time.time_ns() // 1000
    row = {"id": run_id, "tenant": "", "customer_id": CUSTOMER, "status": "RUNNING", "holder": "somebody who was killed"}
    row |= {"kind": "RECOMMENDATIONS", "engine": "embedded"}
    watched = {"request": {"limit": 10}, "made": len(picks), "lease": 60_000_000, "watched_until": now + 60_000_000}

    def write(transaction: Transaction) -> str:
        transaction.connection.execute(insert(run_table).values(**row, **watched, created_at=now, expires_at=now - 1))
        drafts = [Draft(f"recommendations/{run_id}", "recommendation", pick) for pick in picks]
        return str(transaction.append(drafts)[-1].id)

    return run_id, log.write(write)
