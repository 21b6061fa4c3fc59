"""A customer's taste as arrays: what was said, liked and bought becomes a relevance for every pet.

Three grounds, each from 0 to 1, weighed against each other as far as there is anything to go by:

- **traits**: for each trait the log-odds of what the customer chose against what the shop has (naive Bayes with the shop as
  its prior; a stated preference counts like some likes). One product of a matrix and a vector, over all pets.
- **friends**: what those who like or bought the same pets have bought (see interest).
- **likeness**: the cosine to the nearest pet that the customer likes or has. Only for those that have done best so far.

Popularity adds a little, so that the better known one wins between equals; it's all there is for somebody new.

Must not choose, nor word a reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petstore.ai.features import BLOCKS, DIMENSIONS, LENGTHS, Vector, Vectors, block_entries
from petstore.ai.interest import Evidence, Interest
from petstore.ai.table import Columns
from petstore.shop import Preferences

TRAITS, FRIENDS, LIKENESS, FAME = 0.5, 0.25, 0.2, 0.05
"""What the grounds weigh."""

STATED = 4.0
"""As many likes as one stated preference is worth."""

PRIOR = 2.0
"""As many likes as the shop's own distribution is worth: one single like says a little, not everything."""

RARE = 0.01
"""No trait counts as rarer than this: a single like of a rare breed must not outweigh all the rest."""

AGAINST = 0.25
"""What is left of the relevance of a pet over the budget, or not good with children when that was asked for."""

MOST_ANCHORS = 12
"""Pets of the customer's own, the newest of each kind, that others are compared with."""

FINALISTS = 2000
"""Pets that are compared with them: a hundred thousand would take 3 ms for each."""

SAMPLE = 16
"""One relevance in so many is looked at first, to find the best."""

Relevance = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Anchor:
    """A pet that the customer likes or has, by its place."""

    place: int
    liked: bool
    by_likers: Evidence
    by_buyers: Evidence


@dataclass(frozen=True, slots=True)
class Taste:
    """`weights` is what each dimension of a vector is worth to the customer; `ideal` what the customer's own choices are worth."""

    preferences: Preferences
    anchors: tuple[Anchor, ...]
    weights: Vector
    ideal: float

    @property
    def known(self) -> bool:
        """Whether there is anything to go by."""
        wish = self.preferences  # Of which not all is a wish: a newsletter says nothing about pets.
        wished = wish.species or wish.sizes or wish.temperament or wish.good_with_kids or wish.max_price_cents is not None
        return bool(self.anchors or self.ideal > 0 or wished)


def learn(
    wish: Preferences, liked: Sequence[int], bought: Sequence[int], columns: Columns, interest: Interest, usual: Vector
) -> Taste:
    """Return the taste of a customer who wishes this, likes and has bought the pets at these places.

    Both newest first. `usual` is the mean of all vectors of the shop.
    """
    own = [*((place, True) for place in liked[:MOST_ANCHORS]), *((place, False) for place in bought[:MOST_ANCHORS])]
    anchors = tuple(
        Anchor(place, likes, interest.bought_by_likers(place), interest.bought_by_buyers(place)) for place, likes in own
    )
    weights, ideal = _weights(wish, columns.vectors[[*liked, *bought]], usual)
    return Taste(wish, anchors, weights, ideal)


def rate(taste: Taste, columns: Columns, interest: Interest) -> Relevance:
    """Return the relevance of each pet for this taste, from 0 to 1."""
    count = len(columns.stock)
    # Pets that are newer than what was read of others' interest are known to nobody yet.
    fame = np.zeros(count, np.float32)
    fame[: len(interest.fame)] = interest.fame[:count]
    if not taste.known:
        return fame
    relevance, most = FAME * fame, FAME
    if taste.ideal > 0:
        # Not the matrix product of BLAS: that one starts threads of its own, which would take turns from the event loop.
        fit = np.einsum("ij,j->i", columns.vectors, taste.weights)
        relevance += (TRAITS / taste.ideal) * np.clip(fit, 0, taste.ideal)
        most += TRAITS
    friends = [evidence for anchor in taste.anchors for evidence in (anchor.by_likers, anchor.by_buyers) if len(evidence.places)]
    if friends:
        ties = np.zeros(count, np.float32)
        for evidence in friends:
            ties[evidence.places] += evidence.strengths
        relevance += FRIENDS * (ties / (ties + 1))
        most += FRIENDS
    if taste.anchors:
        _add_likeness(relevance, taste.anchors, columns)
        most += LIKENESS
    return _less_for_what_was_not_asked_for(relevance / np.float32(most), taste.preferences, columns)


def _add_likeness(relevance: Relevance, anchors: Sequence[Anchor], columns: Columns) -> None:
    finalists = best(relevance, FINALISTS)
    rows = columns.vectors if len(finalists) == len(relevance) else columns.vectors[finalists]
    nearest = np.zeros(len(finalists), np.float32)
    for anchor in anchors:
        np.maximum(nearest, np.einsum("ij,j->i", rows, columns.vectors[anchor.place]), out=nearest)
    relevance[finalists] += LIKENESS * nearest


def best(relevance: Relevance, count: int) -> NDArray[np.intp]:
    """Return the places of the `count` best, in any order."""
    if len(relevance) <= count:
        return np.arange(len(relevance))
    places = np.arange(len(relevance))
    # Most can be left out by a look at a sample: to part a hundred thousand takes ten times as long as the rest of this.
    sample = relevance[::SAMPLE]
    rank = 2 * count // SAMPLE + 1
    if len(sample) > 2 * rank:
        likely = np.flatnonzero(relevance >= np.partition(sample, -rank)[-rank])
        places = likely if len(likely) >= count else places
    return places[np.argpartition(relevance[places], -count)[-count:]]


def _less_for_what_was_not_asked_for(relevance: Relevance, wish: Preferences, columns: Columns) -> Relevance:
    if wish.max_price_cents is not None:
        relevance[columns.price_cents > wish.max_price_cents] *= AGAINST
    if wish.good_with_kids:
        relevance[~columns.kids] *= AGAINST
    return relevance


def _weights(wish: Preferences, chosen: Vectors, usual: Vector) -> tuple[Vector, float]:
    """Return what each dimension is worth, and what the customer's own choices are worth by that measure."""
    counted = chosen.sum(axis=0)
    counts = np.full(DIMENSIONS, len(chosen), np.float32)
    for name, words in (("species", wish.species), ("size", wish.sizes), ("temperament", wish.temperament)):
        if words:
            # A pet has one species and one size, of which any that was named will do; but all the words of a temperament.
            likes = STATED if name == "temperament" else STATED / len(words) ** 0.5
            for column, value in block_entries(name, tuple(words)):
                counted[column] += likes * value
            counts[BLOCKS[name].dimensions] += STATED
    shop = np.maximum(usual, RARE * LENGTHS)
    weights = LENGTHS * np.log((counted + PRIOR * shop) / ((counts + PRIOR) * shop))
    ideal = float((counted / np.maximum(counts, 1) * weights).sum())
    return weights, ideal
