"""Greedy choice by maximal marginal relevance: each pick is the best that is left, by relevance and by being unlike those before.

What was picked is never taken back, so it can be sent at once; and since the worth of every pet only falls as picks are
made, so does the score from pick to pick.

Must not know customers or why a pet is relevant.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from petstore.ai.table import Columns
from petstore.ai.taste import Relevance, best

POOL = 256
"""Pets that are looked at for variety, the most relevant ones: a thousand would not change the picks, only the time."""

EACH_SPECIES = 32
"""Pets of each species that are looked at instead, where all species are looked at alike."""


def pick(
    columns: Columns,
    relevance: Relevance,
    balance: float,
    made: Sequence[int],
    available: Callable[[int], bool],
    varied: bool = False,
) -> Iterator[tuple[int, float]]:
    """Yield places and their worth, from 0 to 1, best first, after the picks `made`.

    `balance` is the part of relevance against variety. A relevance below 0 is never picked, nor what isn't `available` when its
    turn comes. `varied` looks at all species alike.
    """
    left = relevance.copy()
    left[list(made)] = -1
    chosen = list(made)
    while len(pool := _pool(left, columns, varied)):
        rows = columns.vectors[pool]
        nearness = np.zeros(len(pool), np.float32)
        for place in chosen:
            np.maximum(nearness, np.einsum("ij,j->i", rows, columns.vectors[place]), out=nearness)
        gains = balance * left[pool] + (1 - balance)
        for _ in range(len(pool)):
            worth = gains - (1 - balance) * nearness
            winner = int(worth.argmax())
            place = int(pool[winner])
            gains[winner] = -np.inf
            left[place] = -1
            if available(place):
                yield place, max(0.0, float(worth[winner]))
                chosen.append(place)
                np.maximum(nearness, np.einsum("ij,j->i", rows, columns.vectors[place]), out=nearness)


def _pool(left: Relevance, columns: Columns, varied: bool) -> NDArray[np.intp]:
    """Return the places to choose from next, the most relevant first, so that the first of equals is the same everywhere."""
    if varied and len(left) > POOL:
        groups = [np.flatnonzero(columns.species == code) for code in np.unique(columns.species)]
        places = np.concatenate([group[best(left[group], EACH_SPECIES)] for group in groups])
    else:
        places = best(left, POOL)
    places = places[left[places] >= 0]
    ordered: NDArray[np.intp] = places[np.lexsort((places, -left[places]))]
    return ordered
