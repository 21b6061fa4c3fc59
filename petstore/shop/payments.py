"""Payments: what was tried for which order, by which card or account, and what came of it.

Of a number only its last four digits are ever kept. Must not know what a payment does to its order: that is the order's.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Connection, ForeignKey, Index, String, Table, insert, select, update

from petstore.shop.error import PaymentNotFound
from petstore.shop.gateway import BankAccount, Card, Verdict
from petstore.shop.identity import new_id
from petstore.shop.moment import now, to_datetime
from petstore.shop.tenant import Shop
from petstore.sse import metadata


class PaymentStatus(StrEnum):
    """How far a payment is."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


payments = Table(
    "payments",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("order_id", String(36), ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("source", JSON, nullable=False),
    Column("status", String(20), nullable=False),
    Column("decline", String(80)),
    Column("created_at", BigInteger, nullable=False),
    Index("payments_order", "order_id", "status"),
)
"""`source` is masked. `decline`: why it has FAILED, or, while it is PROCESSING, why it will."""


@dataclass(frozen=True, slots=True)
class Payment:
    """One try at paying for an order; `source` is masked, with the keys that the wire has."""

    id: str
    order_id: str
    amount_cents: int
    currency: str
    source: Mapping[str, Any]
    status: PaymentStatus
    decline: str | None
    created_at: datetime


def record_payment(
    connection: Connection, order_id: str, amount_cents: int, currency: str, source: Card | BankAccount, verdict: Verdict
) -> Payment:
    """Keep a payment that was refused at once, or that is now being processed."""
    status = PaymentStatus.PROCESSING if verdict.refused is None else PaymentStatus.FAILED
    decline, at = verdict.refused or verdict.fails, now()
    payment = Payment(new_id(), order_id, amount_cents, currency, source.masked(), status, verdict.refused, to_datetime(at))
    row = {"id": payment.id, "order_id": order_id, "amount_cents": amount_cents, "currency": currency, "source": payment.source}
    connection.execute(insert(payments).values(**row, status=status, decline=decline, created_at=at))
    return payment


def get_payment(shop: Shop, order_id: str) -> Payment:
    """Return the newest payment for an order. Raises PaymentNotFound."""
    newest = select(payments).filter_by(order_id=order_id).order_by(payments.c.id.desc()).limit(1)
    row = shop.query(lambda connection: connection.execute(newest).first())
    if row is None:
        raise PaymentNotFound(order_id)
    status = PaymentStatus(row.status)
    decline = row.decline if status is PaymentStatus.FAILED else None
    return Payment(row.id, order_id, row.amount_cents, row.currency, row.source, status, decline, to_datetime(row.created_at))


def declined_orders(connection: Connection, order_ids: Collection[str]) -> dict[str, str]:
    """Return those of the orders whose payment, which is being processed, won't succeed; and why."""
    failing = select(payments.c.order_id, payments.c.decline).where(
        payments.c.order_id.in_(order_ids), payments.c.status == PaymentStatus.PROCESSING, payments.c.decline.is_not(None)
    )
    return {row.order_id: row.decline for row in connection.execute(failing)}


def settle_payments(connection: Connection, order_ids: Collection[str], status: PaymentStatus) -> None:
    """Say what has come of the orders' payments; those that were refused at once stay so."""
    ours = payments.c.order_id.in_(order_ids) & (payments.c.status != PaymentStatus.FAILED)
    connection.execute(update(payments).where(ours).values(status=status))
