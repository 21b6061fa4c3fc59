"""Several workers are one shop: what one of them commits is on the streams of all, and nothing is sold twice."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.live.client import Exchange
from tests.live.server import Server
from tests.live.shop import BUDDY, FLUFFY, INVENTORY, JSON, STAFF, data, new_stock, stock_of, topics

USUAL = JSON | STAFF


def ask_worker(server: Server, pid: int, method: str, target: str, body: object = None) -> Exchange:
    """Send a request to one worker and read the whole answer."""
    content = b"" if body is None else json.dumps(body).encode()
    with Exchange(server.address, target, USUAL, method=method, content=content, connection=server.connect(pid)) as exchange:
        return exchange.read_to_end()


def stream_of(server: Server, pid: int, target: str) -> Exchange:
    """Open a stream at one worker and wait until it has begun."""
    stream = Exchange(server.address, target, connection=server.connect(pid))
    assert stream.status == 200
    assert server.worker_of(stream.socket) == pid
    return stream.read_until(lambda: stream.chunks)


@pytest.mark.parametrize("direction", ["older to younger", "younger to older"])
def test_an_order_placed_and_paid_at_one_worker_is_seen_on_the_streams_of_the_other(shop: Server, direction: str):
    here, there = sorted(shop.worker_pids(), reverse=direction == "younger to older")
    with stream_of(shop, there, f"{INVENTORY}?petId={FLUFFY}") as inventory:
        stock = stock_of(shop, FLUFFY)
        order = ask_worker(shop, here, "POST", "/v1/orders", {"petId": FLUFFY, "quantity": 3}).json()
        assert data(inventory.read_events(1)[0]) == {"petId": FLUFFY, "oldStock": stock, "newStock": stock - 3}
    with (
        stream_of(shop, there, order["links"]["statusStream"]) as status,
        stream_of(shop, there, topics(order)) as both,
    ):
        assert status.events == both.events == []
        assert ask_worker(shop, here, "POST", order["links"]["payment"]).status == 201
        told = [data(event)["status"] for event in status.read_to_end().events]
        assert told == ["payment_processing", "payment_confirmed", "preparing_shipment", "shipped"]
        assert [data(event)["status"] for event in both.read_to_end().events] == told


def test_changes_of_the_inventory_reach_the_streams_of_every_worker_in_the_same_order(shop: Server):
    workers = shop.worker_pids()
    with ExitStack() as stack:
        streams = [stack.enter_context(stream_of(shop, pid, INVENTORY)) for pid in workers for _ in range(3)]
        for number in range(20):
            change = {"stock": new_stock(), "price": f"{1000 + number}.00"}
            assert ask_worker(shop, workers[number % 2], "PATCH", f"/v1/inventory/{BUDDY}", change).status == 200
        first, *others = [stream.read_events(40) for stream in streams]
    assert [int(event.last_event_id) for event in first] == sorted({int(event.last_event_id) for event in first})
    for other in others:
        assert other == first


def test_an_order_cancelled_at_one_worker_ends_the_stream_of_the_other(shop: Server):
    here, there = shop.worker_pids()
    order = ask_worker(shop, here, "POST", "/v1/orders", {"petId": FLUFFY}).json()
    with stream_of(shop, there, order["links"]["statusStream"]) as stream:
        assert ask_worker(shop, here, "DELETE", order["links"]["self"]).status == 204
        assert [data(event)["status"] for event in stream.read_to_end().events] == ["cancelled"]


def test_of_two_buyers_of_the_last_one_one_gets_it_and_the_other_a_problem(start: Callable[..., Server]):
    server = start()
    workers = server.worker_pids()
    for _ in range(5):
        assert ask_worker(server, workers[0], "PATCH", f"/v1/inventory/{BUDDY}", {"stock": 1}).status == 200
        connections = [server.connect(pid) for pid in workers]
        together = threading.Barrier(2)
        answers: list[Exchange] = []

        def buy(number: int, connections=connections, together=together, answers=answers) -> None:
            together.wait()
            content = json.dumps({"petId": BUDDY}).encode()
            with Exchange(
                server.address, "/v1/orders", JSON, method="POST", content=content, connection=connections[number]
            ) as exchange:
                answers.append(exchange.read_to_end())

        buyers = [threading.Thread(target=buy, args=(number,)) for number in range(2)]
        for buyer in buyers:
            buyer.start()
        for buyer in buyers:
            buyer.join()
        winner, loser = sorted(answers, key=lambda answer: answer.status)
        assert (winner.status, loser.status) == (201, 409)
        assert loser.header("Content-Type") == "application/problem+json"
        assert loser.json()["type"] == "https://petstoreapi.com/errors/conflict"
        assert stock_of(server, BUDDY) == 0


def test_writers_in_two_workers_at_the_same_moment_make_one_order_of_events(shop: Server):
    def change(connection: socket.socket, pet_id: str) -> None:
        for _ in range(25):
            content = json.dumps({"stock": new_stock()}).encode()
            target = f"/v1/inventory/{pet_id}"
            exchange = Exchange(shop.address, target, USUAL, method="PATCH", content=content, connection=connection)
            assert exchange.read_to_end().status == 200

    with ExitStack() as stack:
        streams = [stack.enter_context(stream_of(shop, pid, INVENTORY)) for pid in shop.worker_pids()]
        writers = [stack.enter_context(shop.connect(pid)) for pid in shop.worker_pids()]
        threads = [threading.Thread(target=change, args=pair) for pair in zip(writers, (BUDDY, FLUFFY), strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        first, second = [stream.read_events(50) for stream in streams]
    assert first == second
    ids = [int(event.last_event_id) for event in first]
    assert ids == sorted(set(ids))
