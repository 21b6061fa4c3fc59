"""An index on a real, seeded database, and the recommender that uses it."""

import threading
from collections.abc import Iterator

import pytest

from petstore.ai import EmbeddedRecommender, PetIndex
from petstore.shop import Shop
from petstore.sse import Draft, EventLog, Feed


@pytest.fixture
def feed(log: EventLog) -> Iterator[Feed]:
    feed = Feed(log)
    yield feed
    stopping = threading.Thread(target=feed.stop)
    stopping.start()
    # It would notice within a second, if nothing happened.
    log.write(lambda transaction: transaction.append([Draft("tests", "over", {})]))
    stopping.join()


@pytest.fixture
def index(log: EventLog, feed: Feed) -> Iterator[PetIndex]:
    """Not started: it reads when it's asked."""
    index = PetIndex(Shop(log), feed)
    yield index
    index.stop()


@pytest.fixture
def recommender(log: EventLog, index: PetIndex) -> EmbeddedRecommender:
    return EmbeddedRecommender(lambda _: index)
