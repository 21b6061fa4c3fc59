"""The pets that the shop sells: what is known about each, and how they are found.

Must not change stock or price: every such change is told to the world, which is inventory's work.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

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
from petstore.sse import EventLog, metadata


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
    Column("status", String(20), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("stock >= 0", name="pets_stock"),
    CheckConstraint("price_cents >= 0", name="pets_price"),
    Index("pets_filter", "status", "species", "size", "good_with_kids", "age_months", "id"),
)
"""Money in cents, times in microseconds since 1970.

The index holds all that a list is filtered and sorted by, so that counting 100,000 pets takes 6 ms instead of 25.
"""


@dataclass(frozen=True, slots=True)
class Pet:
    """A pet as the shop offers it. `stock` is how many of it there are; `medical` has the keys that the wire has."""

    id: str
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
    stock: int
    temperament: tuple[str, ...]
    description: str
    medical: Mapping[str, Any]
    status: PetStatus
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PetFilter:
    """Which pets to list; None leaves a trait open. Ages are in months and include their bounds."""

    species: Species | None = None
    status: PetStatus | None = None
    age_min: int | None = None
    age_max: int | None = None
    size: Size | None = None
    good_with_kids: bool | None = None


def list_pets(log: EventLog, filter: PetFilter, page: int, limit: int) -> Page[Pet]:
    """Return page `page` of the pets that pass `filter`, oldest id first."""
    return log.query(lambda connection: read_page(connection, filter, page, limit))


def get_pet(log: EventLog, pet_id: str) -> Pet:
    """Return the pet. Raises PetNotFound."""
    row = log.query(lambda connection: connection.execute(select(pets).filter_by(id=pet_id)).first())
    if row is None:
        raise PetNotFound(pet_id)
    return pet_from(row)


def all_pets(connection: Connection) -> list[Pet]:
    """Return every pet, for who needs to know them all at once."""
    return [pet_from(row) for row in connection.execute(select(pets).order_by(pets.c.id))]


def read_page(connection: Connection, filter: PetFilter, page: int, limit: int) -> Page[Pet]:
    """Do what `list_pets` does, on a snapshot that the caller has."""
    wanted = _conditions(filter)
    total = connection.execute(select(func.count()).select_from(pets).where(*wanted)).scalar_one()
    # A page far beyond the end must not overflow the database's integers.
    offset = min((page - 1) * limit, total)
    # The page is found in the index and only then read: to sort whole rows, descriptions and all, takes ten times as long.
    ids = select(pets.c.id).where(*wanted).order_by(pets.c.id).limit(limit).offset(offset)
    rows = connection.execute(select(pets).where(pets.c.id.in_(ids)).order_by(pets.c.id))
    return Page([pet_from(row) for row in rows], page, limit, total)


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
        status=PetStatus(row.status),
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
    )


def _conditions(filter: PetFilter) -> list[ColumnElement[bool]]:
    exact = {
        pets.c.species: filter.species,
        pets.c.status: filter.status,
        pets.c.size: filter.size,
        pets.c.good_with_kids: filter.good_with_kids,
    }
    conditions = [column == value for column, value in exact.items() if value is not None]
    if filter.age_min is not None:
        conditions.append(pets.c.age_months >= filter.age_min)
    if filter.age_max is not None:
        conditions.append(pets.c.age_months <= filter.age_max)
    return conditions
