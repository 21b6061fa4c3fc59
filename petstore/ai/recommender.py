"""The boundary between a recommender and the run that streams what it finds.

Must not know how a recommendation is stored or sent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from petstore.shop import Customer, Pet


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A pet for a customer: `score` in [0, 1], and a `reason` that is true of this customer and this pet."""

    pet_id: str
    name: str
    score: float
    reason: str


class Recommender(Protocol):
    """Chooses pets for a customer, best first."""

    def recommend(self, customer: Customer, pets: Sequence[Pet], limit: int) -> Iterator[Recommendation]:
        """Yield up to `limit` recommendations, each one as soon as it's certain.

        A yielded pick is final: it's on its way to the client. Scores never rise. Pets out of stock are never picked. Called in
        a thread off the event loop, which pulls one pick at a time; it may compute for as long as it needs.
        """
