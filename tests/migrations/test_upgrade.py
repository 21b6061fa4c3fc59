"""A database that is in use is upgraded in place: what was in it is still there, and the shop goes on."""

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from petstore.migrations import migrate
from petstore.shop import (
    Demo,
    Fulfilment,
    OrderStatus,
    Shop,
    all_pets,
    cancel_order,
    demo_ids,
    get_customer,
    get_order,
    get_pet,
    order_topic,
    pay_order,
    place_order,
    read_inventory,
    seed_shop,
)
from petstore.sse import EventLog, SqlEventLog
from tests.migrations.test_schema import tables

TENANT = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01"


def at_revision(path: Path, revision: str) -> None:
    """Take the database at `path` up or down to a revision."""
    config = Config()
    config.set_main_option("script_location", "petstore:migrations")
    config.set_main_option("path_separator", "os")
    with create_engine(f"sqlite:///{path}", poolclass=NullPool).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def rows(path: Path, table: str, columns: str = "*") -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()


@pytest.fixture
def old(path: Path, log: EventLog) -> Path:
    """A shop of the first release: orders in every state, a run, shoppers' orders, and another tenant's shop beside it."""
    shop = Shop(log)
    pet_id = demo_ids(shop).pet_id
    pay_order(shop, place_order(shop, pet_id, 1, "user-456").id, 0)
    Fulfilment(log, 0).advance()
    pay_order(shop, place_order(shop, pet_id, 1).id, 3600)
    cancel_order(shop, place_order(shop, pet_id, 1).id, "no")
    Demo(shop, 3600).shop()
    seed_shop(Shop(log, TENANT))
    log.close()
    at_revision(path, "0001")
    return path


def test_an_upgrade_makes_the_tables_that_a_new_database_has_and_keeps_every_row(old: Path, empty_database: Path):
    kept = ("id, name, stock, price_cents", "id, pet_id, quantity, status, step, due_at, tracking_number", "id, username, email")
    read = ("pets", "orders", "customers")
    before = [rows(old, table, columns) for table, columns in zip(read, kept, strict=True)]
    others = [rows(old, table) for table in ("demo_orders", "events", "event_clock")]
    likes = rows(old, "likes", "customer_id, pet_id, position")
    assert len(before[0]) == 72, "the shared shop's alone"
    migrate(old)
    assert tables(old) == tables(empty_database)
    assert [rows(old, table, columns) for table, columns in zip(read, kept, strict=True)] == before
    assert [rows(old, table) for table in ("demo_orders", "events", "event_clock")] == others
    assert rows(old, "likes", "customer_id, pet_id, position") == likes
    with contextlib.closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_after_an_upgrade_the_shop_goes_on_where_it_was(old: Path):
    migrate(old)
    log = SqlEventLog(old)
    shop = Shop(log)
    going_on, *_ = (row[0] for row in rows(old, "orders", "id, step") if row[1] == "payment_processing")
    assert get_order(shop, str(going_on)).last_event_id == log.head()
    log.write(lambda transaction: transaction.connection.exec_driver_sql("UPDATE orders SET due_at = 1 WHERE due_at IS NOT NULL"))
    Fulfilment(log, 0).advance()
    order = get_order(shop, str(going_on))
    assert order.status is OrderStatus.DELIVERED
    assert len(log.read([order_topic(order.id)], 0, 10)) == 4
    assert get_customer(shop, "user-456").likes
    pet = get_pet(shop, demo_ids(shop).pet_id)
    assert pet.photos == ()
    assert place_order(shop, pet.id, 1, "user-456").customer_id == "user-456"
    assert len(all_pets(shop)) == read_inventory(shop, 1, 100).summary["total"] == 72
    assert seed_shop(Shop(log, TENANT)), "another tenant may begin"
    log.close()


def test_tenants_from_before_have_a_copy_that_was_just_used(path: Path, log: EventLog):
    seed_shop(Shop(log, TENANT))
    log.close()
    at_revision(path, "0003")
    before = time.time_ns() // 1000
    migrate(path)
    ((tenant, used_at),) = rows(path, "copies")
    assert tenant == TENANT
    assert before <= int(str(used_at)) <= time.time_ns() // 1000
