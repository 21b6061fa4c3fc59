"""Why a pet is recommended, in words: one clause, or the two that weighed most, each true of this customer and this pet.

Must not choose pets. Every clause is read from what the shop knows, never from a vector.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from petstore.ai.features import block_entries
from petstore.ai.interest import Interest
from petstore.ai.table import Columns, PetTable
from petstore.ai.taste import FAME, FRIENDS, LIKENESS, TRAITS, Taste
from petstore.shop import Kind, Species

SECOND_SHARE = 0.3
"""How much a second clause must have weighed against the first, to be said."""

LEAST, LEAST_SPECIES = 0.03, 0.1
"""The least that a stated wish weighs when it is met, even where it hardly tells the pets of this shop apart."""

_PLURALS = {Species.OTHER: "small animals"}


class Clause(NamedTuple):
    """What could be said, and how much of the relevance it explains."""

    weight: float
    text: str


class Reasons:
    """Why pets of `table` suit a customer of this taste."""

    def __init__(self, taste: Taste, table: PetTable, columns: Columns, interest: Interest) -> None:
        self._taste = taste
        self._table = table
        self._interest = interest
        self._columns = columns
        self._worth: list[float] = (taste.weights * (TRAITS / max(taste.ideal, 1e-6))).tolist()
        self._anchors = self._columns.vectors[[anchor.place for anchor in taste.anchors]]

    def of(self, place: int) -> str:
        """Return why the pet at `place` is recommended."""
        clauses = sorted(self._clauses(place), key=lambda clause: -clause.weight) if self._taste.known else []
        if not clauses:
            return self._of_the_shop(place)
        first, *others = clauses
        if others and others[0].weight >= SECOND_SHARE * first.weight:
            second = others[0].text
            return f"{first.text}; {second[0].lower()}{second[1:]}"
        return first.text

    def _clauses(self, place: int) -> Iterator[Clause]:
        yield from self._as_stated(place)
        if self._taste.anchors:
            yield from self._like_an_anchor(place)
            yield from self._by_friends(place)
        if self._is_popular(self._interest.popular, place):
            yield Clause(FAME * float(self._interest.fame[place]), "Popular with our customers")

    def _as_stated(self, place: int) -> Iterator[Clause]:
        """What the customer has asked for in so many words."""
        wish, kind = self._taste.preferences, self._table.kinds[place]
        if kind.species in wish.species:
            worth = self._worth_of("species", (kind.species,))
            yield Clause(max(worth, LEAST_SPECIES), f"Matches your preference for {plural(kind.species)}")
        if shared := [word for word in wish.temperament if word in kind.temperament]:
            worth = self._worth_of("temperament", kind.temperament)
            yield Clause(max(worth, LEAST), f"{_listed(shared).capitalize()}, as you prefer")
        if kind.size in wish.sizes:
            yield Clause(max(self._worth_of("size", (kind.size,)), LEAST), f"{kind.size.capitalize()}, the size you prefer")
        if wish.good_with_kids and kind.good_with_kids:
            yield Clause(LEAST, "Good with children, as you asked")
        if wish.max_price_cents is not None and self._columns.price_cents[place] <= wish.max_price_cents:
            yield Clause(LEAST / 2, "Within your budget")

    def _worth_of(self, block: str, words: tuple[str, ...]) -> float:
        """Return what a trait adds to the relevance."""
        return sum(self._worth[column] * value for column, value in block_entries(block, words))

    def _like_an_anchor(self, place: int) -> Iterator[Clause]:
        """The pet of the customer's own that has most in common with this one, if that is enough to call it similar."""
        likeness = np.einsum("ij,j->i", self._anchors, self._columns.vectors[place])
        nearest = int(likeness.argmax())
        anchor, kinds = self._taste.anchors[nearest], self._table.kinds
        if is_similar(kinds[place], kinds[anchor.place]):
            whom = f"{self._table.names[anchor.place]}, whom you {'liked' if anchor.liked else 'bought'}"
            yield Clause(LIKENESS * float(likeness[nearest]), f"Similar to {whom}")

    def _by_friends(self, place: int) -> Iterator[Clause]:
        total, strongest, text = 0.0, 0.0, ""
        for anchor in self._taste.anchors:
            for verb, evidence in (("liked", anchor.by_likers), ("bought", anchor.by_buyers)):
                strength = evidence.of.get(place, 0.0)
                total += strength
                if strength > strongest:
                    strongest, text = strength, f"Bought by others who {verb} {self._table.names[anchor.place]}"
        if text:
            yield Clause(FRIENDS * total / (total + 1), text)

    def _of_the_shop(self, place: int) -> str:
        """For a customer of whom nothing is known."""
        many = plural(self._table.kinds[place].species)
        if self._is_popular(self._interest.popular, place):
            return "Popular with our customers"
        if self._is_popular(self._interest.popular_of_species, place):
            return f"Popular among our {many}"
        return f"One of our {many}, to show you our range"

    @staticmethod
    def _is_popular(popular: NDArray[np.bool_], place: int) -> bool:
        # Of a pet that is newer than what was read of others' interest, nothing is known.
        return place < len(popular) and bool(popular[place])


def plural(species: Species) -> str:
    """Return what many of a species are called."""
    return _PLURALS.get(species, f"{species.lower()}s")


def is_similar(one: Kind, other: Kind) -> bool:
    """Say whether two pets have so much in common that one may be called similar to the other."""
    words = set(one.temperament) & set(other.temperament)
    return one.species == other.species and (bool(one.breed and one.breed == other.breed) or one.size == other.size or bool(words))


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
