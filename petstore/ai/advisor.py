"""The embedded advisor: answers what customers ask about this shop's pets, from the shop's own data, by rules.

Deterministic and honest: everything that it says of a pet is in the database, it names the pets that it speaks of, and what
it can't do it says. It reads nothing but pets, which are public, so no message can make it tell more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from petstore.ai.advice import Advice, advise, introduce, list_stock, present, refuse, tell_care
from petstore.ai.engine import EMBEDDED, Ending, Halt, Question, Source, Usage, count_prompt, count_tokens, cut_tokens
from petstore.ai.lookup import Lookup
from petstore.ai.understanding import Aim, Request, understand
from petstore.shop import Pet, Shop, Size, SpeciesStock, Wishes, count_stock, find_matches, find_named

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
    """What the shop has to a request.

    `breeds` are the words that name one; `above_budget` says that nothing was cheap enough, and these are the next ones.
    """

    named: Sequence[Pet] = ()
    breeds: tuple[str, ...] = ()
    matches: Sequence[Pet] = ()
    stock: Sequence[SpeciesStock] = ()
    above_budget: bool = False


class Advisor:
    """See `engine.Engine` for the contract. `link` returns where a pet of a shop is shown, by its id."""

    name = EMBEDDED

    def __init__(self, link: Callable[[Shop, str], str]) -> None:
        self._link = link
        self._lookup = Lookup()

    def answer(self, shop: Shop, question: Question, halt: Halt) -> Iterator[str | Ending]:
        request = understand(question.messages)
        found = self._find(shop, request)
        said = 0
        sources: dict[str, Source] = {}
        finish_reason = "stop"
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
        usage = Usage(count_prompt(question.messages), said)
        yield Ending("length" if finish_reason == "length" else "stop", usage, tuple(sources.values()))

    def _find(self, shop: Shop, request: Request) -> Found:
        if request.aim in (Aim.PRIVATE, Aim.VET):
            return Found()
        if request.names or request.breeds:
            # Most words of a message are neither, and to look for each among all pets would take seconds in a large shop.
            words = self._lookup.vocabulary(shop)
            names = tuple(name for name in request.names if name.lower() in words.names)
            if names:
                named = self._lookup.query(shop, lambda connection: find_named(shop, connection, names, SHOWN))
                if named:
                    return Found(named)
            breeds = tuple(word for word in request.breeds if word in words.looks or word in words.names)
            aim = Aim.PETS if breeds and request.aim in (Aim.UNKNOWN, Aim.OVERVIEW, Aim.GREETING) else request.aim
            request = replace(request, aim=aim, breeds=breeds)
        if request.aim in (Aim.UNKNOWN, Aim.GREETING):
            return Found()
        return self._lookup.query(shop, lambda connection: _look_up(shop, connection, request))


def _look_up(shop: Shop, connection: Connection, request: Request) -> Found:
    if request.aim is Aim.OVERVIEW:
        return Found(stock=_of_species(count_stock(shop, connection), request))
    wishes = replace(request.wishes, words=request.breeds)
    if request.flat:
        wishes = _for_a_flat(wishes)
    matches = find_matches(shop, connection, wishes, SHOWN)
    above_budget = not matches and wishes.max_price_cents is not None
    if above_budget:
        matches = find_matches(shop, connection, replace(wishes, max_price_cents=None, cheapest_first=True), SHOWN)
    # Where some have a trait that was asked for, those without any would only be in the way.
    fitting = [pet for pet in matches if {trait.lower() for trait in pet.temperament} & set(request.wishes.temperament)]
    return Found(matches=fitting or matches, breeds=request.breeds, above_budget=above_budget)


def _for_a_flat(wishes: Wishes) -> Wishes:
    # What was asked for by name counts alone; what a flat asks for fills in where nothing was.
    return replace(
        wishes,
        sizes=wishes.sizes or FLAT.sizes,
        temperament=wishes.temperament or FLAT.temperament,
        avoid=tuple(trait for trait in FLAT.avoid if trait not in wishes.temperament),
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
    elif found.stock:
        yield from list_stock(found.stock)
    elif found.matches or request.aim is Aim.PETS:
        words = replace(request, wishes=replace(request.wishes, words=found.breeds))
        yield from advise(words, found.matches, found.above_budget, link)
    else:
        yield from introduce(request.aim)
