"""The embedded advisor: answers what customers ask about this shop's pets, from the shop's own data, by rules.

Deterministic and honest: everything that it says of a pet is in the database, it names the pets that it speaks of, and what
it can't do it says. It reads nothing but pets, which are public, so no message can make it tell more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal

from sqlalchemy import Connection

from petstore.ai.advice import Advice, advise, introduce, list_stock, present, refuse, tell_care
from petstore.ai.engine import EMBEDDED, Ending, Halt, Question, Source, Usage, count_prompt, count_tokens, cut_tokens
from petstore.ai.lookup import Lookup
from petstore.ai.understanding import Aim, Request, understand
from petstore.shop import Pet, Shop, Size, SpeciesStock, Vocabulary, Wishes, count_stock, find_matches, find_named

SHOWN = 3
"""Pets that one answer shows: more would be a list, and there is one."""

FLAT = Wishes(
    sizes=(Size.SMALL, Size.MEDIUM),
    temperament=("quiet", "calm", "easygoing"),
    avoid=("energetic", "active", "talkative"),
)
"""What living in a flat asks for, where nothing else was said."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the shop has to a request: pets by their names, those that match or come nearest, and what there is of a species."""

    named: Sequence[Pet] = ()
    matches: Sequence[Pet] = ()
    stock: Sequence[SpeciesStock] = ()


class Advisor:
    """See `engine.Engine` for the contract. `link` returns where a pet of a shop is shown, by its id."""

    name = EMBEDDED

    def __init__(self, link: Callable[[Shop, str], str]) -> None:
        self._link = link
        self._lookup = Lookup()

    def answer(self, shop: Shop, question: Question, halt: Halt) -> Iterator[str | Ending]:
        @cache
        def words() -> Vocabulary:
            return self._lookup.vocabulary(shop)

        request = understand(question.messages, lambda word: word in words().looks or word in words().names)
        found = self._find(shop, request, words)
        said = 0
        sources: dict[str, Source] = {}
        finish_reason: Literal["stop", "length"] = "stop"
        for advice in _compose(request, found, partial(self._link, shop)):
            piece = cut_tokens(advice.text, question.max_tokens - said)
            said += count_tokens(piece)
            if piece:
                yield piece
            if piece != advice.text:
                finish_reason = "length"
                break
            sources |= {pet.id: Source(pet.id, pet.name) for pet in advice.pets}
            if halt.requested:
                break
        yield Ending(finish_reason, Usage(count_prompt(question.messages), said), tuple(sources.values()))

    def _find(self, shop: Shop, request: Request, words: Callable[[], Vocabulary]) -> Found:
        if request.aim in (Aim.PRIVATE, Aim.VET):
            return Found()
        # Most words of a message are no names, and to look for each among all pets would take seconds in a large shop.
        if names := tuple(name for name in request.names if name.lower() in words().names):
            named = self._lookup.query(shop, lambda connection: find_named(shop, connection, names, SHOWN))
            if named:
                return Found(named)
        if request.aim in (Aim.UNKNOWN, Aim.GREETING):
            return Found()
        return self._lookup.query(shop, lambda connection: _look_up(shop, connection, request))


def _look_up(shop: Shop, connection: Connection, request: Request) -> Found:
    if request.aim is Aim.OVERVIEW:
        return Found(stock=_of_species(count_stock(shop, connection), request))
    wishes = _for_a_flat(request.wishes) if request.flat else request.wishes
    matches = find_matches(shop, connection, wishes, SHOWN) or find_matches(shop, connection, wishes, SHOWN, nearest=True)
    return Found(matches=_fitting(matches, request.wishes))


def _fitting(matches: Sequence[Pet], wishes: Wishes) -> Sequence[Pet]:
    """Return those that have a trait that was asked for, and none to avoid: where there are any, others would be in the way."""
    traits = {pet.id: {trait.lower() for trait in pet.temperament} for pet in matches}
    good = [pet for pet in matches if not traits[pet.id] & set(wishes.avoid)] or matches
    return [pet for pet in good if traits[pet.id] & set(wishes.temperament)] or good


def _for_a_flat(wishes: Wishes) -> Wishes:
    # What was asked for by name counts alone; what a flat asks for fills in where nothing was.
    return replace(
        wishes,
        sizes=wishes.sizes or FLAT.sizes,
        temperament=wishes.temperament or tuple(trait for trait in FLAT.temperament if trait not in wishes.avoid),
        avoid=wishes.avoid + tuple(trait for trait in FLAT.avoid if trait not in wishes.temperament + wishes.avoid),
    )


def _of_species(stock: Sequence[SpeciesStock], request: Request) -> list[SpeciesStock]:
    return [line for line in stock if not request.wishes.species or line.species in request.wishes.species]


def _compose(request: Request, found: Found, link: Callable[[str], str]) -> Iterator[Advice]:
    if request.aim in (Aim.PRIVATE, Aim.VET):
        yield from refuse(request.aim)
    elif found.named:
        yield from present(found.named, request, link)
    elif request.aim is Aim.CARE:
        yield from tell_care(request, found.matches, link)
    elif request.aim is Aim.OVERVIEW:
        yield from list_stock(found.stock, request)
    elif request.aim is Aim.PETS:
        yield from advise(request, found.matches, link)
    else:
        yield from introduce(request.aim)
