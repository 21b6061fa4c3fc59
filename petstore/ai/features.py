"""Pets as vectors: what two pets have in common is the cosine of theirs, since each has the length one.

A vector is made of blocks, one for each trait. A trait with few values has one dimension for each; free text (breed,
temperament, colour) is hashed into a few dozen, where two words may now and then share one: good enough to compare with,
and never what a reason is read from.

Must not know customers. Pure, and the same in every process: a run that another worker takes over must see the same pets.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from math import log2, sqrt
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from petstore.shop import Kind, Size, Species

Vector = NDArray[np.float32]
Vectors = NDArray[np.float32]
"""One row for each pet."""

AGES = (12, 36, 96)
"""Where young, grown, older and old pets are told apart, in months."""

CHEAPEST_CENTS = 2000
"""The middle of the lowest price band. Each further band has twice the price, and a price between two belongs to both in part."""


class Block(NamedTuple):
    """The dimensions of one trait: from `start`, so many of them; `weight` is its part of a cosine of 1."""

    start: int
    size: int
    weight: float

    @property
    def dimensions(self) -> slice:
        """Where they are in a vector."""
        return slice(self.start, self.start + self.size)


def _blocks(**parts: tuple[int, float]) -> dict[str, Block]:
    blocks, start = {}, 0
    for name, (size, weight) in parts.items():
        blocks[name] = Block(start, size, weight)
        start += size
    return blocks


BLOCKS = _blocks(
    species=(len(Species), 0.30),
    breed=(32, 0.12),
    size=(len(Size), 0.10),
    temperament=(40, 0.26),
    color=(8, 0.02),
    age=(len(AGES) + 1, 0.06),
    price=(8, 0.10),
    kids=(2, 0.04),
)
DIMENSIONS = sum(block.size for block in BLOCKS.values())

LENGTHS = np.repeat([sqrt(block.weight) for block in BLOCKS.values()], [block.size for block in BLOCKS.values()]).astype(np.float32)
"""For each dimension, the length of its block in every vector."""

Entries = tuple[tuple[int, float], ...]
"""Dimensions that aren't zero, and what stands there."""

_SPECIES = {species: place for place, species in enumerate(Species)}
_SIZES = {size: place for place, size in enumerate(Size)}


def vectors(kinds: Sequence[Kind], prices_cents: Sequence[int]) -> Vectors:
    """Return a row for each kind and price."""
    made = np.zeros((len(kinds), DIMENSIONS), np.float32)
    entries = [_entries(kind, price_cents) for kind, price_cents in zip(kinds, prices_cents, strict=True)]
    if entries:
        columns, values = zip(*chain.from_iterable(entries), strict=True)
        made[np.repeat(np.arange(len(kinds)), [len(some) for some in entries]), columns] = values
    return made


def price_part(price_cents: int) -> Vector:
    """Return what stands in the block of the price."""
    block = BLOCKS["price"]
    part = np.zeros(block.size, np.float32)
    for column, value in _price_entries(price_cents):
        part[column - block.start] = value
    return part


@lru_cache(maxsize=8192)
def block_entries(name: str, words: tuple[str, ...]) -> Entries:
    """Return where `words` stand in the block `name`, scaled so that together they have the block's length."""
    block = BLOCKS[name]
    counts = Counter(block.start + _place(name, word) for word in words)
    scale = sqrt(block.weight / max(1, sum(count * count for count in counts.values())))
    return tuple((column, count * scale) for column, count in counts.items())


def _place(name: str, word: str) -> int:
    if name == "species":
        return _SPECIES[Species(word)]
    if name == "size":
        return _SIZES[Size(word)]
    return crc32(word.lower().encode("utf-8", "replace")) % BLOCKS[name].size


def _entries(kind: Kind, price_cents: int) -> Entries:
    return (
        *block_entries("species", (kind.species,)),
        *block_entries("breed", (kind.breed,)),
        *block_entries("size", (kind.size,)),
        *block_entries("temperament", kind.temperament),
        *block_entries("color", (kind.color,)),
        _one_of("age", sum(kind.age_months >= age for age in AGES)),
        *_price_entries(price_cents),
        _one_of("kids", int(kind.good_with_kids)),
    )


def _one_of(name: str, place: int) -> tuple[int, float]:
    block = BLOCKS[name]
    return block.start + place, sqrt(block.weight)


@lru_cache(maxsize=4096)
def _price_entries(price_cents: int) -> Entries:
    block = BLOCKS["price"]
    band = min(block.size - 1.0, max(0.0, log2(max(price_cents, 1) / CHEAPEST_CENTS)))
    below = min(int(band), block.size - 2)
    above_part = band - below
    scale = sqrt(block.weight) / sqrt(above_part**2 + (1 - above_part) ** 2)
    return (block.start + below, scale * (1 - above_part)), (block.start + below + 1, scale * above_part)
