"""Customers for tests, put into a shop with what they like and have ordered."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import insert

from petstore.shop import Customer, Preferences, new_id
from petstore.shop.customers import customers, likes, preferences_to_json
from petstore.shop.orders import OrderStatus, orders
from petstore.sse import EventLog, Transaction

OTHERS = {"role": "CUSTOMER", "tokens_from": 0, "created_at": 1, "updated_at": 1}
"""What a row of a customer has besides."""


def add_customer(
    log: EventLog,
    preferences: Preferences = Preferences(),  # noqa: B008 (it's a value)
    liked: Iterable[str] = (),
    bought: Iterable[str] = (),
    cancelled: Iterable[str] = (),
    tenant: str = "",
) -> Customer:
    """Add a customer who likes, has ordered and has cancelled these pets. No stock is taken and no event told."""
    id, moment = new_id(), datetime.now(UTC)
    customer = Customer(
        id=id, username=id, email=id, preferences=preferences, likes=tuple(liked), created_at=moment, updated_at=moment
    )
    row = {"tenant": tenant, "id": id, "username": id, "email": id, "first_name": id, "last_name": id, **OTHERS}
    told = {
        "customer_id": id,
        "quantity": 1,
        "total_cents": 1,
        "currency": "USD",
        "last_event_id": 1,
        "tenant": tenant,
        "created_at": 1,
        "updated_at": 1,
    }
    placed = [(pet_id, OrderStatus.DELIVERED) for pet_id in bought]
    placed += [(pet_id, OrderStatus.CANCELLED) for pet_id in cancelled]

    def add(transaction: Transaction) -> None:
        connection = transaction.connection
        connection.execute(insert(customers).values(**row, preferences=preferences_to_json(preferences)))
        for position, pet_id in enumerate(customer.likes):
            connection.execute(insert(likes).values(tenant=tenant, customer_id=id, pet_id=pet_id, position=position))
        for pet_id, status in placed:
            connection.execute(insert(orders).values(id=new_id(), pet_id=pet_id, status=status, **told))

    log.write(add)
    return customer
