"""The generation of recommendations: by a language model where there is one; what that leaves is up to the embedded recommender.

Must not know runs, nor how a recommendation is chosen.
"""

import logging
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

from gevent import get_hub

from petstore.ai.engine import EMBEDDED, MODEL, Halt
from petstore.ai.error import EngineFailed
from petstore.ai.generation import Batch, Generation, Made, Result
from petstore.ai.reading import ReadingGeneration
from petstore.ai.recommender import Recommendation, Recommender
from petstore.ai.run import Run
from petstore.shop import Customer, Pet, PetStatus, Shop, find_pets, get_customer
from petstore.sse import Event, EventLog

RECOMMENDATION = "recommendation"
"""The type of the events that carry one."""

SLICE_S = 0.005
"""Picks made within this time are committed together: a fast recommender must not pay a commit for each."""

CANDIDATES = 30
"""Pets that a model chooses from: each costs a hundred tokens to read."""

LIKED = 12
"""Pets that a model is told about because the customer likes them: the newest, as a customer may like hundreds."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Ranking(Protocol):
    """Ranks candidates for a customer, as a language model does."""

    def rank(
        self, customer: Customer, liked: Sequence[Pet], candidates: Sequence[Pet], limit: int, halt: Halt
    ) -> Iterator[Recommendation]:
        """Yield up to `limit` of the candidates, best first, each as soon as it's certain. Raises EngineFailed."""


class Recommending:
    """Begins generations of recommendations (see `generation.Generate`). `silence_s` is how long a model may say nothing."""

    def __init__(self, log: EventLog, recommender: Recommender, ranking: Ranking | None = None, silence_s: float = 0.0) -> None:
        self._log = log
        self._recommender = recommender
        self._ranking = ranking
        self._silence_s = silence_s

    def __call__(self, run: Run, done: Sequence[Event]) -> Generation:
        ranking = self._ranking if run.engine == MODEL else None
        return _Choice(run, done, self._log, self._recommender, ranking, self._silence_s)


class _Choice(ReadingGeneration):
    """See `generation.Generation` for the contract."""

    def __init__(
        self,
        run: Run,
        done: Sequence[Event],
        log: EventLog,
        recommender: Recommender,
        ranking: Ranking | None,
        silence_s: float,
    ) -> None:
        super().__init__()
        self.engine = EMBEDDED if ranking is None else MODEL
        self.phase = "choosing"
        self.total: int | None = run.request["limit"]
        self._limit: int = run.request["limit"]
        self._customer_id = str(run.customer_id)
        self._picks = [_pick(event) for event in done if event.type == RECOMMENDATION]
        self._shop = Shop(log, run.tenant)
        self._recommender = recommender
        self._ranking = ranking
        self._silence_s = silence_s

    def batches(self) -> Generator[Batch, None, None]:
        if self._ranking is not None and self._left():
            try:
                yield from self._by_model(self._ranking)
            except EngineFailed as error:
                logger.warning("the embedded recommender goes on instead of the model: %s", error)
                yield []  # While it's known whose tokens those are that led to nothing.
        if self._left():
            self.engine = EMBEDDED
        yield from self._embedded()

    def _left(self) -> int:
        return self._limit - len(self._picks)

    def _by_model(self, ranking: Ranking) -> Generator[Batch, None, None]:
        customer, liked, candidates = yield from self._unhurried(self._candidates)
        self.phase = "asking the model"
        rank = partial(ranking.rank, customer, liked, candidates, self._left())
        with closing(self._read(rank, self._silence_s)) as batches:
            for picks in batches:
                yield self._made(self._for_sale(picks))

    def _candidates(self) -> tuple[Customer, list[Pet], list[Pet]]:
        """Return the customer, pets that the customer likes, and those that the model chooses from."""
        customer = get_customer(self._shop, self._customer_id)
        chosen = self._recommender.recommend(self._shop, customer, self._picks, len(self._picks) + CANDIDATES)
        ids, likes = [pick.pet_id for pick in get_hub().threadpool.apply(list, (chosen,))], customer.likes[-LIKED:]
        pets = self._shop.query(lambda connection: find_pets(self._shop, connection, [*ids, *likes]))
        return customer, [pets[id] for id in likes if id in pets], [pets[id] for id in ids if id in pets]

    def _for_sale(self, picks: list[Recommendation]) -> list[Recommendation]:
        """Return those of a model's picks that can still be bought: a model takes its time."""
        if not picks:
            return picks
        pets = self._shop.query(lambda connection: find_pets(self._shop, connection, [pick.pet_id for pick in picks]))
        return [pick for pick in picks if (pet := pets.get(pick.pet_id)) and pet.status is PetStatus.AVAILABLE]

    def _unhurried(self, work: Callable[[], T]) -> Generator[Batch, None, T]:
        """Return what `work` returns, and yield an empty batch every second until then, by which the run keeps its lease.

        The first recommendation after a start waits until a large shop has been read, for longer than a run's lease.
        """
        with closing(self._read(lambda _: iter((work(),)), math.inf)) as batches:
            while not (done := next(batches)):
                yield []
            return done[0]

    def _embedded(self) -> Generator[Batch, None, None]:
        """Yield what is left of the picks, in slices of time, and the result with the last one."""
        self.phase = "choosing"
        recommend = partial(self._recommender.recommend, self._shop, self._customer_id, list(self._picks), self._limit)
        quick = self._recommender.is_quick(self._shop)
        picks = recommend() if quick else (yield from self._unhurried(recommend))
        while True:
            made, exhausted = _slice(picks, self._left()) if quick else get_hub().threadpool.apply(_slice, (picks, self._left()))
            batch = self._made(made)
            if exhausted:
                yield [*batch, Result({"total": len(self._picks)})]
                return
            yield batch

    def _made(self, picks: Sequence[Recommendation]) -> list[Made | Result]:
        self._picks += picks
        return [
            Made(RECOMMENDATION, {"petId": pick.pet_id, "name": pick.name, "score": pick.score, "reason": pick.reason})
            for pick in picks
        ]


def _slice(picks: Iterator[Recommendation], limit: int) -> tuple[list[Recommendation], bool]:
    """Return the picks of one slice of time, at least one if there is one, and whether there are no more to come."""
    made: list[Recommendation] = []
    until = time.monotonic() + SLICE_S
    for pick in islice(picks, limit):
        made.append(pick)
        if time.monotonic() > until:
            break
    else:
        return made, True
    return made, len(made) == limit


def _pick(event: Event) -> Recommendation:
    data = event.value()
    return Recommendation(data["petId"], data["name"], data["score"], data["reason"])
