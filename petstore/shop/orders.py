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
    ForeignKeyConstraint,
    Index,
    Integer,
    Row,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from petstore.shop.customers import expect_customer
from petstore.shop.error import OrderNotFound, WrongAmount, WrongState
from petstore.shop.gateway import TEST_CARD, BankAccount, Card, judge
from petstore.shop.identity import new_id
from petstore.shop.inventory import put_back, take_stock
from petstore.shop.moment import following, now, span, to_datetime, to_timestamp
from petstore.shop.money import render_money
from petstore.shop.page import Page
from petstore.shop.payments import Payment, PaymentStatus, record_payment, settle_payments
from petstore.shop.tenant import Shop
from petstore.sse import COMPLETE, DEFAULT_TYPE, Draft, Transaction, metadata


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
    Column("tenant", String(36), nullable=False),
    Column("pet_id", String(36), nullable=False),
    Column("customer_id", String(36)),
    Column("quantity", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("total_cents", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("tracking_number", String(18), unique=True),
    Column("step", String(20)),
    Column("due_at", BigInteger),
    Column("last_event_id", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant", "pet_id"], ["pets.tenant", "pets.id"]),
    ForeignKeyConstraint(["tenant", "customer_id"], ["customers.tenant", "customers.id"]),
    CheckConstraint("quantity > 0", name="orders_quantity"),
    Index("orders_due", "due_at"),
    Index("orders_customer", "tenant", "customer_id", "id"),
    Index("orders_pet", "tenant", "pet_id"),
)
"""`step` and `due_at`: where fulfilment is with the order, and when its next step is due; NULL where there is none.

`updated_at` is the order's version, and `last_event_id` the head of the log at that moment: an order that doesn't change
reads as the same bytes, whatever else happens in the log.
"""


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


def place_order(shop: Shop, pet_id: str, quantity: int, customer_id: str | None = None) -> Order:
    """Take the pets out of stock and place an order for them. Raises PetNotFound, OutOfStock, CustomerNotFound."""
    if quantity < 1:
        raise ValueError("an order is for one pet or more")

    def place(transaction: Transaction) -> Order:
        connection = transaction.connection
        if customer_id is not None:
            expect_customer(shop, connection, customer_id)
        pet = take_stock(shop.within(transaction), pet_id, quantity)
        at = now()
        row = {
            "id": new_id(),
            "tenant": shop.tenant,
            "pet_id": pet_id,
            "customer_id": customer_id,
            "quantity": quantity,
            "status": OrderStatus.PLACED,
            "total_cents": pet.price_cents * quantity,
            "currency": pet.currency,
            "last_event_id": shop.log.head(connection),
            "created_at": at,
            "updated_at": at,
        }
        return _order_from(connection.execute(insert(orders).values(**row).returning(*orders.c)).one())

    return shop.write(place)


def get_order(shop: Shop, order_id: str) -> Order:
    """Return the order. Raises OrderNotFound."""
    return _order_from(shop.query(lambda connection: _find(shop, connection, order_id)))


def list_orders(shop: Shop, customer_id: str, page: int, limit: int) -> Page[Order]:
    """Return page `page` of a customer's orders, the newest first."""

    def read(connection: Connection) -> Page[Order]:
        own = (orders.c.tenant == shop.tenant, orders.c.customer_id == customer_id)
        total = connection.execute(select(func.count()).select_from(orders).where(*own)).scalar_one()
        offset = min((page - 1) * limit, total)  # The database's integers end somewhere.
        rows = connection.execute(select(orders).where(*own).order_by(orders.c.id.desc()).limit(limit).offset(offset))
        return Page([_order_from(row) for row in rows], page, limit, total)

    return shop.query(read)


def pay_order(
    shop: Shop, order_id: str, step_s: float, source: Card | BankAccount = TEST_CARD, amount: tuple[int, str] | None = None
) -> tuple[Order, Payment]:
    """Pay for an order, with `amount` (cents and currency; None: what it costs). Raises OrderNotFound, WrongState, WrongAmount.

    A payment that is refused at once leaves the order as it is, to be paid in another way. Otherwise the payment is being
    processed, and the order's next step is due after `step_s` seconds.
    """

    def pay(transaction: Transaction) -> tuple[Order, Payment]:
        row = _lock(shop, transaction.connection, order_id)
        if row.status != OrderStatus.PLACED or row.step is not None:
            raise WrongState(order_id, row.status, "pay")
        if amount not in (None, (row.total_cents, row.currency)):
            raise WrongAmount(order_id, f"{render_money(row.total_cents)} {row.currency}")
        at = now()
        verdict = judge(source, to_datetime(at))
        payment = record_payment(transaction.connection, order_id, row.total_cents, row.currency, source, verdict)
        if verdict.refused is not None:
            return _order_from(row), payment
        transaction.append([step_draft(order_id, Step.PAYMENT_PROCESSING, at)])
        return _change(shop, transaction, row, step=Step.PAYMENT_PROCESSING, due_at=at + span(step_s)), payment

    return shop.write(pay)


def cancel_order(shop: Shop, order_id: str, reason: str, payment_failed: bool = False) -> Order:
    """Cancel an order before it is shipped, put its pets back, end its topic. Raises OrderNotFound, WrongState.

    `payment_failed`: nobody wanted that, but its payment, which was being processed, was declined.
    """
    status, settled = ("payment_failed", PaymentStatus.FAILED) if payment_failed else ("cancelled", PaymentStatus.CANCELLED)

    def cancel(transaction: Transaction) -> Order:
        row = _lock(shop, transaction.connection, order_id)
        if row.status not in (OrderStatus.PLACED, OrderStatus.APPROVED):
            raise WrongState(order_id, row.status, "cancel")
        put_back(shop.within(transaction), row.pet_id, row.quantity)
        settle_payments(transaction.connection, [order_id], settled)
        transaction.append([Draft(order_topic(order_id), COMPLETE, {"status": status, "reason": reason})])
        return _change(shop, transaction, row, status=OrderStatus.CANCELLED, step=None, due_at=None)

    return shop.write(cancel)


def step_draft(order_id: str, step: Step, at: int) -> Draft:
    """Return the event that tells an order's stream which step it reached at the moment `at`."""
    return Draft(order_topic(order_id), DEFAULT_TYPE, {"status": step, "timestamp": to_timestamp(at)})


def _lock(shop: Shop, connection: Connection, order_id: str) -> Row[Any]:
    """Return the order's row, which nobody else can change until the transaction ends. Raises OrderNotFound."""
    return _find(shop, connection, order_id, for_update=True)


def _change(shop: Shop, transaction: Transaction, row: Row[Any], **values: Any) -> Order:
    """Store what has become of a locked order, once its events are appended."""
    version = {"updated_at": following(row.updated_at), "last_event_id": shop.log.head(transaction.connection)}
    statement = update(orders).where(orders.c.id == row.id).values(**values, **version).returning(*orders.c)
    return _order_from(transaction.connection.execute(statement).one())


def _find(shop: Shop, connection: Connection, order_id: str, for_update: bool = False) -> Row[Any]:
    wanted = select(orders).filter_by(tenant=shop.tenant, id=order_id)
    row = connection.execute(wanted.with_for_update() if for_update else wanted).first()
    if row is None:
        raise OrderNotFound(order_id)
    return row


def _order_from(row: Row[Any]) -> Order:
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
        last_event_id=row.last_event_id,
    )
