"""Each step of an order happens exactly once, when it is due, whatever breaks and however many try."""

import contextlib
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from petstore.shop import (
    Change,
    Fulfilment,
    OrderStatus,
    Shop,
    WrongState,
    cancel_order,
    change_inventory,
    get_order,
    order_topic,
    pay_order,
    place_order,
)
from petstore.shop.fulfilment import BATCH, check_digit, new_tracking_number
from petstore.shop.orders import orders
from petstore.sse import COMPLETE, DEFAULT_TYPE, EventLog

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
ROOT = Path(__file__).resolve().parents[2]
LIFE = ["payment_processing", "payment_confirmed", "preparing_shipment", "shipped"]


def paid_orders(log: EventLog, count: int, step_s: float = 0) -> list[str]:
    change_inventory(Shop(log), [Change(BUDDY, stock=count)])
    ids = [place_order(Shop(log), BUDDY, 1).id for _ in range(count)]
    for id in ids:
        pay_order(Shop(log), id, step_s)
    return ids


def told(log: EventLog, order_id: str) -> list[str]:
    return [event.value()["status"] for event in log.read([order_topic(order_id)], 0, 100)]


def set_due(log: EventLog, due_at: int) -> None:
    moved = update(orders).where(orders.c.due_at.is_not(None)).values(due_at=due_at)
    log.write(lambda transaction: transaction.connection.execute(moved))


def test_a_paid_order_lives_through_every_step_to_its_delivery(log: EventLog):
    (id,) = paid_orders(log, 1)
    Fulfilment(log, 0).advance()
    order = get_order(Shop(log), id)
    events = log.read([order_topic(id)], 0, 10)
    assert order.status is OrderStatus.DELIVERED
    assert [event.type for event in events] == [DEFAULT_TYPE, DEFAULT_TYPE, DEFAULT_TYPE, COMPLETE]
    assert [event.value()["status"] for event in events] == LIFE
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event.value()["timestamp"]) for event in events[:3])
    assert events[3].value() == {"status": "shipped", "trackingNumber": order.tracking_number}


