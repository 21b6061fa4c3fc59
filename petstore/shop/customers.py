"""The shop's customers, what they look for and which pets they like.

Must not know passwords or tokens, and not orders.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, Connection, ForeignKeyConstraint, Index, Integer, String, Table, UniqueConstraint, select

from petstore.shop.error import CustomerNotFound
from petstore.shop.pets import Size, Species
from petstore.shop.tenant import Shop
from petstore.sse import metadata

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
    UniqueConstraint("tenant", "username"),
)

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


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a customer looks for. An empty tuple, or None, means that anything will do."""

    species: tuple[Species, ...] = ()
    sizes: tuple[Size, ...] = ()
    temperament: tuple[str, ...] = ()
    max_price_cents: int | None = None
    good_with_kids: bool | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer; `likes` are ids of pets."""

    id: str
    username: str
    email: str
    first_name: str
    last_name: str
    preferences: Preferences
    likes: tuple[str, ...]


def get_customer(shop: Shop, customer_id: str) -> Customer:
    """Return the customer. Raises CustomerNotFound."""
    customer = shop.query(lambda connection: find_customer(shop, connection, customer_id))
    if customer is None:
        raise CustomerNotFound(customer_id)
    return customer


def find_customer(shop: Shop, connection: Connection, customer_id: str) -> Customer | None:
    """Return the customer as this snapshot sees it, or None."""
    row = connection.execute(select(customers).filter_by(tenant=shop.tenant, id=customer_id)).first()
    if row is None:
        return None
    liked = select(likes.c.pet_id).filter_by(tenant=shop.tenant, customer_id=customer_id).order_by(likes.c.position)
    return Customer(
        row.id,
        row.username,
        row.email,
        row.first_name,
        row.last_name,
        _preferences_from(row.preferences),
        tuple(connection.execute(liked).scalars()),
    )


def preferences_to_json(preferences: Preferences) -> dict[str, Any]:
    """Return what the table keeps of `preferences`."""
    return {
        "species": list(preferences.species),
        "sizes": list(preferences.sizes),
        "temperament": list(preferences.temperament),
        "max_price_cents": preferences.max_price_cents,
        "good_with_kids": preferences.good_with_kids,
    }


def _preferences_from(kept: Mapping[str, Any]) -> Preferences:
    return Preferences(
        tuple(Species(species) for species in kept["species"]),
        tuple(Size(size) for size in kept["sizes"]),
        tuple(kept["temperament"]),
        kept["max_price_cents"],
        kept["good_with_kids"],
    )
