"""What a recommender knows of each pet: its traits, price and stock, without the long texts. Read in slices.

Must not decide what is recommended, nor read more at once than is asked for: a shop may have 100,000 pets.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, select

from petstore.shop.pets import PetStatus, Size, Species, pets
from petstore.shop.tenant import Shop


class Kind(NamedTuple):
    """The traits of a pet that don't change by the hour. Equal ones are equal values: many pets may share one."""

    species: Species
    breed: str
    age_months: int
    size: Size
    color: str
    good_with_kids: bool
    temperament: tuple[str, ...]


class Offer(NamedTuple):
    """A pet as it's offered. `kept` says that staff keep it from sale, or have deleted it, whatever its stock."""

    pet_id: str
    name: str
    kind: Kind
    price_cents: int
    stock: int
    kept: bool


_COLUMNS = (
    pets.c.id,
    pets.c.name,
    pets.c.species,
    pets.c.breed,
    pets.c.age_months,
    pets.c.size,
    pets.c.color,
    pets.c.good_with_kids,
    pets.c.temperament,
    pets.c.price_cents,
    pets.c.stock,
    pets.c.status,
    pets.c.deleted_at,
)
_OFFERS = select(*_COLUMNS).where(pets.c.tenant == bindparam("tenant"))
_BELOW = _OFFERS.where(pets.c.id < bindparam("below")).order_by(pets.c.id.desc()).limit(bindparam("limit"))
_CHANGED = (
    _OFFERS.where(pets.c.updated_at > bindparam("since"), pets.c.id > bindparam("above"))
    .order_by(pets.c.id)
    .limit(bindparam("limit"))
)

LAST_ID = "~"
"""Above every id."""


def newest_offers(shop: Shop, connection: Connection, below: str, limit: int) -> list[Offer]:
    """Return up to `limit` offers whose pets' ids are below `below`, the newest first."""
    return _offers(shop, connection, _BELOW, below=below, limit=limit)


def changed_offers(shop: Shop, connection: Connection, since: int, above: str, limit: int) -> list[Offer]:
    """Return up to `limit` offers that have changed after the moment `since`, of pets whose ids are above `above`."""
    return _offers(shop, connection, _CHANGED, since=since, above=above, limit=limit)


def find_offers(shop: Shop, connection: Connection, pet_ids: Sequence[str]) -> list[Offer]:
    """Return the offers of those of these pets that exist."""
    return _offers(shop, connection, _OFFERS.where(pets.c.id.in_(pet_ids)))


def count_offers(shop: Shop, connection: Connection) -> int:
    """Return how many pets there are."""
    return connection.execute(select(func.count()).select_from(pets).filter_by(tenant=shop.tenant)).scalar_one()


def _offers(shop: Shop, connection: Connection, statement: Select[Any], **values: object) -> list[Offer]:
    # By place rather than by name: this is read a hundred thousand times.
    return [
        Offer(
            row[0],
            row[1],
            Kind(Species(row[2]), row[3], row[4], Size(row[5]), row[6], row[7], tuple(row[8])),
            row[9],
            row[10],
            row[12] is not None or (row[11] != PetStatus.AVAILABLE and not (row[11] == PetStatus.NOT_AVAILABLE and row[10] == 0)),
        )
        for row in connection.execute(statement, {**values, "tenant": shop.tenant})
    ]
