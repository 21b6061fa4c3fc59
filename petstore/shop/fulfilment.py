"""Takes the orders that are being paid, of all tenants, through payment and shipping: step after step, each when it is due.

Each step is a compare-and-set on the order's step, in the same transaction as its event: it happens exactly once,
however many workers try, and one that was cut short has not happened. Its time is the one at which it was due, not the
one at which somebody noticed, so an order that was held up by a restart catches up.

Must not know leases: being run by one worker at a time saves work, and nothing here depends on it.
"""

import secrets
import string
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Row, bindparam, func, select, update

from petstore.shop.moment import SECOND, now, span
from petstore.shop.orders import OrderStatus, Step, cancel_order, order_topic, orders, step_draft
from petstore.shop.payments import PaymentStatus, declined_orders, settle_payments
from petstore.shop.tenant import Shop
from petstore.sse import COMPLETE, Draft, EventLog, Transaction

BATCH = 50
"""Orders that take their step in one transaction: few enough that nobody waits long for the write lock."""

_Row = Row[str, str, str, int, int]

_FOLLOWING = {
    Step.PAYMENT_PROCESSING: (Step.PAYMENT_CONFIRMED, OrderStatus.APPROVED),
    Step.PAYMENT_CONFIRMED: (Step.PREPARING_SHIPMENT, OrderStatus.APPROVED),
    Step.PREPARING_SHIPMENT: (Step.SHIPPED, OrderStatus.SHIPPED),
    Step.SHIPPED: (None, OrderStatus.DELIVERED),
}
"""For each step: the one that follows it, and the status that the order then has."""

_TELL = update(orders).where(orders.c.id == bindparam("order")).values(last_event_id=bindparam("event"))


class Fulfilment:
    """Advances the orders of all shops. Any number of these, in any number of processes, may do so at once."""

    def __init__(self, log: EventLog, step_s: float) -> None:
        self._log = log
        self._step = span(step_s)
        # Looking twice a step keeps the events near their times; once a second at the least, as nobody tells us of a
        # payment; and an idle shop isn't asked more than fifty times a second even where steps take no time.
        self._longest_pause_s = max(0.02, min(step_s / 2, 1.0))

    def advance(self) -> float:
        """Take every step that was due when this was called. Returns the seconds until it should be called again."""
        until = now()
        # Looked up first, since a write transaction for nothing would still make everybody else's wait.
        while (due := self._log.query(_next_due)) is not None and due <= until:
            if not self._log.write(lambda transaction: self._advance(transaction, until)):
                break
        if due is None:
            return self._longest_pause_s
        return min(max(0.0, (due - now()) / SECOND), self._longest_pause_s)

    def _advance(self, transaction: Transaction, until: int) -> int:
        due = (
            select(orders.c.id, orders.c.tenant, orders.c.step, orders.c.due_at, orders.c.updated_at)
            .where(orders.c.due_at <= until)
            .order_by(orders.c.due_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        rows = transaction.connection.execute(due).all()
        declined = self._settle(transaction, rows)
        steps = [(row.id, self._take_step(transaction.connection, row)) for row in rows if row.id not in declined]
        drafts = {order_id: draft for order_id, draft in steps if draft is not None}
        events = transaction.append(list(drafts.values()))
        if events:
            told = [{"order": order_id, "event": event.id} for order_id, event in zip(drafts, events, strict=True)]
            transaction.connection.execute(_TELL, told)
        return len(rows)

    def _settle(self, transaction: Transaction, rows: Sequence[_Row]) -> Collection[str]:
        """End the payments that have been processed. Returns the orders that end with theirs, since it was declined."""
        paying = {row.id: row.tenant for row in rows if row.step == Step.PAYMENT_PROCESSING}
        if not paying:
            return ()
        declined = declined_orders(transaction.connection, paying)
        for order_id, reason in declined.items():
            shop = Shop(self._log, paying[order_id]).within(transaction)
            cancel_order(shop, order_id, reason, payment_failed=True)
        settle_payments(transaction.connection, paying.keys() - declined.keys(), PaymentStatus.SUCCEEDED)
        return declined

    def _take_step(self, connection: Connection, row: _Row) -> Draft | None:
        """Move one order on. Returns the event to tell: None after the last step, and where another was first."""
        step, status = _FOLLOWING[Step(row.step)]
        values = {"step": step, "status": status, "due_at": step and row.due_at + self._step}
        # Steps that are due at the same moment still make versions of their own.
        values["updated_at"] = max(row.due_at, row.updated_at + 1)
        if step is Step.SHIPPED:
            values["tracking_number"] = new_tracking_number()
        unchanged = (orders.c.id == row.id) & (orders.c.step == row.step)
        if connection.execute(update(orders).where(unchanged).values(**values)).rowcount != 1 or step is None:
            return None
        if step is Step.SHIPPED:
            shipped = {"status": step, "trackingNumber": values["tracking_number"]}
            return Draft(order_topic(row.id), COMPLETE, shipped)
        return step_draft(row.id, step, row.due_at)


def new_tracking_number() -> str:
    """Return a random tracking number in the form of UPS: 1Z, a shipper, a service, a parcel and a check digit."""
    shipper = "".join(secrets.choice(string.digits + string.ascii_uppercase) for _ in range(6))
    body = f"{shipper}{secrets.randbelow(100):02d}{secrets.randbelow(10**7):07d}"
    return f"1Z{body}{check_digit(body)}"


def check_digit(body: str) -> int:
    """Return the digit that ends a tracking number: of the 15 characters after 1Z, every second one counts twice."""
    values = [int(character) if character.isdigit() else (ord(character) - 63) % 10 for character in body]
    return -(sum(values[::2]) + 2 * sum(values[1::2])) % 10


def _next_due(connection: Connection) -> int | None:
    return connection.execute(select(func.min(orders.c.due_at))).scalar()
