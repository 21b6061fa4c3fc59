"""The demo's people keep the shop busy for ever, in the same state, and leave visitors' things alone."""

import random
import time
from collections.abc import Callable

import pytest
from sqlalchemy import Table, func, select

from petstore.shop import (
    Demo,
    Fulfilment,
    Order,
    OrderStatus,
    Shop,
    all_pets,
    cancel_order,
    demo_ids,
    get_order,
    order_topic,
    pay_order,
    place_order,
)
from petstore.shop.catalogue import read_catalogue
from petstore.shop.demo import demo_orders
from petstore.shop.orders import orders
from petstore.sse import EventLog, metadata

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
HOUR = 3600.0

Clock = Callable[[float], None]


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stop the clock, and return what moves it on by some seconds."""
    moment = time.time_ns()

    def pass_time(seconds: float) -> None:
        nonlocal moment
        moment += int(seconds * 1e9)

    monkeypatch.setattr(time, "time_ns", lambda: moment)
    # Ids never go back; without this, those of all later tests would stay in our future.
    monkeypatch.setattr("petstore.shop.identity._last_tick", 0)
    return pass_time


def demo(log: EventLog, step_s: float = 0) -> Demo:
    return Demo(Shop(log), step_s, random.Random(7))


def count(log: EventLog, table: Table) -> int:
    return log.query(lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one())


def order_ids(log: EventLog) -> list[str]:
    return list(log.query(lambda connection: connection.execute(select(orders.c.id).order_by(orders.c.id)).scalars()))


def test_a_shopper_orders_and_soon_pays_or_cancels(log: EventLog, pass_time: Clock):
    shoppers = demo(log)
    for _ in range(60):
        shoppers.shop()
        Fulfilment(log, 0).advance()
        pass_time(2)
    lives = [[event.value()["status"] for event in log.read([order_topic(id)], 0, 10)] for id in order_ids(log)[:-2]]
    whole = ["payment_processing", "payment_confirmed", "preparing_shipment", "shipped"]
    assert len(lives) > 50
    assert all(life in (whole, ["cancelled"]) for life in lives)
    assert 0 < sum(life == ["cancelled"] for life in lives) < len(lives) / 3


def test_orders_left_unpaid_by_a_worker_that_was_killed_are_paid_by_the_next(log: EventLog, pass_time: Clock):
    demo(log).shop()
    pass_time(5)
    demo(log).shop()
    example, first, second = order_ids(log)
    assert [len(log.read([order_topic(id)], 0, 10)) for id in (example, first, second)] == [1, 1, 0]


def test_the_example_is_paid_at_the_start_and_its_stream_replays_a_whole_life(log: EventLog):
    id = demo_ids(Shop(log)).order_id
    shoppers = demo(log)
    shoppers.shop()
    Fulfilment(log, 0).advance()
    assert len(log.read([order_topic(id)], 0, 10)) == 4
    theirs = place_order(Shop(log), BUDDY, 1, "user-456")
    shoppers.shop()
    assert log.read([order_topic(theirs.id)], 0, 10) == []
    assert demo_ids(Shop(log)).order_id == theirs.id


def test_a_visitor_s_order_is_not_paid_by_a_worker_that_takes_over(log: EventLog):
    demo(log).shop()
    theirs = place_order(Shop(log), BUDDY, 1, "user-456")
    demo(log).shop()
    assert log.read([order_topic(theirs.id)], 0, 10) == []


def test_an_example_that_was_paid_before_is_no_hindrance(log: EventLog):
    pay_order(Shop(log), demo_ids(Shop(log)).order_id, 0)
    demo(log).shop()
    assert len(log.read([order_topic(demo_ids(Shop(log)).order_id)], 0, 10)) == 1


def test_the_shop_is_as_large_after_four_days_as_after_two(log: EventLog, pass_time: Clock):
    shoppers, fulfilment = demo(log), Fulfilment(log, 2)

    def live(rounds: int) -> tuple[int, int, int]:
        for _ in range(rounds):
            shoppers.shop()
            shoppers.restock()
            pass_time(HOUR / 2)
            fulfilment.advance()
        topics = log.query(
            lambda connection: connection.execute(select(func.count(metadata.tables["events"].c.topic.distinct()))).scalar_one()
        )
        return count(log, orders), count(log, demo_orders), topics

    ours = place_order(Shop(log), BUDDY, 1, "user-456")
    pay_order(Shop(log), ours.id, 2)
    live(96)
    after_two_days = live(1)
    after_four_days = live(96)
    assert max(after_four_days) < 60
    assert all(abs(before - after) < 6 for before, after in zip(after_two_days, after_four_days, strict=True))
    kept = get_order(Shop(log), ours.id)
    assert kept.status is OrderStatus.DELIVERED
    assert len(log.read([order_topic(ours.id)], 0, 10)) == 4


def test_orders_that_ended_are_removed_with_their_events_after_a_day_and_not_before(log: EventLog, pass_time: Clock):
    shoppers = demo(log)
    shoppers.shop()
    pass_time(5)
    shoppers.shop()
    Fulfilment(log, 0).advance()
    _, first, _ = order_ids(log)
    pass_time(23 * HOUR)
    shoppers.shop()
    assert first in order_ids(log)
    pass_time(3 * HOUR)
    shoppers.shop()
    assert first not in order_ids(log)
    assert log.read([order_topic(first)], 0, 10) == []
    assert log.extents([order_topic(first)])[order_topic(first)].final_id is None


def test_an_order_that_has_not_ended_is_kept_however_old(log: EventLog, pass_time: Clock):
    shoppers = demo(log, step_s=1_000_000)
    for _ in range(10):
        shoppers.shop()
        pass_time(5)
    placed = set(order_ids(log))
    pass_time(50 * HOUR)
    shoppers.shop()
    going_on = {id for id in placed if get_status(log, id) is not OrderStatus.CANCELLED}
    assert len(going_on) > 5
    assert going_on <= set(order_ids(log))


def get_status(log: EventLog, order_id: str) -> OrderStatus | None:
    return get_order(Shop(log), order_id).status if order_id in order_ids(log) else OrderStatus.CANCELLED


def test_what_a_visitor_does_to_a_shoppers_order_is_no_hindrance(log: EventLog, pass_time: Clock):
    shoppers = demo(log)
    shoppers.shop()
    order: Order = cancel_order(Shop(log), order_ids(log)[-1], "a visitor was faster")
    pass_time(5)
    shoppers.shop()
    assert get_order(Shop(log), order.id).status is OrderStatus.CANCELLED


def test_prices_and_stock_stay_near_the_catalogue_and_shelves_are_not_empty(log: EventLog, pass_time: Clock):
    people = demo(log)
    catalogue = {pet.id: pet for pet in read_catalogue().pets}
    head = log.head()
    for _ in range(250):
        people.shop()
        people.restock()
        pass_time(1.5)
    for pet in all_pets(Shop(log)):
        seeded = catalogue[pet.id]
        assert abs(pet.price_cents - seeded.price_cents) <= seeded.price_cents * 0.15
        assert 0 <= pet.stock <= seeded.stock + 3  # An order that is cancelled comes back to a shelf that was refilled.
    stock = sum(pet.stock for pet in all_pets(Shop(log)))
    assert stock > sum(pet.stock for pet in catalogue.values()) / 2
    kinds = {event.type for event in log.read(["inventory"], head, 5_000)}
    assert kinds == {"stock-change", "price-change"}


def test_every_pause_is_short_and_no_two_need_be_alike(log: EventLog):
    people = demo(log)
    pauses = [people.shop() for _ in range(5)] + [people.restock() for _ in range(5)]
    assert all(1 <= pause <= 2 for pause in pauses)
    assert len(set(pauses)) == 10


def test_shoppers_find_nothing_in_an_empty_shop_and_do_not_mind(empty_log: EventLog):
    people = demo(empty_log)
    people.shop()
    people.restock()
    assert count(empty_log, orders) == 0
