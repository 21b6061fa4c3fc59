"""The pets that the shop sells: what is known about each, and how they are found.

Must not change stock or price: every such change is told to the world, which is inventory's work.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    func,
    select,
)

from petstore.shop.error import PetNotFound
from petstore.shop.moment import to_datetime
from petstore.shop.page import Page
from petstore.shop.tenant import Shop
from petstore.sse import metadata


class Species(StrEnum):
    """What kind of animal a pet is."""

    DOG = "DOG"
    CAT = "CAT"
    RABBIT = "RABBIT"
    BIRD = "BIRD"
    REPTILE = "REPTILE"
    OTHER = "OTHER"


class Size(StrEnum):
    """How large a pet is when grown."""

    SMALL = "SMALL"
    MEDIUM = "MEDIUM"
    LARGE = "LARGE"


class Gender(StrEnum):
    """A pet's sex, where it is known."""

    MALE = "MALE"
    FEMALE = "FEMALE"
    UNKNOWN = "UNKNOWN"


class PetStatus(StrEnum):
    """Whether a pet can be bought. Stock moves it between AVAILABLE and NOT_AVAILABLE; the rest is staff's to set."""

    AVAILABLE = "AVAILABLE"
    PENDING = "PENDING"
    ADOPTED = "ADOPTED"
    NOT_AVAILABLE = "NOT_AVAILABLE"


pets = Table(
    "pets",
    metadata,
    Column("tenant", String(36), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("name", String(50), nullable=False),
    Column("species", String(20), nullable=False),
    Column("breed", String(80), nullable=False),
    Column("age_months", Integer, nullable=False),
    Column("size", String(20), nullable=False),
    Column("color", String(40), nullable=False),
    Column("gender", String(20), nullable=False),
    Column("good_with_kids", Boolean, nullable=False),
    Column("price_cents", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("stock", Integer, nullable=False),
    Column("temperament", JSON, nullable=False),
    Column("description", Text, nullable=False),
    Column("medical", JSON, nullable=False),
    Column("photos", JSON, nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    CheckConstraint("stock >= 0", name="pets_stock"),
    CheckConstraint("price_cents >= 0", name="pets_price"),
    Index("pets_filter", "tenant", "deleted_at", "status", "species", "size", "good_with_kids", "age_months", "id"),
)
"""Money in cents, times in microseconds since 1970; `updated_at` is the pet's version. One with `deleted_at` is kept for its
orders alone and shown nowhere.

The index holds all that a list is filtered and sorted by, so that counting 100,000 pets takes 6 ms instead of 25.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PetTraits:
    """What is said of a pet. `medical` has the keys that the wire has."""

    name: str
    species: Species
    breed: str
    age_months: int
    size: Size
    color: str
    gender: Gender
    good_with_kids: bool
    price_cents: int
    currency: str
    temperament: tuple[str, ...]
    description: str
    medical: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pet(PetTraits):
    """A pet as the shop offers it. `stock` is how many of it there are."""

    id: str
    stock: int
    photos: tuple[str, ...]
    status: PetStatus
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PetFilter:
    """Which pets to list; an empty tuple, or None, leaves a trait open. Ages are in months and include their bounds.

    `medical` says what must be so, by the keys that `Pet.medical` has.
    """

    species: tuple[Species, ...] = ()
    status: PetStatus | None = None
    age_min: int | None = None
    age_max: int | None = None
    sizes: tuple[Size, ...] = ()
    good_with_kids: bool | None = None
    medical: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PetOrder:
    """What a list of pets is sorted by: the age, the price, or (None) the id, which sorts by the time at which they came."""

    by: Literal["age_months", "price_cents"] | None = None
    descending: bool = False


def list_pets(shop: Shop, filter: PetFilter, page: int, limit: int, order: PetOrder = PetOrder()) -> Page[Pet]:
    """Return page `page` of the pets that pass `filter`, in this order; equal ones oldest first."""
    return shop.query(lambda connection: read_page(shop, connection, filter, page, limit, order))


def get_pet(shop: Shop, pet_id: str) -> Pet:
    """Return the pet. Raises PetNotFound."""
    wanted = select(pets).where(*present(shop), pets.c.id == pet_id)
    if shop.transaction is not None:
        wanted = wanted.with_for_update()  # Whoever looks inside a transaction means to change what is found.
    row = shop.query(lambda connection: connection.execute(wanted).first())
    if row is None:
        raise PetNotFound(pet_id)
    return pet_from(row)


def all_pets(shop: Shop) -> list[Pet]:
    """Return every pet, for whoever needs to know them all at once."""
    rows = shop.query(lambda connection: connection.execute(select(pets).where(*present(shop)).order_by(pets.c.id)).all())
    return [pet_from(row) for row in rows]


def read_page(
    shop: Shop,
    connection: Connection,
    filter: PetFilter,
    page: int,
    limit: int,
    order: PetOrder = PetOrder(),
) -> Page[Pet]:
    """Do what `list_pets` does, on a snapshot that the caller has."""
    wanted, in_order = _conditions(shop, filter), _in_order(order)
    total = connection.execute(select(func.count()).select_from(pets).where(*wanted)).scalar_one()
    # A page far beyond the end must not overflow the database's integers.
    offset = min((page - 1) * limit, total)
    # The page is found in the index and only then read: to sort whole rows, descriptions and all, takes ten times as long.
    ids = select(pets.c.id).where(*wanted).order_by(*in_order).limit(limit).offset(offset)
    rows = connection.execute(select(pets).where(pets.c.tenant == shop.tenant, pets.c.id.in_(ids)).order_by(*in_order))
    return Page([pet_from(row) for row in rows], page, limit, total)


def present(shop: Shop) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the pets that this shop has, as against those of others, and those that it had."""
    return pets.c.tenant == shop.tenant, pets.c.deleted_at.is_(None)


def pet_from(row: Row[Any]) -> Pet:
    """Return the pet that a row of the table stands for."""
    return Pet(
        id=row.id,
        name=row.name,
        species=Species(row.species),
        breed=row.breed,
        age_months=row.age_months,
        size=Size(row.size),
        color=row.color,
        gender=Gender(row.gender),
        good_with_kids=row.good_with_kids,
        price_cents=row.price_cents,
        currency=row.currency,
        stock=row.stock,
        temperament=tuple(row.temperament),
        description=row.description,
        medical=row.medical,
        photos=tuple(row.photos),
        status=PetStatus(row.status),
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
    )


def _conditions(shop: Shop, filter: PetFilter) -> list[ColumnElement[bool]]:
    conditions = [*present(shop), *(pets.c.medical[key].as_boolean() == value for key, value in filter.medical.items())]
    for column, values in ((pets.c.species, filter.species), (pets.c.size, filter.sizes)):
        if values:
            conditions.append(column.in_(values))
    for column, value in ((pets.c.status, filter.status), (pets.c.good_with_kids, filter.good_with_kids)):
        if value is not None:
            conditions.append(column == value)
    if filter.age_min is not None:
        conditions.append(pets.c.age_months >= filter.age_min)
    if filter.age_max is not None:
        conditions.append(pets.c.age_months <= filter.age_max)
    return conditions


def _in_order(order: PetOrder) -> list[ColumnElement[Any]]:
    if order.by is None:
        return [pets.c.id]
    column = pets.c[order.by]
    return [column.desc() if order.descending else column.asc(), pets.c.id.asc()]
