"""Fills a new shop with the demo catalogue, and names what a visitor may try.

Must not change a shop that holds anything already.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from petstore.shop.catalogue import Catalogue, read_catalogue
from petstore.shop.customers import Customer, customers, likes, profile_to_row
from petstore.shop.error import NotSeeded
from petstore.shop.moment import now
from petstore.shop.orders import orders, place_order
from petstore.shop.pets import PetStatus, pets, present
from petstore.shop.tenant import Shop
from petstore.sse import Transaction

EXAMPLE_CUSTOMER_ID = "user-456"
"""The public demo customer. Shoppers of the demo never act for this one: its newest order is the visitors' example."""

EXAMPLE_PET_ID = "019b4132-70aa-764f-b315-e2803d882a24"
"""The pet that the example order is for."""


@dataclass(frozen=True, slots=True)
class DemoIds:
    """Ids that exist, for a visitor's first steps, and two accounts, which have the same password."""

    pet_id: str
    order_id: str
    customer_id: str
    customer_username: str
    staff_username: str
    password: str


def seed_shop(shop: Shop) -> bool:
    """Load the catalogue and place the example order, unless this shop holds anything already. Returns whether it did."""
    if not shop.query(lambda connection: is_empty(shop, connection)):
        return False
    catalogue = read_catalogue()

    def seed(shop: Shop) -> bool:
        # Asked again, now that nobody else can write: another request, or another process, may have seeded since.
        if not shop.query(lambda connection: is_empty(shop, connection)):
            return False
        shop.write(lambda transaction: _load(shop, transaction.connection, catalogue))
        place_order(shop, EXAMPLE_PET_ID, 1, EXAMPLE_CUSTOMER_ID)
        return True

    return shop.together(seed)


def open_demo_accounts(shop: Shop) -> None:
    """Give its staff to a demo shop that was seeded before there were accounts, and their password to its customers."""
    catalogue = read_catalogue()
    staff, example = (
        select(customers.c.id).filter_by(tenant=shop.tenant, id=id) for id in (catalogue.staff[0].id, EXAMPLE_CUSTOMER_ID)
    )

    def lacks_staff(connection: Connection) -> bool:
        return connection.execute(staff).first() is None and connection.execute(example).first() is not None

    def open_accounts(transaction: Transaction) -> None:
        connection = transaction.connection
        if not lacks_staff(connection):
            return
        at = now()
        own = {"tenant": shop.tenant, "created_at": at, "updated_at": at}
        connection.execute(insert(customers), [own | _account(catalogue, member) for member in catalogue.staff])
        theirs = customers.c.id.in_([customer.id for customer in catalogue.customers]) & (customers.c.tenant == shop.tenant)
        connection.execute(update(customers).where(theirs).values(password_hash=catalogue.password_hash))

    if shop.query(lacks_staff):
        shop.write(open_accounts)


def demo_ids(shop: Shop) -> DemoIds:
    """Return a pet (for sale, if any is), the example customer and that customer's newest order. Raises NotSeeded."""
    catalogue = read_catalogue()
    example = next(customer for customer in catalogue.customers if customer.id == EXAMPLE_CUSTOMER_ID)

    def find(connection: Connection) -> DemoIds:
        best_first = (pets.c.status != PetStatus.AVAILABLE, pets.c.id != EXAMPLE_PET_ID, pets.c.id)
        pet_id = connection.execute(select(pets.c.id).where(*present(shop)).order_by(*best_first).limit(1)).scalar()
        if pet_id is None:
            raise NotSeeded("pet")
        order_id = example_order_id(shop, connection)
        if order_id is None:
            raise NotSeeded(f"order of {EXAMPLE_CUSTOMER_ID}")
        usernames = (example.username, catalogue.staff[0].username)
        return DemoIds(pet_id, order_id, example.id, *usernames, catalogue.password)

    return shop.query(find)


def example_order_id(shop: Shop, connection: Connection) -> str | None:
    """Return the newest order of the example customer."""
    return connection.execute(_theirs(shop).order_by(orders.c.id.desc()).limit(1)).scalar()


def seeded_order_id(shop: Shop, connection: Connection) -> str | None:
    """Return the first order of the example customer: the one that came with the shop."""
    return connection.execute(_theirs(shop).order_by(orders.c.id).limit(1)).scalar()


def _theirs(shop: Shop) -> Select[str]:
    return select(orders.c.id).filter_by(tenant=shop.tenant, customer_id=EXAMPLE_CUSTOMER_ID)


def is_empty(shop: Shop, connection: Connection) -> bool:
    """Say whether this shop holds nothing."""
    for table in (pets, customers):
        if connection.execute(select(table.c.id).filter_by(tenant=shop.tenant).limit(1)).first() is not None:
            return False
    return True


def _load(shop: Shop, connection: Connection, catalogue: Catalogue) -> None:
    at = now()
    own = {"tenant": shop.tenant}
    dates = {"created_at": at, "updated_at": at}
    connection.execute(insert(pets), [own | dataclasses.asdict(pet) | dates for pet in catalogue.pets])
    connection.execute(
        insert(customers),
        [own | dates | _account(catalogue, customer) for customer in catalogue.accounts],
    )
    connection.execute(
        insert(likes),
        [
            own | {"customer_id": customer.id, "pet_id": pet_id, "position": position}
            for customer in catalogue.customers
            for position, pet_id in enumerate(customer.likes)
        ],
    )


def _account(catalogue: Catalogue, customer: Customer) -> dict[str, Any]:
    known = {"id": customer.id, "role": customer.role, "password_hash": catalogue.password_hash, "tokens_from": 0}
    return known | profile_to_row(customer)
