"""Who likes what and who bought what: what customers have shown interest in, as pairs of a customer and a pet.

An order counts from the moment at which it's placed until it's cancelled. Must not know what is made of it.
"""

from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select, tuple_

from petstore.shop.customers import likes
from petstore.shop.orders import OrderStatus, orders
from petstore.shop.tenant import Shop


class Pair(NamedTuple):
    """A customer and a pet; `key` is where to go on after this pair."""

    customer_id: str
    pet_id: str
    key: tuple[str, str]


FIRST_KEY = ("", "")
"""Before every pair."""

_OWNED = (
    select(orders.c.pet_id)
    .where(
        orders.c.tenant == bindparam("tenant"),
        orders.c.customer_id == bindparam("customer_id"),
        orders.c.status != OrderStatus.CANCELLED,
    )
    .group_by(orders.c.pet_id)
    .order_by(func.max(orders.c.id).desc())
)
_LIKED = (
    select(likes.c.customer_id, likes.c.pet_id)
    .where(likes.c.tenant == bindparam("tenant"))
    .where(tuple_(likes.c.customer_id, likes.c.pet_id) > tuple_(bindparam("customer_id"), bindparam("other_id")))
    .order_by(likes.c.customer_id, likes.c.pet_id)
    .limit(bindparam("limit"))
)
_BOUGHT = (
    select(orders.c.customer_id, orders.c.pet_id, orders.c.id)
    .where(
        orders.c.tenant == bindparam("tenant"),
        tuple_(orders.c.customer_id, orders.c.id) > tuple_(bindparam("customer_id"), bindparam("other_id")),
        orders.c.status != OrderStatus.CANCELLED,
    )
    .order_by(orders.c.customer_id, orders.c.id)
    .limit(bindparam("limit"))
)


def owned_pets(shop: Shop, connection: Connection, customer_id: str) -> tuple[str, ...]:
    """Return the ids of the pets that a customer has ordered and not cancelled, each once, the newest order first."""
    return tuple(connection.execute(_OWNED, {"tenant": shop.tenant, "customer_id": customer_id}).scalars())


def liked_pairs(shop: Shop, connection: Connection, after: tuple[str, str], limit: int) -> list[Pair]:
    """Return up to `limit` pairs of a customer and a pet that this one likes, after the key `after`."""
    rows = connection.execute(_LIKED, {"tenant": shop.tenant, "customer_id": after[0], "other_id": after[1], "limit": limit})
    return [Pair(customer_id, pet_id, (customer_id, pet_id)) for customer_id, pet_id in rows]


def bought_pairs(shop: Shop, connection: Connection, after: tuple[str, str], limit: int) -> list[Pair]:
    """Return up to `limit` pairs of a customer and a pet that this one bought, one for each order, after the key `after`."""
    rows = connection.execute(_BOUGHT, {"tenant": shop.tenant, "customer_id": after[0], "other_id": after[1], "limit": limit})
    return [Pair(customer_id, pet_id, (customer_id, order_id)) for customer_id, pet_id, order_id in rows]
