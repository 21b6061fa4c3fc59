"""The shop's customers and its staff: who they are, what they look for and which pets they like.

Must not change anything (that is accounts' work), nor know tokens or orders.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    Integer,
    Row,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    select,
)

from petstore.shop.error import CustomerNotFound
from petstore.shop.moment import to_datetime
from petstore.shop.pets import Size, Species
from petstore.shop.tenant import Shop
from petstore.sse import metadata


class Role(StrEnum):
    """What somebody is to the shop. Staff may change what it sells, and see to every customer's account and order."""

    CUSTOMER = "CUSTOMER"
    STAFF = "STAFF"


customers = Table(
    "customers",
    metadata,
    Column("tenant", String(36), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("username", String(50), nullable=False),
    Column("email", String(254), nullable=False),
    Column("first_name", String(80), nullable=False),
    Column("last_name", String(80), nullable=False),
    Column("preferences", JSON, nullable=False),
    Column("phone", String(16)),
    Column("role", String(10), nullable=False),
    Column("password_hash", String(200)),
    Column("tokens_from", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("tenant", "username"),
)
"""A customer without a `password_hash` can't sign in. Tokens from before `tokens_from`, the moment of a new password, are void."""

likes = Table(
    "likes",
    metadata,
    Column("tenant", String(36), primary_key=True),
    Column("customer_id", String(36), primary_key=True),
    Column("pet_id", String(36), primary_key=True),
    Column("position", Integer, nullable=False),
    ForeignKeyConstraint(["tenant", "customer_id"], ["customers.tenant", "customers.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["tenant", "pet_id"], ["pets.tenant", "pets.id"], ondelete="CASCADE"),
    Index("likes_pet", "tenant", "pet_id"),
)
"""Which pets a customer likes, in the order of `position`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What a customer looks for, where an empty tuple, or None, means that anything will do; and which mail is welcome."""

    species: tuple[Species, ...] = ()
    sizes: tuple[Size, ...] = ()
    temperament: tuple[str, ...] = ()
    max_price_cents: int | None = None
    good_with_kids: bool | None = None
    newsletter: bool = False
    notifications: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What customers say of themselves, and may change."""

    username: str
    email: str
    first_name: str = ""
    last_name: str = ""
    phone: str | None = None
    preferences: Preferences = Preferences()


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer(Profile):
    """A customer, or one of the staff; `likes` are ids of pets."""

    id: str
    role: Role = Role.CUSTOMER
    likes: tuple[str, ...] = ()
    created_at: datetime
    updated_at: datetime


# Built once: building a statement takes longer than SQLite takes for it.
_FIND = select(customers).where(customers.c.tenant == bindparam("of_tenant"), customers.c.id == bindparam("customer"))
_KNOWN = select(customers.c.id).where(customers.c.tenant == bindparam("of_tenant"), customers.c.id == bindparam("customer"))
_LIKED = (
    select(likes.c.pet_id)
    .where(likes.c.tenant == bindparam("of_tenant"), likes.c.customer_id == bindparam("customer"))
    .order_by(likes.c.position)
)


def get_customer(shop: Shop, customer_id: str) -> Customer:
    """Return the customer. Raises CustomerNotFound."""
    return shop.query(lambda connection: read_customer(shop, connection, customer_id))


def read_customer(shop: Shop, connection: Connection, customer_id: str) -> Customer:
    """Do what `get_customer` does, on a snapshot that the caller has."""
    key = {"of_tenant": shop.tenant, "customer": customer_id}
    row = connection.execute(_FIND, key).first()
    if row is None:
        raise CustomerNotFound(customer_id)
    return _customer_from(row, tuple(connection.execute(_LIKED, key).scalars()))


def expect_customer(shop: Shop, connection: Connection, customer_id: str) -> None:
    """Raise CustomerNotFound when there is no such customer, on a snapshot that the caller has."""
    if connection.execute(_KNOWN, {"of_tenant": shop.tenant, "customer": customer_id}).first() is None:
        raise CustomerNotFound(customer_id)


def profile_to_row(profile: Profile) -> dict[str, Any]:
    """Return what the table keeps of a profile."""
    return {
        "username": profile.username,
        "email": profile.email,
        "first_name": profile.first_name,
        "last_name": profile.last_name,
        "phone": profile.phone,
        "preferences": preferences_to_json(profile.preferences),
    }


def preferences_to_json(preferences: Preferences) -> dict[str, Any]:
    """Return what the table keeps of `preferences`."""
    return {
        "species": list(preferences.species),
        "sizes": list(preferences.sizes),
        "temperament": list(preferences.temperament),
        "max_price_cents": preferences.max_price_cents,
        "good_with_kids": preferences.good_with_kids,
        "newsletter": preferences.newsletter,
        "notifications": preferences.notifications,
    }


def _customer_from(row: Row[Any], liked: tuple[str, ...]) -> Customer:
    return Customer(
        id=row.id,
        username=row.username,
        email=row.email,
        first_name=row.first_name,
        last_name=row.last_name,
        phone=row.phone,
        preferences=_preferences_from(row.preferences),
        role=Role(row.role),
        likes=liked,
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
    )


def _preferences_from(kept: Mapping[str, Any]) -> Preferences:
    return Preferences(
        species=tuple(Species(species) for species in kept["species"]),
        sizes=tuple(Size(size) for size in kept["sizes"]),
        temperament=tuple(kept["temperament"]),
        max_price_cents=kept["max_price_cents"],
        good_with_kids=kept["good_with_kids"],
        # Customers from before there was mail to choose have not said.
        newsletter=kept.get("newsletter", False),
        notifications=kept.get("notifications", True),
    )
