"""Recommendations by a language model: it ranks candidates that the embedded recommender chose, and says why.

The model writes one JSON object a line, and each line is a recommendation as soon as it's complete. Must not believe it: a pet
that isn't a candidate is dropped, and so is every line that isn't what was asked for. What staff or customers wrote in their
own words is kept from it, so there is nothing that could talk it into anything.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from petstore.ai.engine import MODEL, Halt
from petstore.ai.error import EngineFailed
from petstore.ai.model import Model
from petstore.ai.recommender import FIRST, Recommendation, falling
from petstore.ai.tools import describe_pet
from petstore.shop import Customer, Pet

MAX_LINE = 2_000
"""Characters of a line: who writes on without an end is not writing what we asked for."""

MAX_WRONG = 5
"""Lines in a row that aren't what was asked for, after which nothing better is expected."""

MAX_REASON = 200

TOKENS_A_PICK = 120

INSTRUCTIONS = """You rank pets of a pet shop for one customer. You get the customer's wishes and candidates as JSON.
Answer with {limit} lines and nothing else. Each line is one JSON object, best pet first:
{{"petId": "<id of a candidate>", "score": <how well it fits, from 0 to 1, never rising>, "reason": "<one short sentence>"}}
The reason is said to the customer, and must follow from the customer's wishes and the pet's facts."""

logger = logging.getLogger(__name__)


class ModelRanking:
    """Asks a model to rank candidates."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def rank(
        self, customer: Customer, liked: Sequence[Pet], candidates: Sequence[Pet], limit: int, halt: Halt
    ) -> Iterator[Recommendation]:
        """Yield up to `limit` of the candidates, best first, each as soon as its line is complete. Raises EngineFailed."""
        wishes = {
            "species": list(customer.preferences.species),
            "sizes": list(customer.preferences.sizes),
            "temperament": list(customer.preferences.temperament),
            "maxPrice": None if customer.preferences.max_price_cents is None else customer.preferences.max_price_cents / 100,
            "goodWithKids": customer.preferences.good_with_kids,
            "liked": [describe_pet(pet) for pet in liked],
        }
        question = json.dumps({"customer": wishes, "candidates": [describe_pet(pet) for pet in candidates]})
        messages = [
            {"role": "system", "content": INSTRUCTIONS.format(limit=limit)},
            {"role": "user", "content": question},
        ]
        pieces = self._model.stream(messages, halt, limit * TOKENS_A_PICK)
        yield from _read_picks(_lines(pieces), {pet.id: pet for pet in candidates}, limit)


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        if any(len(line) > MAX_LINE for line in (*lines, rest)):
            raise EngineFailed(MODEL, f"it wrote a line of more than {MAX_LINE} characters")
        yield from lines
    yield rest


def _read_picks(lines: Iterable[str], candidates: dict[str, Pet], limit: int) -> Iterator[Recommendation]:
    left = dict(candidates)
    wrong, last = 0, FIRST
    for line in lines:
        if not line.strip() or line.lstrip().startswith("```"):
            continue  # Models like to wrap what they write.
        pick = _read_pick(line, left)
        if pick is None:
            wrong += 1
            logger.debug("a model's line was dropped: %r", line[:100])
            if wrong >= MAX_WRONG:
                raise EngineFailed(MODEL, f"{MAX_WRONG} lines in a row were of no use")
            continue
        pet, score, reason = pick
        made = len(candidates) - len(left)
        # A model gives many pets the same score, and none to the last ones.
        wrong, last = 0, falling(last, score, limit - made)
        del left[pet.id]
        yield Recommendation(pet.id, pet.name, last, reason)
        if made + 1 == limit:
            return


def _read_pick(line: str, left: dict[str, Pet]) -> tuple[Pet, float, str] | None:
    try:
        value: Any = json.loads(line)
        pet, score, reason = left.get(value["petId"]), float(value["score"]), " ".join(value["reason"].split())
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    good = pet is not None and 0 <= score <= 1 and 0 < len(reason) <= MAX_REASON
    return (pet, score, reason) if pet is not None and good else None