def test_an_order_is_approved_when_its_payment_is_confirmed_and_shipped_when_its_stream_ends(log: EventLog):
    (id,) = paid_orders(log, 1)
    fulfilment = Fulfilment(log, 3600)  # Of which each step is due an hour after the one before.
    statuses = []
    for _ in range(4):
        fulfilment.advance()
        statuses.append((get_order(Shop(log), id).status, len(told(log, id))))
        set_due(log, time.time_ns() // 1000)
    assert statuses == [
        (OrderStatus.APPROVED, 2),
        (OrderStatus.APPROVED, 3),
        (OrderStatus.SHIPPED, 4),
        (OrderStatus.DELIVERED, 4),
    ]


def test_nothing_happens_before_it_is_due(log: EventLog):
    (id,) = paid_orders(log, 1, step_s=3600)
    Fulfilment(log, 3600).advance()
    assert told(log, id) == ["payment_processing"]


def test_an_order_that_is_not_paid_stays_where_it_is(log: EventLog):
    order = place_order(Shop(log), BUDDY, 1)
    Fulfilment(log, 0).advance()
    assert get_order(Shop(log), order.id).status is OrderStatus.PLACED


def test_an_order_that_was_held_up_catches_up_and_keeps_its_times(log: EventLog):
    (id,) = paid_orders(log, 1)
    hour_ago = time.time_ns() // 1000 - 3_600_000_000
    set_due(log, hour_ago)
    Fulfilment(log, 2).advance()
    events = [event.value() for event in log.read([order_topic(id)], 0, 10)]
    assert [event["status"] for event in events] == LIFE
    confirmed, preparing = (event["timestamp"] for event in events[1:3])
    assert confirmed == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(hour_ago // 1_000_000))
    assert preparing == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(hour_ago // 1_000_000 + 2))


def test_every_step_happens_exactly_once_with_four_workers_at_it(log: EventLog, logs: list[EventLog]):
    ids = paid_orders(log, 150)
    start = threading.Barrier(4)

    def advance(own: EventLog) -> None:
        start.wait()
        Fulfilment(own, 0).advance()

    threads = [threading.Thread(target=advance, args=(own,)) for own in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Fulfilment(log, 0).advance()
    assert all(told(log, id) == LIFE for id in ids)
    assert {get_order(Shop(log), id).status for id in ids} == {OrderStatus.DELIVERED}


def test_orders_cancelled_while_they_are_advanced_end_once(log: EventLog, logs: list[EventLog]):
    ids = paid_orders(log, 60)

    def cancel_all() -> None:
        for id in reversed(ids):
            with contextlib.suppress(WrongState):  # It was shipped before.
                cancel_order(Shop(logs[1]), id, "changed my mind")

    canceller = threading.Thread(target=cancel_all)
    canceller.start()
    Fulfilment(logs[0], 0).advance()
    canceller.join()
    Fulfilment(logs[0], 0).advance()
    for id in ids:
        status, events = get_order(Shop(log), id).status, told(log, id)
        ending = {OrderStatus.DELIVERED: "shipped", OrderStatus.CANCELLED: "cancelled"}[status]
        assert events[-1] == ending
        assert events[:-1] == LIFE[: len(events) - 1]


def test_a_step_that_breaks_has_not_happened_and_is_taken_again(log: EventLog, monkeypatch: pytest.MonkeyPatch):
    ids = paid_orders(log, 3)
    before = log.query(lambda connection: connection.execute(select(orders)).all())
    with monkeypatch.context() as broken:
        broken.setattr("petstore.shop.fulfilment.step_draft", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Fulfilment(log, 0).advance()
    assert log.query(lambda connection: connection.execute(select(orders)).all()) == before
    Fulfilment(log, 0).advance()
    assert all(told(log, id) == LIFE for id in ids)


def test_a_step_that_another_worker_took_is_not_taken_again(log: EventLog):
    (id,) = paid_orders(log, 1)
    stale = log.query(lambda connection: connection.execute(select(orders).filter_by(id=id)).one())
    Fulfilment(log, 0).advance()
    delivered = get_order(Shop(log), id)
    assert log.write(lambda transaction: Fulfilment(log, 0)._take_step(transaction.connection, stale)) is None
    assert get_order(Shop(log), id) == delivered


def test_a_worker_killed_at_any_moment_leaves_whole_steps_that_the_next_one_goes_on_from(log: EventLog, path: Path):
    ids = paid_orders(log, 300)
    script = """
import sys; from pathlib import Path
from petstore.shop import Shop, Fulfilment
from petstore.sse import SqlEventLog
Fulfilment(SqlEventLog(Path(sys.argv[1])), 0).advance()
"""
    head = log.head()
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", script, path], cwd=ROOT) as worker:
            while log.head() == head and worker.poll() is None:
                pass
            worker.kill()
        head = log.head()
    Fulfilment(log, 0).advance()
    assert all(told(log, id) == LIFE for id in ids)
    assert {get_order(Shop(log), id).status for id in ids} == {OrderStatus.DELIVERED}


def test_no_transaction_advances_more_than_a_batch(log: EventLog, monkeypatch: pytest.MonkeyPatch):
    paid_orders(log, BATCH + 10)
    sizes = Counter[int]()
    write = log.write

    def count(work: Any) -> Any:
        size = write(work)
        sizes[size] += 1
        return size

    monkeypatch.setattr(log, "write", count)
    Fulfilment(log, 0).advance()
    assert max(sizes) == BATCH
    assert sum(size * times for size, times in sizes.items()) == (BATCH + 10) * 4


@pytest.mark.parametrize(("step_s", "longest_s"), [(0, 0.02), (0.01, 0.02), (1, 0.5), (2, 1.0), (60, 1.0)])
def test_an_idle_shop_is_looked_at_again_after_half_a_step(log: EventLog, step_s: float, longest_s: float):
    assert Fulfilment(log, step_s).advance() == longest_s


def test_the_next_look_is_when_the_next_step_is_due(log: EventLog):
    paid_orders(log, 1, step_s=0.4)
    assert 0 <= Fulfilment(log, 60).advance() <= 0.4


def test_tracking_numbers_have_the_form_and_check_digit_of_ups():
    for number in {new_tracking_number() for _ in range(500)}:
        assert re.fullmatch(r"1Z[0-9A-Z]{6}[0-9]{10}", number)
        assert check_digit(number[2:-1]) == int(number[-1])


def test_the_check_digit_is_that_of_a_known_number():
    assert check_digit("999AA1012345678") == 4  # 1Z999AA10123456784
