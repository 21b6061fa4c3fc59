"""Fills a new shop with the demo catalogue, and names what a visitor may try.

Must not change a shop that holds anything already.
"""

import dataclasses
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from petstore.shop.catalogue import Catalogue, read_catalogue
from petstore.shop.customers import customers, likes, preferences_to_json
from petstore.shop.error import NotSeeded
from petstore.shop.moment import now
from petstore.shop.orders import orders, place
from petstore.shop.pets import PetStatus, pets
from petstore.sse import EventLog, Transaction

EXAMPLE_CUSTOMER_ID = "user-456"
"""The public demo customer. Shoppers of the demo never act for this one: its newest order is the visitors' example."""

EXAMPLE_PET_ID = "019b4132-70aa-764f-b315-e2803d882a24"
"""The pet that the example order is for."""


@dataclass(frozen=True, slots=True)
class DemoIds:
    """Ids that exist, for a visitor's first steps."""

    pet_id: str
    order_id: str
    customer_id: str


def seed_shop(log: EventLog) -> bool:
    """Load the catalogue and place the example order, unless there is a shop already. Returns whether it did."""
    if not log.query(_is_empty):
        return False
    catalogue = read_catalogue()

    def seed(transaction: Transaction) -> bool:
        # Asked again where only one can be: another process may have seeded since.
        if not _is_empty(transaction.connection):
            return False
        _load(transaction.connection, catalogue)
        place(log, transaction, EXAMPLE_PET_ID, 1, EXAMPLE_CUSTOMER_ID)
        return True

    return log.write(seed)


def demo_ids(log: EventLog) -> DemoIds:
    """Return a pet (for sale, if any is), the example customer and that one's newest order. Raises NotSeeded."""

    def find(connection: Connection) -> DemoIds:
        best_first = (pets.c.status != PetStatus.AVAILABLE, pets.c.id != EXAMPLE_PET_ID, pets.c.id)
        pet_id = connection.execute(select(pets.c.id).order_by(*best_first).limit(1)).scalar()
        if pet_id is None:
            raise NotSeeded("pet")
        order_id = example_order_id(connection)
        if order_id is None:
            raise NotSeeded(f"order of {EXAMPLE_CUSTOMER_ID}")
        return DemoIds(pet_id, order_id, EXAMPLE_CUSTOMER_ID)

    return log.query(find)


def example_order_id(connection: Connection) -> str | None:
    """Return the newest order of the example customer."""
    newest = select(orders.c.id).filter_by(customer_id=EXAMPLE_CUSTOMER_ID).order_by(orders.c.id.desc()).limit(1)
    return connection.execute(newest).scalar()


def _is_empty(connection: Connection) -> bool:
    return all(connection.execute(select(table.c.id).limit(1)).first() is None for table in (pets, customers))


def _load(connection: Connection, catalogue: Catalogue) -> None:
    at = now()
    connection.execute(insert(pets), [dataclasses.asdict(pet) | {"created_at": at, "updated_at": at} for pet in catalogue.pets])
    connection.execute(
        insert(customers),
        [
            {
                "id": customer.id,
                "username": customer.username,
                "email": customer.email,
                "first_name": customer.first_name,
                "last_name": customer.last_name,
                "preferences": preferences_to_json(customer.preferences),
            }
            for customer in catalogue.customers
        ],
    )
    connection.execute(
        insert(likes),
        [
            {"customer_id": customer.id, "pet_id": pet_id, "position": position}
            for customer in catalogue.customers
            for position, pet_id in enumerate(customer.likes)
        ],
    )
