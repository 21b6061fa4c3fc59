"""Makes a petstore's database with the demo's pets and customers, and prints their ids as JSON: `python -m bench.seed PATH`."""

import json
import sys
from pathlib import Path

from petstore.migrations import migrate
from petstore.shop import Shop, seed_shop
from petstore.shop.catalogue import read_catalogue
from petstore.sse import SqlEventLog


def seed(path: Path) -> dict[str, list[str]]:
    """Fill the database at `path` and return the ids of what can be changed and who can be served."""
    migrate(path)
    log = SqlEventLog(path)
    try:
        seed_shop(Shop(log))
    finally:
        log.close()
    catalogue = read_catalogue()
    return {"pets": [pet.id for pet in catalogue.pets], "customers": [customer.id for customer in catalogue.customers]}


if __name__ == "__main__":
    json.dump(seed(Path(sys.argv[1])), sys.stdout)
