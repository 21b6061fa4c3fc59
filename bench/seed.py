"""Makes a petstore's database with the demo's pets and customers, and more of both if that is asked for.

`python -m bench.seed PATH SECRET_KEY [PETS]` prints as JSON what a client needs: the ids of the pets, the paths of the customers'
streams, and a staff member's bearer token.
"""

import dataclasses
import json
import random
import sys
import time
from pathlib import Path

from sqlalchemy import insert

from petstore.api import bearer, link
from petstore.api.bearer import Scope
from petstore.api.link import Link
from petstore.migrations import migrate
from petstore.shop import SHARED, Pet, Shop, new_id, seed_shop
from petstore.shop.catalogue import read_catalogue
from petstore.shop.customers import customers, likes, preferences_to_json
from petstore.shop.orders import OrderStatus, orders
from petstore.shop.pets import pets
from petstore.sse import EventLog, SqlEventLog, Transaction

PETS_A_CUSTOMER = 20
CHOICES = 5
"""Likes, and orders, of each customer that is made up."""


def seed(path: Path, secret: str, pet_count: int = 0) -> dict[str, object]:
    """Fill the database at `path` and return what can be changed, what can be read, and the token that allows it."""
    migrate(path)
    log = SqlEventLog(path)
    try:
        seed_shop(Shop(log))
        pet_ids = [pet.id for pet in read_catalogue().pets] + _add(log, pet_count - len(read_catalogue().pets))
    finally:
        log.close()
    catalogue = read_catalogue()
    staff, _ = bearer.issue(secret, catalogue.staff[0].id, SHARED, Scope, time.time_ns() // 1000)
    return {
        "pets": pet_ids,
        "recommendations": [_recommendations(secret, customer.id) for customer in catalogue.customers],
        "token": staff,
    }


def _recommendations(secret: str, customer_id: str) -> str:
    token = link.sign(secret, Link("follow", f"users/{customer_id}", SHARED))
    return f"/v1/pets/recommendations/stream?userId={customer_id}&token={token}"


def _add(log: EventLog, count: int) -> list[str]:
    """Add so many variations of the catalogue's pets, and customers who like and buy some. Returns the pets' ids."""
    if count <= 0:
        return []
    chance = random.Random(count)
    made = [_variation(chance) for _ in range(count)]
    people = [new_id() for _ in range(count // PETS_A_CUSTOMER)]

    def store(transaction: Transaction) -> None:
        connection, now = transaction.connection, {"tenant": "", "created_at": 1, "updated_at": 1}
        connection.execute(insert(pets), [dataclasses.asdict(pet) | now for pet in made])
        nothing = preferences_to_json(read_catalogue().customers[0].preferences)
        names = ("email", "first_name", "last_name")
        connection.execute(
            insert(customers),
            [
                {"id": id, "username": id, "preferences": nothing, "role": "CUSTOMER", "tokens_from": 0, **now}
                | dict.fromkeys(names, id)
                for id in people
            ],
        )
        liked = [
            {"tenant": "", "customer_id": id, "pet_id": pet.id, "position": position}
            for id in people
            for position, pet in enumerate(chance.sample(made, CHOICES))
        ]
        connection.execute(insert(likes), liked)
        order = {"quantity": 1, "status": OrderStatus.DELIVERED, "total_cents": 1, "currency": "USD", "last_event_id": 1, **now}
        bought = [
            {"id": new_id(), "customer_id": id, "pet_id": pet.id, **order} for id in people for pet in chance.sample(made, CHOICES)
        ]
        connection.execute(insert(orders), bought)

    log.write(store)
    return [pet.id for pet in made]


def _variation(chance: random.Random) -> Pet:
    """Return a pet made of several of the catalogue's."""
    model, other, third = chance.choices(read_catalogue().pets, k=3)
    return dataclasses.replace(
        model,
        id=new_id(),
        age_months=other.age_months,
        color=other.color,
        temperament=(*model.temperament[:2], *third.temperament[:2]),
        price_cents=model.price_cents * chance.randint(60, 150) // 100,
        stock=chance.randint(1, 9),
        status=read_catalogue().pets[0].status,
    )


if __name__ == "__main__":
    json.dump(seed(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])), sys.stdout)
