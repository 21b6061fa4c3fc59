"""The recommender that comes with the shop: no service, no download, only what the shop knows. See `recommender.Recommender`.

What it reads of a customer is read when it's asked; what it knows of pets and other customers is in the index.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from petstore.ai.index import PetIndex
from petstore.ai.reason import Reasons
from petstore.ai.recommender import Recommendation
from petstore.ai.table import PetTable
from petstore.ai.taste import learn, rate
from petstore.ai.variety import pick
from petstore.shop import Customer, owned_pets
from petstore.sse import EventLog

BALANCE = 0.8
"""Relevance against variety, for a customer of whom something is known; and for one who is new."""
BALANCE_UNKNOWN = 0.5

STEP = 0.001
"""What a score falls by at the least, and what it's rounded to."""

MOST = 100
"""Recommendations of one run, so that scores have room to fall."""


class EmbeddedRecommender:
    """Recommends from `index`, which it keeps up with the log."""

    def __init__(self, log: EventLog, index: PetIndex) -> None:
        self._log = log
        self._index = index

    def recommend(self, customer: Customer, made: Sequence[Recommendation], limit: int) -> Iterator[Recommendation]:
        def read(connection: Connection) -> tuple[tuple[str, ...], int]:
            return owned_pets(connection, customer.id), self._log.head(connection)

        owned, head = self._log.query(read)
        self._index.catch_up(head)
        return self._choose(customer, owned, made, min(limit, MOST))

    def _choose(
        self, customer: Customer, owned: Sequence[str], made: Sequence[Recommendation], limit: int
    ) -> Iterator[Recommendation]:
        table, interest = self._index.table, self._index.interest
        columns = table.columns
        taste = learn(customer, owned, table, interest, self._index.usual)
        relevance = rate(taste, columns, interest)
        relevance[~columns.for_sale()] = -1
        relevance[[table.places[pet_id] for pet_id in (*customer.likes, *owned) if pet_id in table.places]] = -1
        before = [table.places[pick.pet_id] for pick in made if pick.pet_id in table.places]
        balance = BALANCE if taste.known else BALANCE_UNKNOWN
        reasons = Reasons(taste, table, interest)
        score = made[-1].score if made else 1.0 + STEP
        places = pick(columns, relevance, balance, before, lambda place: self._is_available(place, table), not taste.known)
        for left, (place, worth) in zip(range(limit - len(made), 0, -1), places, strict=False):
            score = _falling(score, worth, left)
            yield Recommendation(table.ids[place], table.names[place], score, reasons.of(place))

    def _is_available(self, place: int, table: PetTable) -> bool:
        """Ask the newest table, which may be another one by now."""
        newest = self._index.table
        now = place if newest is table else newest.places.get(table.ids[place])
        return now is not None and newest.available(now)


def _falling(score: float, worth: float, left: int) -> float:
    """Return the score of the next pick after one with `score`, when so many are left, itself included."""
    return round(max(min(worth, score - STEP), left * STEP), 3)
