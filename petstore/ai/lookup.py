"""What the advisors look up in whole shops, one search at a time in a worker: a search compares with every pet.

At 100,000 pets that takes tenths of a second, on one of the few threads that all requests read with. However many ask at once,
the other threads are left to everybody else. Must not know what is looked up, nor for whom.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from petstore.shop import Shop, Vocabulary, find_vocabulary

FRESH_S = 15.0
"""How long a shop's words are kept, at least: new names and breeds come by the day, and questions by the second."""

READ_SHARE = 0.02
"""How much of the time may be spent on reading them."""

MAX_SHOPS = 50
"""Shops whose words are kept at once."""

T = TypeVar("T")


class Lookup:
    """Searches the shops of one database for one engine."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._vocabularies: OrderedDict[str, tuple[float, Vocabulary]] = OrderedDict()

    def query(self, shop: Shop, work: Callable[[Connection], T]) -> T:
        """Run `work` as the shop's `query` does, when its turn has come. Raises LogUnavailable."""
        with self._turn:
            return shop.query(work)

    def vocabulary(self, shop: Shop) -> Vocabulary:
        """Return the words by which this shop's pets are called. Raises LogUnavailable."""
        with self._turn:
            until, words = self._vocabularies.get(shop.tenant, (0.0, None))
            if words is None or until < time.monotonic():
                begun = time.monotonic()
                words = shop.query(lambda connection: find_vocabulary(shop, connection))
                now = time.monotonic()
                self._vocabularies[shop.tenant] = now + max(FRESH_S, (now - begun) / READ_SHARE), words
                self._vocabularies.move_to_end(shop.tenant)
                if len(self._vocabularies) > MAX_SHOPS:
                    self._vocabularies.popitem(last=False)
            return words
