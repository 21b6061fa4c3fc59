"""Tenants' copies of the demo shop: made at a tenant's first request, and removed when room is needed and nobody has used
one for long.

Must not touch the shop that all share, nor a tenant's shop that isn't a copy: one that was opened when the demo was off.
"""

from sqlalchemy import BigInteger, Column, Connection, Index, String, Table, delete, func, insert, select, update

from petstore.shop.customers import customers, likes
from petstore.shop.error import TooManyTenants
from petstore.shop.idempotency import keys
from petstore.shop.inventory import inventory_topic
from petstore.shop.moment import DAY, now
from petstore.shop.orders import order_topic, orders
from petstore.shop.pets import pets
from petstore.shop.seed import is_empty, seed_shop
from petstore.shop.tenant import Shop
from petstore.sse import Transaction, metadata

MAX_COPIES = 1_000
"""A name is all that it takes to get one, and each is a hundred rows."""

KEPT_UNUSED = 7 * DAY
"""How long a copy that nobody uses stays, whoever wants the room: a client that tests every week finds the shop as it was left."""

NOTED_EVERY = DAY // 24
"""How precisely it's known when a copy was last used: noting it takes the write lock."""

copies = Table(
    "copies",
    metadata,
    Column("tenant", String(36), primary_key=True),
    Column("used_at", BigInteger, nullable=False),
    Index("copies_used", "used_at"),
)


def open_copy(shop: Shop) -> str | None:
    """Give a tenant a copy of the demo shop, unless there is something already, and note that it's used.

    Returns the tenant whose copy had to make room for it, if one had to. Raises TooManyTenants.
    """

    def is_settled(connection: Connection) -> bool:
        used_at = connection.execute(select(copies.c.used_at).filter_by(tenant=shop.tenant)).scalar()
        if used_at is not None:
            return bool(used_at > now() - NOTED_EVERY)
        if not is_empty(shop, connection):
            return True
        _in_the_way(connection)  # Whoever is refused neither waits for the write lock nor holds it.
        return False

    return None if shop.query(is_settled) else shop.write(lambda transaction: _note_or_make(shop.within(transaction), transaction))


def _note_or_make(shop: Shop, transaction: Transaction) -> str | None:
    connection = transaction.connection
    # Asked again, now that nobody else can write: another request, or another process, may have made it since, or removed it.
    if connection.execute(update(copies).filter_by(tenant=shop.tenant).values(used_at=now())).rowcount:
        return None
    removed = _in_the_way(connection)
    if not seed_shop(shop):
        return None
    if removed is not None:
        _remove(Shop(shop.log, removed), transaction)
    connection.execute(insert(copies).values(tenant=shop.tenant, used_at=now()))
    return removed


def _in_the_way(connection: Connection) -> str | None:
    """Return the tenant whose copy has to go before there is a new one; None where there is room. Raises TooManyTenants."""
    if connection.execute(select(func.count()).select_from(copies)).scalar_one() < MAX_COPIES:
        return None
    unused = select(copies.c.tenant).where(copies.c.used_at < now() - KEPT_UNUSED).order_by(copies.c.used_at).limit(1)
    tenant: str | None = connection.execute(unused).scalar()
    if tenant is None:
        raise TooManyTenants(MAX_COPIES)
    return tenant


def _remove(shop: Shop, transaction: Transaction) -> None:
    connection = transaction.connection
    ids = connection.execute(select(orders.c.id).filter_by(tenant=shop.tenant)).scalars()
    shop.log.forget(transaction, [inventory_topic(shop), *map(order_topic, ids)])
    # Runs go by themselves, when their events do.
    for table in (orders, likes, customers, pets, keys, copies):
        connection.execute(delete(table).where(table.c.tenant == shop.tenant))
