"""Who liked and who bought what, as arrays: how popular a pet is, and what else its friends have bought.

One object holds what was read at one time, and is replaced by the next one. About 30 bytes for each like and purchase.

Must not read the database, nor know a customer by name.
"""

from array import array
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from petstore.shop import FIRST_KEY, Pair

MAX_PAIRS = 2_000_000
"""Likes, and as many purchases, that are kept in memory. A shop with more learns from a part of its customers."""

MOST_FRIENDS = 1000
"""Friends of one pet that are looked at: more would change nothing but the time it takes."""

MOST_TIES = 500
"""Pets that are remembered as tied to one: those with the strongest ties."""

MOST_REMEMBERED = 200
"""Pets whose friends' purchases are remembered: the popular ones are asked for again and again."""

DOUBT = 2.0
"""Friends, and buyers, that are counted on top as if they had nothing in common: what one single friend bought says little."""

POPULAR_SHARE = 4
"""One pet in so many may be called popular, if anybody likes it at all."""

Places = NDArray[np.int32]


class Evidence(NamedTuple):
    """Places of pets that friends of one pet have bought, and how strongly that ties them to it, below 1; `of` has both in one."""

    places: Places
    strengths: NDArray[np.float32]
    of: Mapping[int, float]


class Pairs:
    """Pairs being collected: each customer gets a number, each pet its place."""

    def __init__(self, places: dict[str, int]) -> None:
        self._places = places
        self._numbers: dict[str, int] = {}
        # Not lists: numpy would hold the interpreter for as long as it takes to look at each number of millions.
        self._customers = {"liked": array("q"), "bought": array("q")}
        self._pets = {"liked": array("q"), "bought": array("q")}

    def add(self, what: str, pairs: list[Pair]) -> bool:
        """Take some more. Returns whether there is room for others."""
        customers, pets = self._customers[what], self._pets[what]
        for customer_id, pet_id, _ in pairs:
            place = self._places.get(pet_id)
            if place is not None:
                customers.append(self._numbers.setdefault(customer_id, len(self._numbers)))
                pets.append(place)
        return len(pets) < MAX_PAIRS

    def arrays(self, what: str) -> tuple[Places, Places]:
        """Return customers and places, each pair once."""
        customers, pets = np.asarray(self._customers[what]), np.asarray(self._pets[what])
        pairs = np.unique(customers << 32 | pets)
        return (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)


class Interest:
    """What `pairs` say of the pets in a table; `species` are those of its places."""

    def __init__(self, pairs: Pairs, species: NDArray[np.int8]) -> None:
        pets = len(species)
        likers, liked = pairs.arrays("liked")
        buyers, bought = pairs.arrays("bought")
        customers = int(max(likers.max(initial=-1), buyers.max(initial=-1))) + 1
        self._likers_of = _Groups(liked, likers, pets)
        self._buyers_of = _Groups(bought, buyers, pets)
        self._bought_by = _Groups(buyers, bought, customers)
        friends = np.unique(np.concatenate((likers, buyers)).astype(np.int64) << 32 | np.concatenate((liked, bought)))
        self.pairs = len(friends)
        """Pairs of a customer and a pet that this one likes or bought."""

        self.popularity: Places = np.bincount(friends & 0xFFFFFFFF, minlength=pets).astype(np.int32)
        """How many customers like or bought each pet."""

        self.popular: NDArray[np.bool_] = _popular(self.popularity)
        self.popular_of_species: NDArray[np.bool_] = np.zeros(pets, np.bool_)
        for code in np.unique(species):
            its = species == code
            self.popular_of_species[its] = _popular(self.popularity[its])
        most = np.log1p(self.popularity.max(initial=0))
        self.fame: NDArray[np.float32] = (np.log1p(self.popularity) / most if most else np.zeros(pets)).astype(np.float32)
        """Popularity from 0 to 1."""

        self._remembered: dict[tuple[int, bool], Evidence] = {}

    def bought_by_likers(self, place: int) -> Evidence:
        """Return what those who like a pet bought."""
        return self._evidence(place, False)

    def bought_by_buyers(self, place: int) -> Evidence:
        """Return what else the buyers of a pet bought."""
        return self._evidence(place, True)

    def _evidence(self, place: int, buyers: bool) -> Evidence:
        found = self._remembered.get((place, buyers))
        if found is None:
            found = self._find(place, self._buyers_of if buyers else self._likers_of)
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[place, buyers] = found
        return found

    def _find(self, place: int, friends_of: "_Groups") -> Evidence:
        friends = friends_of.of(place)[:MOST_FRIENDS]
        places, counts = np.unique(self._bought_by.of_all(friends), return_counts=True)
        tie = counts / np.sqrt((len(friends) + DOUBT) * (self._buyers_of.sizes(places) + DOUBT))
        tie[places == place] = 0
        strongest = np.sort(np.argsort(-tie, kind="stable")[:MOST_TIES])
        strongest = strongest[tie[strongest] > 0]
        places, strengths = places[strongest], tie[strongest].astype(np.float32)
        return Evidence(places, strengths, dict(zip(places.tolist(), strengths.tolist(), strict=True)))


class _Groups:
    """Values in groups, numbered from 0: those of group g are `values[starts[g]:starts[g + 1]]`."""

    def __init__(self, groups: Places, values: Places, count: int) -> None:
        self._values = values[np.argsort(groups, kind="stable")]
        self._starts = np.concatenate(([0], np.cumsum(np.bincount(groups, minlength=count))))

    def of(self, group: int) -> Places:
        if group + 1 >= len(self._starts):
            return self._values[:0]  # A pet that is newer than what was read.
        return self._values[self._starts[group] : self._starts[group + 1]]

    def of_all(self, groups: Places) -> Places:
        """Return the values of all these groups, one group after the other."""
        sizes = self.sizes(groups)
        ends = np.cumsum(sizes)
        found: Places = self._values[np.arange(sizes.sum()) + np.repeat(self._starts[groups] + sizes - ends, sizes)]
        return found

    def sizes(self, groups: Places) -> NDArray[np.int64]:
        sizes: NDArray[np.int64] = self._starts[groups + 1] - self._starts[groups]
        return sizes


def _popular(popularity: Places) -> NDArray[np.bool_]:
    """Return which are among the most popular quarter. Equals are treated alike, so they may be a few more."""
    count = len(popularity)
    if not count:
        return np.zeros(0, np.bool_)
    share = -(-count // POPULAR_SHARE)
    bound = max(1, int(np.partition(popularity, count - share)[count - share]))
    popular: NDArray[np.bool_] = popularity >= bound
    return popular


def collect(read: Callable[[str, tuple[str, str]], list[Pair]], pairs: Pairs) -> None:
    """Read all likes and all purchases, slice by slice, until there are no more or no more fit."""
    for what in ("liked", "bought"):
        key = FIRST_KEY
        while some := read(what, key):
            if not pairs.add(what, some):
                break
            key = some[-1].key
