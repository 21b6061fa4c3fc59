"""The demo shop is loaded once, whole, and holds what a visitor is told."""

import dataclasses
import multiprocessing
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from petstore.shop import (
    NotSeeded,
    OrderStatus,
    Passwords,
    PetStatus,
    Role,
    Shop,
    all_pets,
    demo_ids,
    find_account,
    get_customer,
    get_order,
    get_pet,
    is_uuid,
    open_demo_accounts,
    place_order,
    seed_shop,
)
from petstore.shop.catalogue import read_catalogue
from petstore.shop.customers import customers, likes
from petstore.shop.orders import orders
from petstore.shop.pets import pets
from petstore.sse import EventLog, SqlEventLog


def seed(path: Path) -> bool:
    log = SqlEventLog(path)
    seeded = seed_shop(Shop(log))
    log.close()
    return seeded


def test_a_shop_is_seeded_once(empty_log: EventLog):
    assert seed_shop(Shop(empty_log)) is True
    before = empty_log.head(), all_pets(Shop(empty_log))
    assert seed_shop(Shop(empty_log)) is False
    assert (empty_log.head(), all_pets(Shop(empty_log))) == before


def test_of_several_processes_that_seed_at_once_one_does(empty_path: Path, empty_log: EventLog):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        outcomes = pool.map(seed, [empty_path] * 4, chunksize=1)
    assert sorted(outcomes) == [False, False, False, True]
    assert len(all_pets(Shop(empty_log))) == 72


def test_the_catalogue_is_whole(log: EventLog):
    shop = {pet.id: pet for pet in all_pets(Shop(log))}
    assert len(shop) >= 60
    assert all(is_uuid(id) and pet.price_cents > 0 and len(pet.description) > 60 for id, pet in shop.items())
    assert {pet.status for pet in shop.values()} == {PetStatus.AVAILABLE}
    for customer in read_catalogue().accounts:
        found = get_customer(Shop(log), customer.id)
        assert dataclasses.replace(found, created_at=customer.created_at, updated_at=customer.updated_at) == customer
        assert set(customer.likes) <= set(shop)


def test_the_demo_has_a_customer_and_a_member_of_staff_who_can_sign_in_with_its_password(log: EventLog):
    catalogue = read_catalogue()
    for username, role in (("catherine.m", Role.CUSTOMER), ("keeper.jo", Role.STAFF)):
        account = find_account(Shop(log), username=username)
        assert account is not None
        assert account.role is role
        assert Passwords().matches(account.password_hash, catalogue.password)


def test_a_demo_shop_from_before_there_were_accounts_gets_them_once(log: EventLog):
    shop, staff = Shop(log), read_catalogue().staff[0]
    before_accounts = [delete(customers).where(customers.c.id == staff.id), update(customers).values(password_hash=None)]
    for statement in before_accounts:
        shop.write(lambda transaction, statement=statement: transaction.connection.execute(statement))  # type: ignore[misc]
    open_demo_accounts(shop)
    opened = find_account(shop, username=staff.username), find_account(shop, username="catherine.m")
    assert [account is not None and account.password_hash for account in opened] == [read_catalogue().password_hash] * 2
    open_demo_accounts(shop)
    assert (find_account(shop, username=staff.username), find_account(shop, username="catherine.m")) == opened


def test_a_real_shop_gets_no_accounts_of_the_demo(empty_log: EventLog):
    open_demo_accounts(Shop(empty_log))
    assert find_account(Shop(empty_log), username="keeper.jo") is None


def test_the_example_order_waits_to_be_paid(log: EventLog):
    ids = demo_ids(Shop(log))
    order = get_order(Shop(log), ids.order_id)
    assert (order.status, order.customer_id, order.pet_id) == (OrderStatus.PLACED, "user-456", ids.pet_id)
    assert get_pet(Shop(log), ids.pet_id).name == "Fluffy"


def test_the_example_is_the_newest_order_of_its_customer(log: EventLog):
    place_order(Shop(log), demo_ids(Shop(log)).pet_id, 1)
    newest = place_order(Shop(log), demo_ids(Shop(log)).pet_id, 1, "user-456")
    assert demo_ids(Shop(log)).order_id == newest.id


def test_the_example_pet_is_one_for_sale(log: EventLog):
    sold = demo_ids(Shop(log)).pet_id
    place_order(Shop(log), sold, get_pet(Shop(log), sold).stock)
    other = demo_ids(Shop(log)).pet_id
    assert other != sold
    assert get_pet(Shop(log), other).status is PetStatus.AVAILABLE


def test_a_shop_that_holds_anything_is_left_alone(log: EventLog):
    for table in (likes, orders, pets):
        empty = delete(table)
        log.write(lambda transaction, empty=empty: transaction.connection.execute(empty))  # type: ignore[misc]
    assert seed_shop(Shop(log)) is False
    assert all_pets(Shop(log)) == []
    with pytest.raises(NotSeeded):
        demo_ids(Shop(log))


def test_a_real_shop_has_no_demo_to_show(empty_log: EventLog):
    with pytest.raises(NotSeeded):
        demo_ids(Shop(empty_log))
