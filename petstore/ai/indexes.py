"""The indexes of a worker: one for each shop that has recommended something to somebody, made at the first time.

A shop that nobody has asked for lately makes room for another one: its index can be built anew in a moment. Must not know what
an index holds.
"""

import threading
from collections import OrderedDict

from petstore.ai.index import PetIndex
from petstore.shop import Shop
from petstore.sse import Feed, LogUnavailable

MAX_INDEXES = 50
"""Shops whose pets are kept in memory at once, besides the shared one."""


class PetIndexes:
    """Those of the shops on one log. The shared shop's is there from `start` on; `stop` ends them all."""

    def __init__(self, shared: Shop, feed: Feed) -> None:
        self._shared = PetIndex(shared, feed)
        self._feed = feed
        self._others: OrderedDict[str, PetIndex] = OrderedDict()
        self._lock = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        """Build the shared shop's index in the background."""
        self._shared.start()

    def stop(self) -> None:
        """End all, and make no more."""
        with self._lock:
            self._stopped = True
            others = list(self._others.values())
            self._others.clear()
        for index in (self._shared, *others):
            index.stop()

    def of(self, shop: Shop) -> PetIndex:
        """Return the index of a shop, which keeps itself fresh. Raises LogUnavailable once all are told to end."""
        if not shop.tenant:
            return self._shared
        with self._lock:
            index = self._others.get(shop.tenant)
            if index is None:
                if self._stopped:
                    raise LogUnavailable("the pet indexes end")
                index = self._others[shop.tenant] = PetIndex(Shop(shop.log, shop.tenant), self._feed)
                index.start()
            self._others.move_to_end(shop.tenant)
            oldest = self._others.popitem(last=False)[1] if len(self._others) > MAX_INDEXES else None
        if oldest is not None:
            oldest.stop()
        return index
