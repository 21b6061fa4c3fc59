"""Makes a petstore's database with the demo's pets and customers, and prints as JSON what a client needs to work with it.

`python -m bench.seed PATH SECRET_KEY`: the ids of the pets, the paths of the customers' streams, and a staff member's bearer token.
"""

import json
import sys
import time
from pathlib import Path

from petstore.api import bearer, link
from petstore.api.bearer import Scope
from petstore.api.link import Link
from petstore.migrations import migrate
from petstore.shop import SHARED, Shop, seed_shop
from petstore.shop.catalogue import read_catalogue
from petstore.sse import SqlEventLog


def seed(path: Path, secret: str) -> dict[str, object]:
    """Fill the database at `path` and return what can be changed, what can be read, and the token that allows it."""
    migrate(path)
    log = SqlEventLog(path)
    try:
        seed_shop(Shop(log))
    finally:
        log.close()
    catalogue = read_catalogue()
    staff, _ = bearer.issue(secret, catalogue.staff[0].id, SHARED, Scope, time.time_ns() // 1000)
    return {
        "pets": [pet.id for pet in catalogue.pets],
        "recommendations": [_recommendations(secret, customer.id) for customer in catalogue.customers],
        "token": staff,
    }


def _recommendations(secret: str, customer_id: str) -> str:
    token = link.sign(secret, Link("follow", f"users/{customer_id}", SHARED))
    return f"/v1/pets/recommendations/stream?userId={customer_id}&token={token}"


if __name__ == "__main__":
    json.dump(seed(Path(sys.argv[1]), sys.argv[2]), sys.stdout)
