"""Recommendations by a language model: it ranks candidates that the embedded recommender chose, and says why.

The model writes one JSON object a line, and each line is a recommendation as soon as it's complete. Must not believe it: a pet
that isn't a candidate is dropped, and so is every line that isn't what was asked for. Of what staff and customers wrote it gets
names and breeds alone, which may still talk it into anything; so a reason is one short line of plain words, without links.
"""

import json
import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from petstore.ai.engine import MODEL, Halt
from petstore.ai.error import EngineFailed
from petstore.ai.model import Model
from petstore.ai.recommender import FIRST, Recommendation, falling
from petstore.ai.tools import describe_pet
from petstore.ai.understanding import TRAITS
from petstore.shop import Customer, Pet

MAX_LINE = 2_000
"""Characters of a line: a model that writes on without an end is not writing what we asked for."""

MAX_WRONG = 5
"""Lines in a row that aren't what was asked for, after which nothing better is expected."""

MAX_REASON = 200
"""Characters of a reason: we asked for one short sentence."""

_NOT_PLAIN = re.compile(r"[<>\[\]@]|://|www\.|[a-z]\.[a-z]{2}", re.IGNORECASE)
"""What a reason has no use for: markup, addresses and links."""

TOKENS_A_PICK = 120
"""Tokens that a model may write for each pick: an id, a score and a short sentence take fewer."""

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
            "temperament": _known(customer.preferences.temperament),
            "maxPrice": None if customer.preferences.max_price_cents is None else customer.preferences.max_price_cents / 100,
            "goodWithKids": customer.preferences.good_with_kids,
            "liked": [_describe(pet) for pet in liked],
        }
        question = json.dumps({"customer": wishes, "candidates": [_describe(pet) for pet in candidates]})
        messages = [
            {"role": "system", "content": INSTRUCTIONS.format(limit=limit)},
            {"role": "user", "content": question},
        ]
        pieces = self._model.stream(messages, halt, limit * TOKENS_A_PICK)
        yield from _read_picks(_lines(pieces), {pet.id: pet for pet in candidates}, limit)


def _describe(pet: Pet) -> dict[str, Any]:
    return describe_pet(pet) | {"temperament": _known(pet.temperament)}


def _known(words: Sequence[str]) -> list[str]:
    return [word for word in words if word.lower() in TRAITS]


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
        pet, score, reason = left.get(value["petId"]), float(value["score"]), _visible(value["reason"])
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    good = pet is not None and 0 <= score <= 1 and 0 < len(reason) <= MAX_REASON and not _NOT_PLAIN.search(reason)
    return (pet, score, reason) if pet is not None and good else None


def _visible(text: str) -> str:
    """Return a text on one line, without what can't be seen, such as what turns the direction of writing."""
    seen = (character for character in text if character.isspace() or unicodedata.category(character)[0] != "C")
    return " ".join("".join(seen).split())
