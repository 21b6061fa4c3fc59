"""Idempotency keys: what was done once under a key isn't done again, and whoever asks again is told what was told then.

The key, the change and what was said of it are one transaction. So of two requests with one key the second waits for the
first and then reads its answer, in whichever process; and a request that failed has left no key behind, and may be tried
again. Must not know what an answer is: it's text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    String,
    Table,
    Text,
    and_,
    delete,
    or_,
    select,
    text,
    tuple_,
    update,
)

from petstore.shop.error import KeyReused
from petstore.shop.moment import DAY, now
from petstore.shop.tenant import Shop
from petstore.sse import Transaction, metadata

KEPT = DAY
"""For how long a key is known."""

REMOVALS = 100
"""Old keys removed with each new one: enough to keep up, and few enough that nobody waits for it."""

keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant", String(36), primary_key=True),
    Column("caller", String(80), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("answer", Text),
    Column("created_at", BigInteger, nullable=False),
    Index("idempotency_keys_created", "created_at"),
)
"""`answer` is NULL only inside the transaction that makes it."""

# Not an upsert of SQLAlchemy's, which takes longer to build than SQLite to run.
_CLAIM = text(
    "INSERT INTO idempotency_keys (tenant, caller, key, fingerprint, created_at)"
    " VALUES (:tenant, :caller, :key, :fingerprint, :at) ON CONFLICT DO NOTHING"
)


_KEY = (keys.c.tenant, keys.c.caller, keys.c.key)
_OLDEST = tuple_(*_KEY).in_(select(*_KEY).order_by(keys.c.created_at).limit(REMOVALS))


@dataclass(frozen=True, slots=True)
class Key:
    """What a caller named a request, and a digest of what the request says."""

    caller: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Mentions:
    """The callers and keys of the answers that had a text `about` somebody in them, at the moment when it was `looked_at`."""

    about: str
    looked_at: int
    keys: Sequence[tuple[str, str]]


def once(shop: Shop, key: Key, act: Callable[[Shop], str]) -> tuple[str, bool]:
    """Do `act` in one transaction with the key, and return what it says, or what it said before; and whether that was before.

    Raises KeyReused when the key stands for another request, and whatever `act` raises.
    """

    def find_or_act(transaction: Transaction) -> tuple[str, bool]:
        connection = transaction.connection
        this = and_(keys.c.tenant == shop.tenant, keys.c.caller == key.caller, keys.c.key == key.key)
        connection.execute(delete(keys).where(keys.c.created_at < now() - KEPT, or_(this, _OLDEST)))
        claim = {"tenant": shop.tenant, "caller": key.caller, "key": key.key, "fingerprint": key.fingerprint, "at": now()}
        if connection.execute(_CLAIM, claim).rowcount == 1:
            answer = act(shop.within(transaction))
            connection.execute(update(keys).where(this).values(answer=answer))
            return answer, False
        known = connection.execute(select(keys.c.fingerprint, keys.c.answer).where(this)).one()
        if known.fingerprint != key.fingerprint:
            raise KeyReused(key.key)
        return known.answer, True

    return shop.write(find_or_act)


def find_answers(shop: Shop, about: str) -> Mentions:
    """Find the keys whose answer has the text `about` in it, which takes a look at each: not for a transaction that locks."""
    at = now()
    found = select(keys.c.caller, keys.c.key).where(keys.c.tenant == shop.tenant, _mentions(about))
    return Mentions(about, at, [(row.caller, row.key) for row in shop.query(lambda connection: connection.execute(found).all())])


def forget_answers(shop: Shop, caller: str, found: Mentions) -> None:
    """Forget the keys of a caller, and those found, with whatever has come since."""
    since = and_(keys.c.created_at >= found.looked_at, _mentions(found.about))
    ours = [keys.c.caller == caller, since, *(and_(keys.c.caller == other, keys.c.key == key) for other, key in found.keys)]

    def forget(transaction: Transaction) -> None:
        for these in ours:
            transaction.connection.execute(delete(keys).where(keys.c.tenant == shop.tenant, these))

    shop.write(forget)


def _mentions(about: str) -> ColumnElement[bool]:
    return keys.c.answer.contains(about, autoescape=True)
