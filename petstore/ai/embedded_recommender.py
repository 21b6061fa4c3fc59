"""The recommender that comes with the shop: no service, no download, only what the shop knows. See `recommender.Recommender`.

What it reads of a customer is read when it's asked; what it knows of pets and other customers is in the index.
"""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection

from petstore.ai.index import PetIndex
from petstore.ai.reason import Reasons
from petstore.ai.recommender import FIRST, Recommendation, falling
from petstore.ai.table import PetTable
from petstore.ai.taste import learn, rate
from petstore.ai.variety import pick
from petstore.shop import Customer, Shop, inventory_topic, owned_pets, read_customer

BALANCE = 0.75
"""Relevance against variety, for a customer of whom something is known."""

BALANCE_UNKNOWN = 0.5
"""The same for one who is new."""

QUICK = 1000
"""Pets up to which ten picks take about half a millisecond."""

QUICK_PAIRS = 5000
"""Likes and purchases up to which the friends of all pets of a customer are found within 5 ms, even if none is remembered."""

MOST = 100
"""Recommendations of one run, so that scores have room to fall."""


class EmbeddedRecommender:
    """Recommends from the index of a shop, which `index_of` returns, and which it keeps up with the log."""

    def __init__(self, index_of: Callable[[Shop], PetIndex], balance: float = BALANCE) -> None:
        self._index_of = index_of
        self._balance = balance

    def recommend(
        self, shop: Shop, customer: Customer | str, made: Sequence[Recommendation], limit: int
    ) -> Iterator[Recommendation]:
        # All at once: with many runs at a time, going to a thread and back costs more than what is read there.
        def read(connection: Connection) -> tuple[Customer, tuple[str, ...], int]:
            known = read_customer(shop, connection, customer) if isinstance(customer, str) else customer
            return known, owned_pets(shop, connection, known.id), shop.log.head(connection, inventory_topic(shop))

        known, owned, head = shop.query(read)
        index = self._index_of(shop)
        index.catch_up(head)
        return self._choose(index, known, owned, made, min(limit, MOST))

    def is_quick(self, shop: Shop) -> bool:
        index = self._index_of(shop)
        table, interest, _ = index.contents
        return index.built and len(table) <= QUICK and interest.pairs <= QUICK_PAIRS

    def _choose(
        self, index: PetIndex, customer: Customer, owned: Sequence[str], made: Sequence[Recommendation], limit: int
    ) -> Iterator[Recommendation]:
        table, interest, usual = index.contents
        columns = table.columns
        liked = table.find(reversed(customer.likes), columns)
        bought = table.find((pet_id for pet_id in owned if pet_id not in customer.likes), columns)
        taste = learn(customer.preferences, liked, bought, columns, interest, usual)
        relevance = rate(taste, columns, interest)
        relevance[~columns.for_sale()] = -1
        relevance[[*liked, *bought]] = -1
        before = table.find((pick.pet_id for pick in made), columns)
        balance = self._balance if taste.known else BALANCE_UNKNOWN
        reasons = Reasons(taste, table, columns, interest)
        score = made[-1].score if made else FIRST
        places = pick(columns, relevance, balance, before, lambda place: _is_available(index, place, table), not taste.known)
        for left, (place, worth) in zip(range(limit - len(made), 0, -1), places, strict=False):
            score = falling(score, _read(worth), left)
            yield Recommendation(table.ids[place], table.names[place], score, reasons.of(place))


def _is_available(index: PetIndex, place: int, table: PetTable) -> bool:
    """Ask the newest table, which may be another one by now."""
    newest = index.contents.table
    now = place if newest is table else newest.places.get(table.ids[place])
    return now is not None and newest.available(now)


def _read(worth: float) -> float:
    """Return what a pick is worth as a score.

    No pet has everything, so the best that a shop has is often worth no more than a half. Its score is to read as the
    good match that it is. The order stays.
    """
    return 1 - (1 - worth) ** 2
