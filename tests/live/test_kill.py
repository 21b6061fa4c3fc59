"""Workers are killed while people order and pay: afterwards every order has exactly its events, and every event its order."""

import json
import random
import threading
import types
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from sqlalchemy import text

from petstore.sse import Event, EventLog
from tests.live.client import Exchange, frames
from tests.live.server import Server, wait_until
from tests.live.shop import INVENTORY, JSON, STAFF, change_many, get

BUYERS, KILLS, ORDERS_BETWEEN_KILLS = 4, 6, 12

LIFE = ["payment_processing", "payment_confirmed", "preparing_shipment", "shipped"]


def insist(
    server: Server, method: str, target: str, body: object = None, headers: Mapping[str, str] = types.MappingProxyType({})
) -> Exchange:
    """Ask until there is an answer. What was asked may by then have been done more than once."""
    content = b"" if body is None else json.dumps(body).encode()
    while True:
        try:
            with Exchange(
                server.address, target, {**(JSON if content else {}), **headers}, method=method, content=content
            ) as exchange:
                return exchange.read_to_end()
        except ConnectionError:
            continue


class Buyer:
    """Somebody who orders and pays until told to stop, whatever happens to the connections."""

    def __init__(self, server: Server, pets: list[str], seed: int) -> None:
        self.placed: set[str] = set()
        self._server = server
        self._pets = pets
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def stop(self) -> None:
        self._stopping.set()
        self.thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            wish = {"petId": self._random.choice(self._pets), "quantity": self._random.randint(1, 3)}
            answer = insist(self._server, "POST", "/v1/orders", wish)
            assert answer.status == 201, answer.body
            order = answer.json()
            self.placed.add(order["id"])
            if self._random.random() < 0.8:
                # Where the answer to a payment that was taken got lost, the second one is refused.
                assert insist(self._server, "POST", order["links"]["payment"]).status in (201, 409)


class Follower:
    """A client of the inventory's stream that comes back as often as it is cut."""

    def __init__(self, server: Server, cursor: int) -> None:
        self.frames: list[bytes] = []
        self._server = server
        self._cursor = str(cursor)
        self._last_id: int | None = None
        self.thread = threading.Thread(target=self._run)

    def stop_after(self, id: int) -> None:
        """End the thread when it has the event with this id."""
        self._last_id = id
        self.thread.join()

    def _run(self) -> None:
        while not self._is_done():
            try:
                stream = Exchange(self._server.address, INVENTORY, {"Last-Event-ID": self._cursor}, wait=False)
            except ConnectionError:
                continue
            with stream:
                try:
                    stream.read_head().read_until(lambda stream=stream: self._is_done(stream))  # type: ignore[misc]
                except ConnectionError:
                    pass
                finally:
                    self.frames += frames(stream.body, cut=True)
                    self._cursor = stream.decoder.last_event_id or self._cursor

    def _is_done(self, stream: Exchange | None = None) -> bool:
        cursor = stream.decoder.last_event_id if stream is not None else self._cursor
        return self._last_id is not None and int(cursor or self._cursor) >= self._last_id


def test_after_workers_were_killed_every_order_has_exactly_its_events_and_every_event_its_order(start: Callable[..., Server]):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    server = start(PETSTORE_FULFILMENT_STEP_S=0.05, PETSTORE_HEARTBEAT_S=1)
    pets = [item["petId"] for item in get(server, "/v1/inventory?limit=6")["data"]]
    change_many(server, [{"petId": pet_id, "stock": 50_000} for pet_id in pets])
    beginning = get(server, "/v1/inventory")["lastEventId"]
    buyers = [Buyer(server, pets, seed + number) for number in range(BUYERS)]
    follower = Follower(server, beginning)
    for thread in (follower.thread, *(buyer.thread for buyer in buyers)):
        thread.start()
    with closing(server.open_event_log()) as log:
        try:
            kill_workers(server, log, random.Random(seed))
        finally:
            for buyer in buyers:
                buyer.stop()
            finish_all(server, log)
            follower.stop_after(log.read(["inventory"], 0, 1_000_000)[-1].id)
        acknowledged = set().union(*(buyer.placed for buyer in buyers))
        assert acknowledged <= {order.id for order in rows(log, "SELECT * FROM orders")}, "an order that was confirmed is lost"
        assert_books_balance(log, beginning, pets)
        told = log.read(["inventory"], beginning, 1_000_000)
    assert follower.frames == [f"event: {event.type}\ndata: {event.data}\nid: {event.id}\n\n".encode() for event in told]


def kill_workers(server: Server, log: EventLog, chance: random.Random) -> None:
    """Kill one worker after the other, each after some more orders."""
    for _ in range(KILLS):
        enough = count_orders(log) + ORDERS_BETWEEN_KILLS
        wait_until(lambda: count_orders(log) >= enough, "more orders are placed")  # noqa: B023
        server.kill_worker(chance.choice(server.worker_pids()))
        wait_until(lambda: len(server.worker_pids()) == 2, "the worker is replaced")


def finish_all(server: Server, log: EventLog) -> None:
    """Pay what nobody has paid, and wait until everything is delivered."""
    unpaid = "SELECT id FROM orders WHERE status = 'PLACED' AND step IS NULL"
    for order in rows(log, f"{unpaid} AND customer_id IS NULL"):
        assert insist(server, "POST", f"/v1/orders/{order.id}/payment", headers=STAFF).status == 201
    going_on = "SELECT id FROM orders WHERE status <> 'DELIVERED' AND customer_id IS NULL"
    wait_until(lambda: not rows(log, going_on), "all orders are delivered")


def assert_books_balance(log: EventLog, beginning: int, pets: list[str]) -> None:
    orders = rows(log, "SELECT * FROM orders WHERE customer_id IS NULL")
    assert len(orders) >= KILLS * ORDERS_BETWEEN_KILLS
    of_topic: dict[str, list[Event]] = {}
    for event in log.read(None, beginning, 1_000_000):
        of_topic.setdefault(event.topic, []).append(event)
    inventory = of_topic.pop("inventory")
    assert of_topic.keys() == {f"orders/{order.id}" for order in orders}
    for order in orders:
        events = of_topic[f"orders/{order.id}"]
        assert [event.value()["status"] for event in events] == LIFE
        assert [event.type for event in events] == ["message"] * 3 + ["complete"]
        assert events[-1].value()["trackingNumber"] == order.tracking_number
    for pet_id in pets:
        stock, sold = 50_000, Counter[int]()
        for change in (event.value() for event in inventory if event.value()["petId"] == pet_id):
            assert change["oldStock"] == stock, "each change begins where the one before has ended"
            sold[stock - change["newStock"]] += 1
            stock = change["newStock"]
        assert sold == Counter(order.quantity for order in orders if order.pet_id == pet_id)
        (pet,) = rows(log, f"SELECT stock FROM pets WHERE id = '{pet_id}'")
        assert pet.stock == stock


def count_orders(log: EventLog) -> int:
    return int(rows(log, "SELECT count(*) AS count FROM orders")[0].count)


def rows(log: EventLog, query: str) -> list[Any]:
    """Return what a query finds in the server's database."""
    return list(log.query(lambda connection: connection.execute(text(query)).all()))
