"""Measures how good the recommendations are: `make evaluate`. Customers with planted tastes, and what each way of choosing finds.

Must not be needed by a server. The figures depend on nothing but the seed and the code.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from petstore.ai import EmbeddedRecommender, PetIndex
from petstore.migrations import migrate
from petstore.shop import owned_pets
from petstore.sse import EventLog, Feed, SqlEventLog
from tests.ai.planted import Planted, PlantedShop, plant, variety

Choose = Callable[[Planted, int], Sequence[int]]
"""Returns so many places for a customer, best first."""


@dataclass(frozen=True)
class Figures:
    """`hit_rate`: customers for whom one of the picks is what they would buy next; `found`: how much of that is among them.

    `variety` is the mean difference within a list, `species` how many of them it has.
    """

    hit_rate: float
    found: float
    variety: float
    species: float


def measure(shop: PlantedShop, choose: Choose, count: int) -> Figures:
    """Return the figures of a way of choosing."""
    lists = [(planted, choose(planted, count)) for planted in shop.planted]
    found = [len(planted.next & set(places)) for planted, places in lists]
    return Figures(
        float(np.mean([number > 0 for number in found])),
        sum(found) / sum(len(planted.next) for planted in shop.planted),
        float(np.mean([variety(shop, places) for _, places in lists])),
        float(np.mean([len({shop.kinds[place].species for place in places}) for _, places in lists])),
    )


@contextmanager
def planted_shop(pets: int, customers: int, seed: int) -> Iterator[tuple[EventLog, PlantedShop, PetIndex]]:
    """Plant a shop in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="evaluate-") as directory:
        path = Path(directory) / "petstore.db"
        migrate(path)
        log = SqlEventLog(path)
        feed = Feed(log)
        index = PetIndex(log, feed)
        try:
            shop = plant(log, pets, customers, seed)
            yield log, shop, index
        finally:
            index.stop()
            feed.stop()
            log.close()


def ways(log: EventLog, shop: PlantedShop, index: PetIndex, seed: int) -> dict[str, Choose]:
    """Return the ways of choosing that are compared."""
    recommender, chance = EmbeddedRecommender(log, index), np.random.default_rng(seed)
    places = {pet_id: place for place, pet_id in enumerate(shop.pet_ids)}
    owned = {
        planted.customer.id: set(log.query(lambda connection: owned_pets(connection, planted.customer.id)))  # noqa: B023
        for planted in shop.planted
    }
    popularity = np.zeros(len(places))
    for planted in shop.planted:
        for pet_id in {*planted.customer.likes, *owned[planted.customer.id]}:
            popularity[places[pet_id]] += 1

    def best(measure: np.ndarray, planted: Planted, count: int) -> list[int]:
        known = {places[pet_id] for pet_id in (*planted.customer.likes, *owned[planted.customer.id])}
        return [int(place) for place in np.argsort(-measure, kind="stable") if place not in known][:count]

    return {
        "random": lambda planted, count: best(chance.random(len(places)), planted, count),
        "most popular": lambda planted, count: best(popularity, planted, count),
        "embedded": lambda planted, count: [places[pick.pet_id] for pick in recommender.recommend(planted.customer, [], count)],
        "the customers themselves": lambda planted, count: best(planted.measure, planted, count),
    }


def main() -> None:
    """Print a table."""
    pets, customers, seed = 2000, 800, 6
    with planted_shop(pets, customers, seed) as (log, shop, index):
        print(f"{customers} customers with planted tastes, {pets} pets, seed {seed}\n")
        print("| | hit rate at 5 | at 10 | found at 10 | variety at 5 | at 10 | species at 5 | at 10 |")
        print("|---|---|---|---|---|---|---|---|")
        for name, choose in ways(log, shop, index, seed).items():
            five, ten = measure(shop, choose, 5), measure(shop, choose, 10)
            print(
                f"| {name} | {five.hit_rate:.1%} | {ten.hit_rate:.1%} | {ten.found:.1%} | {five.variety:.2f} | {ten.variety:.2f} "
                f"| {five.species:.1f} | {ten.species:.1f} |"
            )


if __name__ == "__main__":
    main()
