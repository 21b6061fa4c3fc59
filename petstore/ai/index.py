"""The index of one shop in one worker: its pets and its customers' interest in memory, kept as fresh as the event log.

Read in slices, in threads off the event loop, when the worker starts or at the first use. From then on each event of the
inventory changes one number. What has no events is looked for now and then: new pets and changed traits, likes and
purchases. `catch_up` brings stock and prices to a given id of the log, so that whoever has seen a change isn't offered
what it took away.

The thread (a greenlet under gevent) belongs to this object; `stop` ends it. Must not know what is recommended.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from gevent import get_hub
from gevent.event import Event as Signal
from sqlalchemy import Connection

from petstore.ai.features import DIMENSIONS, Vector, Vectors, vectors
from petstore.ai.interest import Interest, Pairs, collect
from petstore.ai.table import Columns, PetTable
from petstore.shop import (
    LAST_ID,
    Offer,
    Pair,
    Shop,
    bought_pairs,
    changed_offers,
    count_offers,
    find_offers,
    inventory_topic,
    liked_pairs,
    newest_offers,
    now,
)
from petstore.sse import Event, Feed, LogUnavailable, Overtaken, Selection, Subscription, close_own_loop

T = TypeVar("T")

MAX_PETS = 250_000
"""Pets that the index holds, the newest of them: about 250 MB in each worker."""

SLICE = 250
"""Pets read at once: some milliseconds in a thread of the log's, and a rest after each."""

SPARE_SHARE = 8
"""For each so many pets there is room for one more from the beginning."""

PAIRS_SLICE = 1000
"""Likes or purchases read at once: more than pets, as they are only ids."""

REST_S = 0.001
"""The rest after each slice, in which others have their turn."""

LOOK_S = 15.0
"""How often changes without events are looked for, at the most."""

LOOK_SHARE = 0.02
"""How much of the time may be spent on looking."""

OVERLAP_US = 30_000_000
"""How far a look reaches back before the last one: a change is dated before it's committed, and may wait for its turn."""

COALESCE_S = 0.05
"""How long events gather before they're applied, when nobody asks."""

logger = logging.getLogger(__name__)


class Contents(NamedTuple):
    """What belongs together. `usual` is the mean of all vectors: how common each trait is here."""

    table: PetTable
    interest: Interest
    usual: Vector


