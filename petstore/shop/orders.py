"""Orders: placing, reading, paying and cancelling them. An order, its stock and its events change in one transaction.

Must not advance an order that is being paid: that is fulfilment's, in its own time.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    insert,
    select,
    update,
)

from petstore.shop.customers import customers
from petstore.shop.error import CustomerNotFound, OrderNotFound, WrongState
from petstore.shop.identity import new_id
from petstore.shop.inventory import put_back, take_stock
from petstore.shop.moment import now, span, to_datetime, to_timestamp
from petstore.sse import COMPLETE, DEFAULT_TYPE, Draft, EventLog, Transaction, metadata


class OrderStatus(StrEnum):
    """How far an order is."""

    PLACED = "PLACED"
    APPROVED = "APPROVED"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


class Step(StrEnum):
    """What is being done with an order just now; finer than its status, and what its stream tells."""

    PAYMENT_PROCESSING = "payment_processing"
    PAYMENT_CONFIRMED = "payment_confirmed"
    PREPARING_SHIPMENT = "preparing_shipment"
    SHIPPED = "shipped"


orders = Table(
    "orders",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("pet_id", String(36), ForeignKey("pets.id"), nullable=False),
    Column("customer_id", String(36), ForeignKey("customers.id")),
    Column("quantity", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("total_cents", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("tracking_number", String(18), unique=True),
    Column("step", String(20)),
    Column("due_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("quantity > 0", name="orders_quantity"),
    Index("orders_due", "due_at"),
    Index("orders_customer", "customer_id", "id"),
    Index("orders_pet", "pet_id"),
)
"""`step` and `due_at`: where fulfilment is with the order, and when its next step is due; NULL where there is none."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order at one moment; from `last_event_id` on, a stream of its topic tells everything that changed since."""

    id: str
    pet_id: str
    customer_id: str | None
    quantity: int
    status: OrderStatus
    total_cents: int
    currency: str
    tracking_number: str | None
    created_at: datetime
    updated_at: datetime
    last_event_id: int


def order_topic(order_id: str) -> str:
    """Return the topic of what happens to an order."""
    return f"orders/{order_id}"


def place_order(log: EventLog, pet_id: str, quantity: int, customer_id: str | None = None) -> Order:
    """Take the pets out of stock and place an order for them. Raises PetNotFound, OutOfStock, CustomerNotFound."""
    return log.write(lambda transaction: place(log, transaction, pet_id, quantity, customer_id))


def place(log: EventLog, transaction: Transaction, pet_id: str, quantity: int, customer_id: str | None = None) -> Order:
    """Do what `place_order` does, inside a transaction that the caller has. Raises as it does."""
    if quantity < 1:
        raise ValueError("an order is for one pet or more")
    connection = transaction.connection
    if customer_id is not None and not connection.execute(select(customers.c.id).filter_by(id=customer_id)).first():
        raise CustomerNotFound(customer_id)
    pet = take_stock(transaction, pet_id, quantity)
    at = now()
    row = connection.execute(
        insert(orders)
        .values(
            id=new_id(),
            pet_id=pet_id,
            customer_id=customer_id,
            quantity=quantity,
            status=OrderStatus.PLACED,
            total_cents=pet.price_cents * quantity,
            currency=pet.currency,
            created_at=at,
            updated_at=at,
        )
        .returning(*orders.c)
    ).one()
    return _order_from(row, log.head(connection))


def get_order(log: EventLog, order_id: str) -> Order:
    """Return the order. Raises OrderNotFound."""

    def read(connection: Connection) -> Order:
        row = connection.execute(select(orders).filter_by(id=order_id)).first()
        if row is None:
            raise OrderNotFound(order_id)
        return _order_from(row, log.head(connection))

    return log.query(read)


def pay_order(log: EventLog, order_id: str, step_s: float) -> Order:
    """Start the payment of an order; its next step is due after `step_s` seconds. Raises OrderNotFound, WrongState."""

    def pay(transaction: Transaction) -> Order:
        row = _lock(transaction.connection, order_id)
        if row.status != OrderStatus.PLACED or row.step is not None:
            raise WrongState(order_id, row.status, "pay")
        at = now()
        paid = _update(transaction.connection, order_id, step=Step.PAYMENT_PROCESSING, due_at=at + span(step_s), updated_at=at)
        transaction.append([step_draft(order_id, Step.PAYMENT_PROCESSING, at)])
        return _order_from(paid, log.head(transaction.connection))

    return log.write(pay)


def cancel_order(log: EventLog, order_id: str, reason: str) -> Order:
    """Cancel an order before it is shipped, put its pets back, end its topic. Raises OrderNotFound, WrongState."""

    def cancel(transaction: Transaction) -> Order:
        row = _lock(transaction.connection, order_id)
        if row.status not in (OrderStatus.PLACED, OrderStatus.APPROVED):
            raise WrongState(order_id, row.status, "cancel")
        cancelled = _update(
            transaction.connection, order_id, status=OrderStatus.CANCELLED, step=None, due_at=None, updated_at=now()
        )
        put_back(transaction, row.pet_id, row.quantity)
        transaction.append([Draft(order_topic(order_id), COMPLETE, {"status": "cancelled", "reason": reason})])
        return _order_from(cancelled, log.head(transaction.connection))

    return log.write(cancel)


def step_draft(order_id: str, step: Step, at: int) -> Draft:
    """Return the event that tells an order's stream which step it reached at the moment `at`."""
    return Draft(order_topic(order_id), DEFAULT_TYPE, {"status": step, "timestamp": to_timestamp(at)})


def _lock(connection: Connection, order_id: str) -> Row[Any]:
    row = connection.execute(select(orders).filter_by(id=order_id).with_for_update()).first()
    if row is None:
        raise OrderNotFound(order_id)
    return row


def _update(connection: Connection, order_id: str, **values: Any) -> Row[Any]:
    statement = update(orders).where(orders.c.id == order_id).values(**values).returning(*orders.c)
    return connection.execute(statement).one()


def _order_from(row: Row[Any], head: int) -> Order:
    return Order(
        id=row.id,
        pet_id=row.pet_id,
        customer_id=row.customer_id,
        quantity=row.quantity,
        status=OrderStatus(row.status),
        total_cents=row.total_cents,
        currency=row.currency,
        tracking_number=row.tracking_number,
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
        last_event_id=head,
    )
