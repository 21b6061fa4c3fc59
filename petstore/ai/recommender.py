"""The boundary between a recommender and the run that streams what it finds.

Must not know how a recommendation is stored or sent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from petstore.shop import Customer, Shop

STEP = 0.001
"""What a score falls by at the least, and what it's rounded to."""

FIRST = 1.0 + STEP
"""What the first score comes after."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A pet for a customer: `score` in [0, 1], and a `reason` that is true of this customer and this pet."""

    pet_id: str
    name: str
    score: float
    reason: str


class Recommender(Protocol):
    """Chooses pets for a customer, best first.

    The model. `recommend` reads what it needs of the shop, in the greenlet of whoever calls it, and may raise LogUnavailable. The
    iterator that it returns computes, in a thread off the event loop that pulls one pick at a time: it may take as long as it
    needs, and reads nothing but memory.

    The guarantees. A yielded pick is final: it's on its way to the client. A score is in [0, 1] and less than the one before. A
    pet that is out of stock when its turn comes, or that the customer likes or owns already, is never picked. A reason is
    true. The same shop and the same customer get the same picks from every worker, so that a run can be taken over.
    """

    def recommend(
        self, shop: Shop, customer: Customer | str, made: Sequence[Recommendation], limit: int
    ) -> Iterator[Recommendation]:
        """Yield what follows the picks that were `made` before, until there are `limit` of them in all, or nothing is left.

        A customer who is named by the id alone is read along with the rest. Raises CustomerNotFound.
        """

    def is_quick(self, shop: Shop) -> bool:
        """Say whether `recommend` and a pick take so little time in this shop, now, that a thread for them would cost more.

        That is, about a millisecond.
        """


def falling(score: float, wanted: float, left: int) -> float:
    """Return the score of the pick after one with `score`: `wanted`, or what leaves room for the picks `left`, itself included."""
    return round(max(min(wanted, score - STEP), left * STEP), 3)
