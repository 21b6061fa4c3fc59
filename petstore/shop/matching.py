"""Pets that match what somebody wishes for: found in the database, best first, however large the shop.

Must not know who asks: only pets, which are public, are read here.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, and_, case, cast, func, literal, not_, or_, select

from petstore.shop.pets import Pet, PetStatus, Size, Species, pet_from, pets, present
from petstore.shop.tenant import Shop

MAX_WORDS = 8
"""Words that one search looks for: each is compared with every pet."""

_WORD = re.compile(r"[^\W_]{2,50}")
_LETTERS = re.compile(r"[^\W\d_]+")

AnimalKind = tuple[Species, tuple[str, ...]]
"""Animals of a species whose breed has one of these words in it, the first of which names the kind; without any, all of them."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody looks for. Size and temperament decide who comes first, and all the rest must be met.

    Any of `species` and `kinds` will do, but nothing of `unwanted`. Each of `words` must occur in the name, the breed or the
    colour, and none of `without`. Of a temperament to `avoid` those who have it come last.
    """

    species: tuple[Species, ...] = ()
    sizes: tuple[Size, ...] = ()
    temperament: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    good_with_kids: bool | None = None
    max_price_cents: int | None = None
    words: tuple[str, ...] = ()
    cheapest_first: bool = False
    kinds: tuple[AnimalKind, ...] = ()
    max_age_months: int | None = None
    unwanted: tuple[AnimalKind, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def all_species(self) -> tuple[Species, ...]:
        """The species that are wished for, those of `kinds` among them."""
        return tuple(dict.fromkeys((*self.species, *(species for species, _ in self.kinds))))


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
    """The words of a shop, in small letters: its pets' names, and the words of breeds and colours, with and without a last s."""

    names: frozenset[str]
    looks: frozenset[str]


def find_vocabulary(shop: Shop, connection: Connection) -> Vocabulary:
    """Return the words by which the pets of a shop are called, for sale or not."""
    # In small letters by Python: SQLite knows those of English alone.
    found = connection.execute(select(pets.c.name, pets.c.breed, pets.c.color).where(*present(shop)).distinct()).all()
    texts = {text.lower() for row in found for text in row[1:]}
    words = {word for text in texts for word in _LETTERS.findall(text)}
    return Vocabulary(frozenset(row[0].lower() for row in found), frozenset(words | {word.removesuffix("s") for word in words}))


def find_matches(shop: Shop, connection: Connection, wishes: Wishes, limit: int, nearest: bool = False) -> list[Pet]:
    """Return up to `limit` pets that meet the wishes, best first.

    The `nearest` are for when there are none: those that meet as much as any does. The price is given up first, then the age,
    words and kinds; never the species, children, or what isn't wanted. All are equally near.
    """
    conditions = [*present(shop), *_for_sale(), *_never_given_up(wishes)]
    words = [_occurs(word) for word in wishes.words[:MAX_WORDS]]
    weighty = _kinds_and_words(wishes, words) if nearest else [*_kinds_and_words(wishes, []), *words]
    light = []
    if wishes.max_age_months is not None:
        light.append(pets.c.age_months <= wishes.max_age_months)
    if wishes.max_price_cents is not None:
        light.append(pets.c.price_cents <= wishes.max_price_cents)
    if not nearest:
        statement = select(pets).where(*conditions, *light, *weighty).order_by(*_order(wishes), pets.c.id).limit(limit)
        return [pet_from(row) for row in connection.execute(statement)]
    if words and not wishes.all_species:
        conditions.append(or_(*words))  # Nothing else says what is meant, and anything at all is near to nothing.
    met = [*(_one_if(condition) for condition in [*weighty, *light]), sum(map(_one_if, words), literal(0))]
    ranks = [rank.label(f"rank_{number}") for number, rank in enumerate(met)]
    order = [*(rank.desc() for rank in ranks), *_order(wishes, nearest=True), pets.c.id]
    rows = connection.execute(select(pets, *ranks).where(*conditions).order_by(*order).limit(limit)).all()
    return [pet_from(row) for row in rows if row[len(pets.c) :] == rows[0][len(pets.c) :]]


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


def _never_given_up(wishes: Wishes) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wishes.all_species:
        conditions.append(pets.c.species.in_(wishes.all_species))
    if wishes.good_with_kids is not None:
        conditions.append(pets.c.good_with_kids == wishes.good_with_kids)
    conditions += [not_(_is_of(kind)) for kind in wishes.unwanted[:MAX_WORDS]]
    conditions += [not_(_occurs(word)) for word in wishes.without[:MAX_WORDS]]
    return conditions


def _kinds_and_words(wishes: Wishes, words: list[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    """Return that a pet is of a kind that is wished for, and that any of `words` occurs, where anything is."""
    conditions: list[ColumnElement[bool]] = []
    if wishes.kinds:
        kinds = [_is_of(kind) for kind in wishes.kinds[:MAX_WORDS]]
        conditions.append(or_(pets.c.species.in_(wishes.species), *kinds))
    if words:
        conditions.append(or_(*words))
    return conditions


def _order(wishes: Wishes, nearest: bool = False) -> list[ColumnElement[Any]]:
    """Return by what those that meet the wishes are sorted, and the `nearest` to them, which are all too old or too dear."""
    traits: ColumnElement[int] = literal(0)
    for trait in wishes.temperament[:MAX_WORDS]:
        traits = traits + 2 * _one_if(_has_trait(trait))
    for trait in wishes.avoid[:MAX_WORDS]:
        traits = traits - 2 * _one_if(_has_trait(trait))
    size = _one_if(pets.c.size.in_(wishes.sizes))
    fit = traits + size
    # Cheap, or near, is worth nothing where a pet isn't at all what was wished for.
    somewhat = [case((traits > 0, 2), (traits == 0, 1), else_=0).desc(), size.desc()]
    order = [fit.desc(), pets.c.price_cents]
    if wishes.cheapest_first or (nearest and wishes.max_price_cents is not None):
        order = [*somewhat, pets.c.price_cents, fit.desc()]
    if nearest and wishes.max_age_months is not None:
        order = [*somewhat, case((pets.c.age_months > wishes.max_age_months, pets.c.age_months), else_=0), *order]
    return order


def _one_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _is_of(kind: AnimalKind) -> ColumnElement[bool]:
    species, words = kind
    of_species = pets.c.species == species
    breed = func.lower(pets.c.breed)
    return and_(of_species, or_(*(breed.contains(word, autoescape=True) for word in words))) if words else of_species


def _occurs(word: str) -> ColumnElement[bool]:
    columns = (pets.c.name, pets.c.breed, pets.c.color)
    return or_(*(func.lower(column).contains(word.lower(), autoescape=True) for column in columns))


def _for_sale() -> list[ColumnElement[bool]]:
    return [pets.c.status == PetStatus.AVAILABLE, pets.c.stock > 0]


def _has_trait(trait: str) -> ColumnElement[bool]:
    # The column holds a JSON list of words; a trait with a quote in it can't be one.
    return cast(pets.c.temperament, String).contains(f'"{trait.lower()}"', autoescape=True)
