"""The offers of one shop as columns in memory, a place for each pet: what a recommender computes with.

About a kilobyte a pet, of which its vector is the half. A pet keeps its place for as long as the table lives. One thread changes a
table while others compute with it: a number is replaced whole, and columns that grow are replaced by longer ones, so whoever
holds a `Columns` sees pets and vectors as they were, and asks `available` for what may have changed since.

Must not know where offers come from, nor customers.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from petstore.ai.features import BLOCKS, DIMENSIONS, Vectors, price_part
from petstore.shop import Kind, Offer, Species

LEAST_ROOM = 256
"""Pets for which there is always room."""

_SPECIES = {species: code for code, species in enumerate(Species)}


class Columns(NamedTuple):
    """The columns at one moment, cut to the pets that there are. `as_of`: the newest event that stock and price stand for."""

    vectors: Vectors
    stock: NDArray[np.int64]
    price_cents: NDArray[np.int64]
    kept: NDArray[np.bool_]
    species: NDArray[np.int8]
    kids: NDArray[np.bool_]
    as_of: NDArray[np.int64]

    def for_sale(self) -> NDArray[np.bool_]:
        """Which pets can be bought."""
        found: NDArray[np.bool_] = (self.stock > 0) & ~self.kept
        return found


class PetTable:
    """Filled by `put`, with room for so many at first; `ids`, `names` and `kinds` are by place."""

    def __init__(self, room: int = 0) -> None:
        self.ids: list[str] = []
        self.names: list[str] = []
        self.kinds: list[Kind] = []
        self.places: dict[str, int] = {}
        self._interned: dict[Any, Any] = {}
        self._columns = _room(max(room, LEAST_ROOM))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def columns(self) -> Columns:
        """What there is now."""
        count = len(self.ids)
        return Columns._make(column[:count] for column in self._columns)

    def put(self, offers: Sequence[Offer], rows: Vectors, as_of: int) -> None:
        """Add offers, or replace those of pets that are here already; they were read when `as_of` was the newest event.

        `rows` are their vectors.
        """
        self._make_room(len(self.ids) + sum(offer.pet_id not in self.places for offer in offers))
        vectors, stock, price_cents, kept, species, kids, as_ofs = self._columns
        for offer, row in zip(offers, rows, strict=True):
            kind = self._intern(offer.kind._replace(temperament=self._intern(offer.kind.temperament)))
            place = self.places.get(offer.pet_id, len(self.ids))
            if as_ofs[place] > as_of:
                continue  # An event has told more since; whoever looks for changed traits looks again.
            as_ofs[place] = as_of
            vectors[place] = row
            stock[place] = offer.stock
            price_cents[place] = offer.price_cents
            kept[place] = offer.kept
            species[place] = _SPECIES[kind.species]
            kids[place] = kind.good_with_kids
            if place < len(self.ids):
                self.names[place], self.kinds[place] = offer.name, kind
            else:
                # The id last: whoever looks meanwhile counts the ids.
                self.places[offer.pet_id] = place
                self.names.append(self._intern(offer.name))
                self.kinds.append(kind)
                self.ids.append(offer.pet_id)

    def set_stock(self, place: int, stock: int, event_id: int) -> None:
        """Note the stock that an event tells. One that is older than what is known here changes nothing."""
        if self._is_news(place, event_id):
            self._columns.stock[place] = stock

    def set_price(self, place: int, price_cents: int, event_id: int) -> None:
        """Note the price that an event tells, and the part of the vector that belongs to it."""
        if self._is_news(place, event_id):
            self._columns.price_cents[place] = price_cents
            self._columns.vectors[place, BLOCKS["price"].dimensions] = price_part(price_cents)

    def available(self, place: int) -> bool:
        """Say whether the pet can be bought now."""
        return bool(self._columns.stock[place] > 0 and not self._columns.kept[place])

    def oldest(self) -> int:
        """Return the newest event that every row includes; later ones may be missing."""
        return int(self.columns.as_of.min(initial=np.iinfo(np.int64).max))

    def find(self, pet_ids: Iterable[str], columns: Columns) -> list[int]:
        """Return the places of these pets, but for those that `columns` don't have."""
        places = (self.places.get(pet_id, len(columns.stock)) for pet_id in pet_ids)
        return [place for place in places if place < len(columns.stock)]

    def _is_news(self, place: int, event_id: int) -> bool:
        if event_id <= self._columns.as_of[place]:
            return False
        self._columns.as_of[place] = event_id
        return True

    def _make_room(self, count: int) -> None:
        room = len(self._columns.stock)
        if count > room:
            longer = _room(max(count, room * 2))
            columns: Iterable[tuple[Any, Any]] = zip(longer, self._columns, strict=True)
            for column, shorter in columns:
                column[:room] = shorter
            self._columns = longer

    def _intern(self, value: Any) -> Any:
        # Equal names and kinds are one object: a large shop has many of the same. What was replaced must not pile up.
        if len(self._interned) > 4 * (len(self.ids) + LEAST_ROOM):
            self._interned.clear()
        return self._interned.setdefault(value, value)


def _room(count: int) -> Columns:
    return Columns(
        np.zeros((count, DIMENSIONS), np.float32),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.bool_),
        np.zeros(count, np.int8),
        np.zeros(count, np.bool_),
        np.zeros(count, np.int64),
    )
