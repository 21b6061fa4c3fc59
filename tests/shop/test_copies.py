"""Copies of the demo shop: one for each tenant, and the one that was left for longest makes room when there are too many."""

import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, func, select, update

from petstore.shop import (
    Change,
    Profile,
    Shop,
    TooManyTenants,
    change_inventory,
    get_pet,
    open_copy,
    pay_order,
    place_order,
    register_customer,
)
from petstore.shop import copies as module
from petstore.shop.copies import KEPT_UNUSED, NOTED_EVERY, copies
from petstore.shop.customers import customers, likes
from petstore.shop.orders import orders
from petstore.shop.payments import payments
from petstore.shop.pets import pets
from petstore.sse import EventLog, SqlEventLog
from petstore.sse.sql_event_log import events

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
FIRST, SECOND, THIRD, FOURTH = (f"7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e0{number}" for number in range(4))


@pytest.fixture(autouse=True)
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COPIES", 2)


@pytest.fixture
def age(log: EventLog) -> Callable[[str, int], None]:
    """Returns what makes a tenant's copy one that was last used so much earlier."""

    def make_older(tenant: str, by: int) -> None:
        statement = update(copies).where(copies.c.tenant == tenant).values(used_at=copies.c.used_at - by)
        log.write(lambda transaction: transaction.connection.execute(statement))

    return make_older


def tenants(log: EventLog) -> set[str]:
    return set(log.query(lambda connection: connection.execute(select(copies.c.tenant)).scalars().all()))


def rows(log: EventLog, tenant: str) -> int:
    """Count what a tenant has in any table, and what was told of it."""

    def count(connection: Connection) -> int:
        own = [
            select(func.count()).select_from(table).where(table.c.tenant == tenant) for table in (pets, customers, likes, orders)
        ]
        theirs = select(func.count()).select_from(payments.join(orders)).where(orders.c.tenant == tenant)
        told = select(func.count()).select_from(events).where(events.c.topic == f"inventory/{tenant}")
        return sum(connection.execute(query).scalar_one() for query in (*own, theirs, told))

    return log.query(count)


def test_there_are_only_so_many_while_all_are_used(log: EventLog):
    assert [open_copy(Shop(log, tenant)) for tenant in (FIRST, SECOND, FIRST)] == [None] * 3
    head = log.head()
    with pytest.raises(TooManyTenants):
        open_copy(Shop(log, THIRD))
    assert (tenants(log), rows(log, THIRD), log.head()) == ({FIRST, SECOND}, 0, head)


def test_the_one_that_was_left_for_longest_goes_with_all_it_has_and_nothing_of_others(
    log: EventLog, age: Callable[[str, int], None]
):
    for tenant in (FIRST, SECOND):
        own = Shop(log, tenant)
        open_copy(own)
        pay_order(own, place_order(own, BUDDY, 1, "user-456").id, 3600)
    kept = rows(log, SECOND), rows(log, "")
    age(FIRST, KEPT_UNUSED + 2)
    age(SECOND, KEPT_UNUSED + 1)
    assert open_copy(Shop(log, THIRD)) == FIRST
    assert tenants(log) == {SECOND, THIRD}
    assert (rows(log, FIRST), rows(log, SECOND), rows(log, "")) == (0, *kept)


def test_one_that_is_removed_begins_anew_when_its_tenant_is_back(log: EventLog, age: Callable[[str, int], None]):
    first = Shop(log, FIRST)
    open_copy(first)
    change_inventory(first, [Change(BUDDY, stock=99)])
    open_copy(Shop(log, SECOND))
    for tenant in (FIRST, SECOND):
        age(tenant, KEPT_UNUSED + 1)
    assert open_copy(Shop(log, THIRD)) == FIRST
    assert open_copy(first) == SECOND
    assert get_pet(first, BUDDY).stock == 4


def test_to_use_one_keeps_it_and_is_noted_now_and_then(log: EventLog, age: Callable[[str, int], None]):
    open_copy(Shop(log, FIRST))
    open_copy(Shop(log, SECOND))
    age(FIRST, KEPT_UNUSED + 1)
    age(SECOND, NOTED_EVERY // 2)

    def used_at(tenant: str) -> int:
        moment: int = log.query(
            lambda connection: connection.execute(select(copies.c.used_at).filter_by(tenant=tenant)).scalar_one()
        )
        return moment

    before = used_at(FIRST), used_at(SECOND)
    assert open_copy(Shop(log, FIRST)) is open_copy(Shop(log, SECOND)) is None
    assert used_at(FIRST) > before[0] + KEPT_UNUSED
    assert used_at(SECOND) == before[1], "half an hour is not worth the write lock"
    with pytest.raises(TooManyTenants):
        open_copy(Shop(log, THIRD))


def test_a_tenant_s_shop_that_is_no_copy_is_left_alone_and_takes_nobody_s_room(log: EventLog, age: Callable[[str, int], None]):
    own = Shop(log, FOURTH)
    register_customer(own, Profile(username="ada.l", email="ada@example.com"), "a hash")
    assert open_copy(own) is None
    assert tenants(log) == set()
    assert rows(log, FOURTH) == 1
    for tenant in (FIRST, SECOND):
        open_copy(Shop(log, tenant))
        age(tenant, KEPT_UNUSED + 1)
    open_copy(Shop(log, THIRD))
    assert rows(log, FOURTH) == 1


def test_of_many_who_come_at_once_as_many_as_fit_get_one(path: Path, log: EventLog, age: Callable[[str, int], None]):
    """Each thread has a log of its own on the same database, as each worker has."""
    for tenant in (FIRST, SECOND):
        open_copy(Shop(log, tenant))
        age(tenant, KEPT_UNUSED + 1)
    start, removed, refused = threading.Barrier(6), list[str | None](), list[str]()

    def come() -> None:
        own, tenant = SqlEventLog(path), str(uuid4())
        start.wait()
        try:
            removed.append(open_copy(Shop(own, tenant)))
        except TooManyTenants:
            refused.append(tenant)
        own.close()

    threads = [threading.Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (set(removed), len(removed), len(refused)) == ({FIRST, SECOND}, 2, 4)
    assert len(tenants(log)) == 2
    assert all(rows(log, tenant) == 0 for tenant in (FIRST, SECOND, *refused))
