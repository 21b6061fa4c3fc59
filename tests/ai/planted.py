"""Shops with customers whose tastes are planted: each picks by a hidden measure of its own, of which the shop sees only the picks.

A customer has favourite species, temperaments and a size, a budget, and a circle: a group of customers who share a fancy for
some breeds, which only their purchases give away. Some say a part of it. Each likes some pets and buys others, drawn by the
hidden measure; what it would buy next is drawn in the same way and kept from the shop. A recommender is good if it finds that.

Must not use anything of a recommender, nor its way of comparing pets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert

from petstore.shop import Customer, Kind, Preferences, Size, Species, new_id
from petstore.shop.catalogue import read_catalogue
from petstore.shop.customers import customers, likes, preferences_to_json
from petstore.shop.orders import OrderStatus, orders
from petstore.shop.pets import pets
from petstore.sse import EventLog, Transaction

CIRCLES = 8
LIKED, BOUGHT, NEXT = 5, 4, 5
SHARPNESS = 4.0
"""How much likelier a customer takes a pet that is better by one."""


@dataclass(frozen=True)
class Planted:
    """A customer, and for each pet of the shop how much it would like it; `next` are the places of what it would buy next."""

    customer: Customer
    measure: NDArray[np.float64]
    next: frozenset[int]


@dataclass(frozen=True)
class PlantedShop:
    """What was planted. A place is a pet's place in `pet_ids`."""

    pet_ids: Sequence[str]
    kinds: Sequence[Kind]
    prices_cents: Sequence[int]
    planted: Sequence[Planted]


def plant(log: EventLog, pet_count: int, customer_count: int, seed: int) -> PlantedShop:
    """Fill an empty shop."""
    chance = np.random.default_rng(seed)
    kinds, prices = _make_pets(chance, pet_count)
    pet_ids = [new_id() for _ in kinds]
    breeds = sorted({kind.breed for kind in kinds})
    fancies = [set(chance.choice(breeds, 8, replace=False)) for _ in range(CIRCLES)]
    rows: list[tuple[Planted, list[int]]] = [
        _make_customer(chance, number, fancies[number % CIRCLES], pet_ids, kinds, prices) for number in range(customer_count)
    ]
    log.write(lambda transaction: _store(transaction, pet_ids, kinds, prices, rows))
    return PlantedShop(pet_ids, kinds, prices, [planted for planted, _ in rows])


def difference(shop: PlantedShop, one: int, other: int) -> float:
    """Return how different two pets are: the share of their traits that isn't the same, words of temperament by their overlap."""
    a, b = shop.kinds[one], shop.kinds[other]
    words = set(a.temperament) | set(b.temperament)
    same = [
        a.species == b.species,
        a.breed == b.breed,
        a.size == b.size,
        len(set(a.temperament) & set(b.temperament)) / max(1, len(words)),
        min(shop.prices_cents[one], shop.prices_cents[other]) / max(shop.prices_cents[one], shop.prices_cents[other]),
    ]
    return 1 - sum(same) / len(same)


def variety(shop: PlantedShop, places: Sequence[int]) -> float:
    """Return the mean difference within a list."""
    pairs = [difference(shop, one, other) for one, other in combinations(places, 2)]
    return sum(pairs) / max(1, len(pairs))


def _make_pets(chance: np.random.Generator, count: int) -> tuple[list[Kind], list[int]]:
    """Mix pets from the catalogue's: breeds keep their species and size, and mostly their price and temperament."""
    catalogue = read_catalogue().pets
    words = sorted({word for pet in catalogue for word in pet.temperament})
    kinds, prices = [], []
    for _ in range(count):
        model = catalogue[int(chance.integers(len(catalogue)))]
        own = chance.choice(model.temperament, min(2, len(model.temperament)), replace=False)
        temperament = tuple(dict.fromkeys([*map(str, own), *map(str, chance.choice(words, 2, replace=False))]))
        color = catalogue[int(chance.integers(len(catalogue)))].color
        age, kids = int(chance.integers(3, 120)), bool(chance.random() < 0.7)
        kinds.append(Kind(model.species, model.breed, age, model.size, color, kids, temperament))
        prices.append(int(model.price_cents * chance.uniform(0.6, 1.5)))
    return kinds, prices


def _make_customer(
    chance: np.random.Generator, number: int, fancy: set[str], pet_ids: list[str], kinds: list[Kind], prices: list[int]
) -> tuple[Planted, list[int]]:
    """Return a customer and the places of what it has bought."""
    favourites = list(chance.choice(list(Species), int(chance.integers(1, 3)), replace=False, p=(0.3, 0.3, 0.12, 0.12, 0.08, 0.08)))
    words = list(map(str, chance.choice(sorted({word for kind in kinds for word in kind.temperament}), 3, replace=False)))
    size, budget = Size(str(chance.choice(list(Size)))), int(np.exp(chance.uniform(np.log(6000), np.log(120000))))
    measure = np.array(
        [
            1.2 * (kind.species in favourites)
            + 0.35 * len(set(words) & set(kind.temperament))
            + 0.3 * (kind.size == size)
            + 1.0 * (kind.breed in fancy)
            - 1.0 * (price > budget)
            for kind, price in zip(kinds, prices, strict=True)
        ]
    )
    odds = np.exp(SHARPNESS * measure)
    drawn = [int(place) for place in chance.choice(len(kinds), LIKED + BOUGHT + NEXT, replace=False, p=odds / odds.sum())]
    liked, bought, coming = drawn[:LIKED], drawn[LIKED : LIKED + BOUGHT], drawn[LIKED + BOUGHT :]
    said = Preferences(
        species=tuple(Species(species) for species in favourites) if chance.random() < 0.6 else (),
        sizes=(size,) if chance.random() < 0.3 else (),
        temperament=tuple(words[:2]) if chance.random() < 0.4 else (),
        max_price_cents=budget if chance.random() < 0.4 else None,
    )
    name = f"planted-{number}"
    customer = Customer(new_id(), name, f"{name}@example.org", name, name, said, tuple(pet_ids[place] for place in liked))
    return Planted(customer, measure, frozenset(coming)), bought


def _store(
    transaction: Transaction, pet_ids: list[str], kinds: list[Kind], prices: list[int], rows: list[tuple[Planted, list[int]]]
) -> None:
    model = read_catalogue().pets[0]
    common = {"gender": model.gender, "currency": "USD", "description": "", "medical": {}, "status": "AVAILABLE"}
    times = {"created_at": 1, "updated_at": 1}
    connection = transaction.connection
    connection.execute(
        insert(pets),
        [
            {"id": id, "name": f"Pet {place}", **kind._asdict(), "price_cents": price, "stock": 9, **common, **times}
            for place, (id, kind, price) in enumerate(zip(pet_ids, kinds, prices, strict=True))
        ],
    )
    people = [planted.customer for planted, _ in rows]
    connection.execute(
        insert(customers),
        [
            {
                "id": one.id, "username": one.username, "email": one.email, "first_name": one.first_name,
                "last_name": one.last_name, "preferences": preferences_to_json(one.preferences),
            }
            for one in people
        ],
    )  # fmt: skip
    connection.execute(
        insert(likes),
        [{"customer_id": one.id, "pet_id": id, "position": place} for one in people for place, id in enumerate(one.likes)],
    )
    order = {"quantity": 1, "status": OrderStatus.DELIVERED, "total_cents": 1, "currency": "USD", **times}
    connection.execute(
        insert(orders),
        [
            {"id": new_id(), "pet_id": pet_ids[place], "customer_id": planted.customer.id, **order}
            for planted, bought in rows
            for place in bought
        ],
    )