class PetIndex:
    """See the module. `contents` may be replaced by newer ones at any time: take them once, after `catch_up`."""

    def __init__(self, shop: Shop, feed: Feed) -> None:
        table = PetTable()
        self.contents = Contents(table, Interest(Pairs({}), table.columns.species), np.zeros(DIMENSIONS, np.float32))
        self._shop = shop
        self._topic = inventory_topic(shop)
        self._feed = feed
        self._news = Signal()
        self._subscription: Subscription | None = None
        self._looked_at = 0
        self._reading = threading.Lock()
        self._changing = threading.Lock()
        self.stopping = threading.Event()
        """Set once this index is told to end."""

        self._thread: threading.Thread | None = None

    @property
    def built(self) -> bool:
        """Whether it has been read as a whole: from then on `catch_up` doesn't wait for that."""
        return bool(self._looked_at)

    def start(self) -> None:
        """Build the index in the background and keep it fresh."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pet index", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread. Whoever asks for what isn't built gets LogUnavailable from now on."""
        self.stopping.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join()
        with self._reading:  # Somebody who asked may be building just now.
            if self._subscription is not None:
                self._feed.leave(self._subscription)

    def catch_up(self, head: int) -> None:
        """Apply all events up to `head`, after building the index if it's needed. Raises LogUnavailable."""
        if not self._looked_at:
            with self._reading:
                if not self._looked_at:
                    self._build()
        with self._changing:
            cursor = self._take()
            # Committed, but not yet seen by the feed of this worker, which will bring it again.
            while cursor < head and (events := self._shop.log.read((self._topic,), cursor, SLICE)):
                self._apply(events)
                cursor = events[-1].id

    def build(self) -> None:
        """Read everything anew. Raises LogUnavailable."""
        with self._reading:
            self._build()

    def look(self) -> None:
        """Look for new pets, changed traits, likes and purchases. Raises LogUnavailable."""
        with self._reading:
            if not self._looked_at:
                self._build()
                return
            since, looked_at, above = self._looked_at - OVERLAP_US, now(), ""
            table = self.contents.table
            while found := self._read(lambda connection: changed_offers(self._shop, connection, since, above, SLICE)):  # noqa: B023
                with self._changing:
                    table.put(*found)
                above = found[0][-1].pet_id
            if min(self._shop.query(lambda connection: count_offers(self._shop, connection)), MAX_PETS) != len(table):
                self._build()  # Pets that were brought in with an old date, or taken away.
            else:
                self.contents, self._looked_at = self._digest(table), looked_at

    def _run(self) -> None:
        try:
            while not self.stopping.is_set():
                begun, is_new = time.monotonic(), not self._looked_at
                try:
                    self.look()
                except LogUnavailable as error:
                    if not self.stopping.is_set():
                        logger.warning("the pet index waits: %s", error)
                except Exception:
                    # Recommendations go on with what there is, and this is tried again.
                    logger.exception("the pet index failed and goes on")
                ended = time.monotonic()
                self._follow(ended + (LOOK_S if is_new else max(LOOK_S, (ended - begun) / LOOK_SHARE)))
        finally:
            close_own_loop()

    def _follow(self, until: float) -> None:
        """Apply what the feed brings until it's time to look again."""
        while not self.stopping.is_set() and (left := until - time.monotonic()) > 0:
            if self._news.wait(left):
                self.stopping.wait(COALESCE_S)
                try:
                    with self._changing:
                        self._take()
                except LogUnavailable as error:
                    logger.warning("the pet index waits: %s", error)

    def _build(self) -> None:
        """Read everything into a new table, beside the one in use."""
        if self.stopping.is_set():
            raise LogUnavailable("the pet index ends")  # A subscription that is taken now would be left by nobody.
        if self._subscription is None:
            # Before the first row is read: what changes meanwhile will be applied over what was read.
            self._subscription = self._feed.subscribe(Selection((self._topic,)), None, self._news.set)
        looked_at, below = now(), LAST_ID
        count = min(self._shop.query(lambda connection: count_offers(self._shop, connection)), MAX_PETS)
        # Room that isn't used takes no memory. To make more, later, copies all there is, in the event loop.
        table = PetTable(count + count // SPARE_SHARE)
        while len(table) < MAX_PETS and (
            found := self._read(lambda connection: newest_offers(self._shop, connection, below, SLICE))  # noqa: B023
        ):
            table.put(*found)
            below = found[0][-1].pet_id
        contents = self._digest(table)
        with self._changing:
            # What was applied to the old table since it was read must be applied to this one too.
            self._subscription.go_back(table.oldest())
            self.contents, self._looked_at = contents, looked_at

    def _read(self, read: Callable[[Connection], list[Offer]]) -> tuple[list[Offer], Vectors, int] | None:
        """Read a slice and make its vectors, in a thread of the log's, and rest. None when there are no more."""

        def work(connection: Connection) -> tuple[list[Offer], Vectors, int] | None:
            offers = read(connection)
            return (offers, _vectors(offers), self._shop.log.head(connection)) if offers else None

        return self._rested(self._shop.query(work))

    def _digest(self, table: PetTable) -> Contents:
        """Read the customers' interest, and work out what concerns all pets."""
        pairs = Pairs(table.places)
        reads = {"liked": liked_pairs, "bought": bought_pairs}

        def read(what: str, key: tuple[str, str]) -> list[Pair]:
            return self._rested(self._shop.query(lambda connection: reads[what](self._shop, connection, key, PAIRS_SLICE)))

        def digest(columns: Columns) -> Contents:
            return Contents(table, Interest(pairs, columns.species), columns.vectors.sum(axis=0) / max(1, len(table)))

        collect(read, pairs)
        contents: Contents = get_hub().threadpool.apply(digest, (table.columns,))
        return contents

    def _rested(self, result: T) -> T:
        """Let others have their turn. Raises LogUnavailable when this index ends: nobody waits until all is read."""
        if self.stopping.wait(REST_S):
            raise LogUnavailable("the pet index ends")
        return result

    def _take(self) -> int:
        """Apply what the feed has, and return the id up to which that was."""
        assert self._subscription is not None
        self._news.clear()
        try:
            while events := self._subscription.take():
                self._apply(events)
                time.sleep(0)  # Under gevent: let others have their turn.
        except Overtaken:
            self._looked_at = 0  # What is missing is nowhere to be had any more: all is read anew.
            raise
        return self._subscription.cursor

    def _apply(self, events: Sequence[Event]) -> None:
        table, unknown = self.contents.table, []
        for event in events:
            data = event.value()
            place = table.places.get(data["petId"])
            if place is None:
                unknown.append(data["petId"])
            elif event.type == "stock-change":
                table.set_stock(place, data["newStock"], event.id)
            elif event.type == "price-change":
                table.set_price(place, round(data["newPrice"] * 100), event.id)
        # One that is new, or older than the newest that fit.
        if (
            unknown
            and len(table) < MAX_PETS
            and (found := self._read(lambda connection: find_offers(self._shop, connection, unknown)))
        ):
            table.put(*found)


def _vectors(offers: Sequence[Offer]) -> Vectors:
    return vectors([offer.kind for offer in offers], [offer.price_cents for offer in offers])
