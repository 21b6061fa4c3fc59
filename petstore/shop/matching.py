"""Pets that match what somebody wishes for: found in the database, best first, however large the shop.

Must not know who asks: only pets, which are public, are read here.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, String, case, cast, func, literal, or_, select

from petstore.shop.pets import Pet, PetStatus, Size, Species, pet_from, pets, present
from petstore.shop.tenant import Shop

MAX_WORDS = 8
"""Words that one search looks for: each is compared with every pet."""

_WORD = re.compile(r"[^\W_]{2,50}")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody looks for. Species, children and price must be met; size and temperament decide who comes first.

    `words` must each occur in the name, the breed or the colour.
    """

    species: tuple[Species, ...] = ()
    sizes: tuple[Size, ...] = ()
    temperament: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    good_with_kids: bool | None = None
    max_price_cents: int | None = None
    words: tuple[str, ...] = ()
    cheapest_first: bool = False


@dataclass(frozen=True, slots=True)
class SpeciesStock:
    """What the shop has of a species for sale in one currency: kinds of pet, how many there are of all, and what they cost."""

    species: Species
    currency: str
    kinds: int
    stock: int
    lowest_cents: int
    highest_cents: int


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of a shop, in small letters: its pets' names, and all breeds and colours as one text to search in."""

    names: frozenset[str]
    looks: str


def find_vocabulary(shop: Shop, connection: Connection) -> Vocabulary:
    """Return the words by which the pets of a shop are called, for sale or not."""
    # In small letters by Python: SQLite knows those of English alone.
    found = connection.execute(select(pets.c.name, pets.c.breed, pets.c.color).where(*present(shop)).distinct()).all()
    return Vocabulary(frozenset(row[0].lower() for row in found), "\n".join({text.lower() for row in found for text in row[1:]}))


def find_matches(shop: Shop, connection: Connection, wishes: Wishes, limit: int) -> list[Pet]:
    """Return up to `limit` pets that meet the wishes, best first."""
    fit: ColumnElement[int] = literal(0)
    for trait in wishes.temperament[:MAX_WORDS]:
        fit = fit + case((_has_trait(trait), 2), else_=0)
    for trait in wishes.avoid[:MAX_WORDS]:
        fit = fit - case((_has_trait(trait), 2), else_=0)
    if wishes.sizes:
        fit = fit + case((pets.c.size.in_(wishes.sizes), 1), else_=0)
    order = [pets.c.price_cents, fit.desc()] if wishes.cheapest_first else [fit.desc(), pets.c.price_cents]
    statement = select(pets).where(*present(shop), *_conditions(wishes)).order_by(*order, pets.c.id).limit(limit)
    return [pet_from(row) for row in connection.execute(statement)]


def find_pets(shop: Shop, connection: Connection, ids: Collection[str]) -> dict[str, Pet]:
    """Return those of the pets with these ids that there are, by their ids."""
    wanted = select(pets).where(*present(shop), pets.c.id.in_(list(ids)))
    return {row.id: pet_from(row) for row in connection.execute(wanted)}


def find_named(shop: Shop, connection: Connection, words: tuple[str, ...], limit: int) -> list[Pet]:
    """Return up to `limit` pets whose name is one of `words`, whatever their case."""
    names = [word.lower() for word in words]
    named = func.lower(pets.c.name).in_(names) | pets.c.name.in_(words)
    wanted = select(pets).where(*present(shop), named).order_by(pets.c.id).limit(limit)
    return [pet_from(row) for row in connection.execute(wanted)]


def count_stock(shop: Shop, connection: Connection) -> list[SpeciesStock]:
    """Return what is for sale of each species, the most kinds first."""
    kinds = func.count()
    numbers = [kinds, func.sum(pets.c.stock), func.min(pets.c.price_cents), func.max(pets.c.price_cents)]
    each = (pets.c.species, pets.c.currency)
    statement = select(*each, *numbers).where(*present(shop), *_for_sale())
    rows = connection.execute(statement.group_by(*each).order_by(kinds.desc(), *each))
    return [SpeciesStock(Species(row[0]), row.currency, *(int(count) for count in row[2:])) for row in rows]


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a search text, lower case, each once, at most MAX_WORDS."""
    return tuple(dict.fromkeys(word.lower() for word in _WORD.findall(text)))[:MAX_WORDS]


def _conditions(wishes: Wishes) -> list[ColumnElement[bool]]:
    conditions = _for_sale()
    if wishes.species:
        conditions.append(pets.c.species.in_(wishes.species))
    if wishes.good_with_kids is not None:
        conditions.append(pets.c.good_with_kids == wishes.good_with_kids)
    if wishes.max_price_cents is not None:
        conditions.append(pets.c.price_cents <= wishes.max_price_cents)
    for word in wishes.words[:MAX_WORDS]:
        conditions.append(
            or_(
                *(
                    func.lower(column).contains(word.lower(), autoescape=True)
                    for column in (pets.c.name, pets.c.breed, pets.c.color)
                )
            )
        )
    return conditions


def _for_sale() -> list[ColumnElement[bool]]:
    return [pets.c.status == PetStatus.AVAILABLE, pets.c.stock > 0]


def _has_trait(trait: str) -> ColumnElement[bool]:
    # The column holds a JSON list of words; a trait with a quote in it can't be one.
    return cast(pets.c.temperament, String).contains(f'"{trait.lower()}"', autoescape=True)
