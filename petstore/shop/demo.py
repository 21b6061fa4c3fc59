"""The demo's simulated people: shoppers who order, pay and change their minds, and a clerk who refills and reprices.

They act through the functions that real requests use, on the pets of the catalogue alone, and never for the example
customer. What they order is noted in `demo_orders`, so that it can be paid later, whatever restarts in between, and
removed a day after it has ended: the shop doesn't grow. Visitors' orders aren't in that table and are never removed.

Must not run in a real shop.
"""

import contextlib
import random
from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Index, String, Table, delete, insert, select, update

from petstore.shop.catalogue import read_catalogue
from petstore.shop.error import CustomerNotFound, OutOfStock, PetNotFound, WrongState
from petstore.shop.inventory import Change, change_inventory
from petstore.shop.moment import DAY, now, span
from petstore.shop.orders import OrderStatus, cancel_order, order_topic, orders, pay_order, place_order
from petstore.shop.pets import pets, present
from petstore.shop.seed import EXAMPLE_CUSTOMER_ID, seeded_order_id
from petstore.shop.tenant import Shop
from petstore.sse import Transaction, metadata

REMOVALS = 100
"""Old orders removed in one transaction: far more than a shopper places between two, and still only milliseconds."""

_PAY, _REMOVE = "pay", "remove"

demo_orders = Table(
    "demo_orders",
    metadata,
    Column("order_id", String(36), ForeignKey("orders.id"), primary_key=True),
    Column("action", String(10), nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Index("demo_orders_due", "action", "due_at"),
)
"""Orders of simulated shoppers; what happens next to each (it's paid, or removed), and when."""


class Demo:
    """The people of one demo shop. Each step returns the seconds until the next, one or two, at random."""

    def __init__(self, shop: Shop, step_s: float, chance: random.Random | None = None) -> None:
        self._shop = shop
        self._step_s = step_s
        self._chance = chance or random.Random()
        self._example_is_paid = False
        catalogue = read_catalogue()
        self._pets = {pet.id: pet for pet in catalogue.pets}
        self._customer_ids = [customer.id for customer in catalogue.customers if customer.id != EXAMPLE_CUSTOMER_ID]

    def shop(self) -> float:
        """One shopper places an order, those who are ready pay or cancel, and orders that ended long ago go away."""
        if not self._example_is_paid:
            self._pay_example()
        for order_id in self._shop.query(lambda connection: _due(connection, _PAY)):
            self._settle(order_id)
        self._place()
        self._remove_ended()
        return self._chance.uniform(1.0, 2.0)

    def restock(self) -> float:
        """The clerk refills what ran lowest, now and then several pets at once, and changes a price."""
        # One transaction, so that nothing is sold between the counting and the refilling.
        self._shop.together(lambda shop: change_inventory(shop, shop.query(self._plan_changes)))
        return self._chance.uniform(1.0, 2.0)

    def _pay_example(self) -> None:
        """Pay the order that came with the shop, once, so that its stream replays a whole life. Visitors' are theirs to pay."""
        order_id = self._shop.query(lambda connection: seeded_order_id(self._shop, connection))
        if order_id is not None:
            with contextlib.suppress(WrongState):  # Paid in an earlier life of this process.
                pay_order(self._shop, order_id, self._step_s)
        self._example_is_paid = True

    def _place(self) -> None:
        pet_id = self._chance.choice(list(self._pets))
        customer_id = self._chance.choice([*self._customer_ids, None])
        pay_at = now() + span(self._chance.uniform(0.5, 2.0))

        def place_and_note(transaction: Transaction) -> None:
            order = place_order(self._shop.within(transaction), pet_id, 1, customer_id)
            transaction.connection.execute(insert(demo_orders).values(order_id=order.id, action=_PAY, due_at=pay_at))

        with contextlib.suppress(OutOfStock, PetNotFound, CustomerNotFound):  # A shopper who finds nothing leaves.
            self._shop.write(place_and_note)

    def _settle(self, order_id: str) -> None:
        with contextlib.suppress(WrongState):  # A visitor was first, or a worker was killed right after the payment.
            if self._chance.random() < 0.85:
                pay_order(self._shop, order_id, self._step_s)
            else:
                cancel_order(self._shop, order_id, "the customer changed their mind")
        self._shop.write(lambda transaction: _note_removal(transaction.connection, [order_id]))

    def _remove_ended(self) -> None:
        due = self._shop.query(lambda connection: _due(connection, _REMOVE))
        if due:
            self._shop.write(lambda transaction: self._remove(transaction, due))

    def _remove(self, transaction: Transaction, due: Sequence[str]) -> None:
        connection = transaction.connection
        ended = select(orders.c.id).where(
            orders.c.id.in_(due),
            orders.c.status.in_((OrderStatus.DELIVERED, OrderStatus.CANCELLED)),
            orders.c.updated_at < now() - DAY,
        )
        ids = connection.execute(ended).scalars().all()
        connection.execute(delete(demo_orders).where(demo_orders.c.order_id.in_(ids)))
        connection.execute(delete(orders).where(orders.c.id.in_(ids)))
        self._shop.log.forget(transaction, [order_topic(id) for id in ids])
        # What goes on longer than a day, because fulfilment rests, is looked at again tomorrow.
        _note_removal(connection, due)

    def _plan_changes(self, connection: Connection) -> list[Change]:
        rows = connection.execute(select(pets.c.id, pets.c.stock).where(*present(self._shop), pets.c.id.in_(self._pets)))
        shelf = {row.id: row.stock for row in rows}
        half_sold = [pet_id for pet_id, stock in shelf.items() if stock <= self._pets[pet_id].stock // 2]
        half_sold.sort(key=lambda pet_id: (shelf[pet_id], self._chance.random()))
        # Refilled to what the catalogue has, and more pets a round than are sold: the shelves never run empty for long.
        changes = [Change(pet_id, stock=self._pets[pet_id].stock) for pet_id in half_sold[: self._chance.choice((1, 1, 2, 4, 12))]]
        if shelf:
            pet = self._pets[self._chance.choice(list(shelf))]
            # Always from the catalogue's price, so that the prices of a shop that runs for weeks don't wander off.
            changes.append(Change(pet.id, price_cents=pet.price_cents * self._chance.randint(85, 115) // 100))
        return changes


def _due(connection: Connection, action: str) -> Sequence[str]:
    due = select(demo_orders.c.order_id).where(demo_orders.c.action == action, demo_orders.c.due_at <= now())
    return connection.execute(due.order_by(demo_orders.c.due_at).limit(REMOVALS)).scalars().all()


def _note_removal(connection: Connection, order_ids: Sequence[str]) -> None:
    statement = update(demo_orders).where(demo_orders.c.order_id.in_(order_ids))
    # A little more than the day, since an order ends some steps after it was paid.
    connection.execute(statement.values(action=_REMOVE, due_at=now() + DAY + DAY // 24))
