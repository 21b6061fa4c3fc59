"""An index on a real, seeded database, and the recommender that uses it; models behind real servers."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from app import link_to_pet
from petstore.ai import EMBEDDED, Advisor, Chatting, EmbeddedRecommender, Generate, PetIndex, Recommending, RunKind, Runs
from petstore.ai.model import Model
from petstore.shop import Shop
from petstore.sse import Draft, EventLog, Feed
from tests.ai.model_server import ModelServer, Script

Serve = Callable[..., tuple[ModelServer, Model]]


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


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that follows a script, and returns it with a model behind it."""
    with ExitStack() as servers:

        def start(script: Script, silence_s: float = 5.0) -> tuple[ModelServer, Model]:
            server = servers.enter_context(ModelServer(script))
            return server, Model("test-model", server.url, "secret", silence_s)

        yield start


class Count:
    """A meter that adds up."""

    def __init__(self) -> None:
        self.tokens = self.unheard = 0
        self.by_engine: Counter[str] = Counter()
        self.ended: list[tuple[str, str, str]] = []

    def generated(self, engine: str, tokens: int, heard: bool) -> None:
        self.tokens += tokens
        self.by_engine[engine] += tokens
        self.unheard += 0 if heard else tokens

    def run_ended(self, kind: str, status: str, engine: str) -> None:
        self.ended.append((str(kind), str(status), engine))


@pytest.fixture
def meter() -> Count:
    return Count()


@pytest.fixture
def runs(log: EventLog, feed: Feed, recommender: EmbeddedRecommender, meter: Count) -> Runs:
    generates: dict[RunKind, Generate] = {
        RunKind.RECOMMENDATIONS: Recommending(log, recommender),
        RunKind.CHAT: Chatting(log, Advisor(link_to_pet)),
    }
    return Runs(log, feed, generates, EMBEDDED, meter, lease_s=60)
