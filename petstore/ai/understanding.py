"""What a customer's words ask for, read by rules: the embedded advisor's ears.

Pure: text in, a Request out, always the same one. Must not look anything up, and takes time in proportion to the text.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from itertools import pairwise
from typing import TypeVar

from petstore.ai.engine import Message, Role
from petstore.shop import Size, Species, Wishes

MAX_NAMES = 40
"""Words of a message that may be the name of a pet, and as many pairs of words: each is looked up."""

MAX_BREEDS = 6
"""Words of a message that may be part of a breed's name: each is compared with every breed."""


MAX_WORD = 30
"""Characters of such a word."""

M = TypeVar("M")


class Aim(Enum):
    """What somebody wants of us."""

    GREETING = auto()
    PRIVATE = auto()
    VET = auto()
    CARE = auto()
    OVERVIEW = auto()
    PETS = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Request:
    """What was understood.

    `names` are words that may name pets, `breeds` words that may name breeds, `subjects` what about care is asked, `flat` that
    the pet would live in one.
    """

    aim: Aim
    wishes: Wishes = field(default_factory=Wishes)
    subjects: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    breeds: tuple[str, ...] = ()
    flat: bool = False


_SPECIES: Mapping[Species, str] = {
    Species.DOG: "dog dogs doggy puppy puppies hound",
    Species.CAT: "cat cats kitty kitten kittens tomcat",
    Species.RABBIT: "rabbit rabbits bunny bunnies",
    Species.BIRD: "bird birds parrot parrots budgie budgies canary finch finches cockatiel budgerigar parakeet",
    Species.REPTILE: "reptile reptiles lizard lizards snake snakes gecko geckos tortoise tortoises turtle python",
    Species.OTHER: "hamster hamsters guinea ferret ferrets rat rats chinchilla chinchillas rodent rodents",
}

_SIZES: Mapping[Size, str] = {
    Size.SMALL: "small little tiny",
    Size.MEDIUM: "medium",
    Size.LARGE: "large big huge",
}

_TRAITS: Mapping[str, str] = {
    "quiet": "quiet silent noiseless",
    "calm": "calm relaxed lazy",
    "gentle": "gentle soft sweet",
    "playful": "playful fun",
    "affectionate": "affectionate loving",
    "cuddly": "cuddly cuddle cuddles lap",
    "easygoing": "easygoing easy uncomplicated beginner beginners",
    "energetic": "energetic sporty jogging",
    "active": "active running hiking",
    "clever": "clever smart intelligent",
    "curious": "curious",
    "independent": "independent alone",
    "confident": "confident bold",
    "patient": "patient",
    "protective": "protective guard watchdog",
    "loyal": "loyal faithful",
    "talkative": "talkative talking talks chatty",
    "shy": "shy",
}

TRAITS = frozenset(_TRAITS)
"""The words for a temperament that we know. Whatever else is written there is somebody's own word."""

_SUBJECTS: Mapping[str, str] = {
    "food": "food feed feeding eat eats diet fed meal meals",
    "home": "cage litter terrarium housing bedding hutch tray",
    "exercise": "exercise walk walks walked wheel",
    "grooming": "groom grooming brush brushing comb coat bath bathe shed",
    "company": "lonely company companion pair",
    "health": "vaccination vaccinations vaccinated vaccinate worming neutered health healthy",
    "lifespan": "lifespan",
}

_LISTS = {
    "flat": "flat apartment studio indoors",
    "kids": "child children kid kids toddler toddlers baby family daughter son",
    "cheap": "cheap cheapest cheaper budget affordable",
    "care": "care looking-after keep keeping needs",
    "overview": "stock have sell inventory available offer",
    "greeting": "hello hi hey thanks thank morning evening",
    "vet": "sick ill vomiting vomits bleeding limping poisoned medicine dose diarrhoea diarrhea seizure injured",
}

_COMMON = {
    "common": "about after again animal animals because before could every first found house looking might other "
    "lives people please really right shall should since still their there these thing things think those today "
    "under until wants where which while white black would write years",
}

_PRIVATE = re.compile(
    r"\b(?:(?<!in )orders?|refund|parcel|tracking|password|account|invoice|credit card|e-?mail|address|customers?|prompt|"
    r"(?:your|system|previous|all) instructions)\b"
)
_LIFESPAN = re.compile(
    r"\bhow (?:long|many years) (?:do|does|can|will|would)\b.{0,40}\blive\b|"
    r"\bhow old (?:do|does|can|will)\b.{0,40}\b(?:get|become|grow|live)\b|\blive long\b|\blife ?(?:span|expectancy)\b"
)

# An amount, but not of months, pounds or children.
_NUMBER = (
    r"([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,7})(\.[0-9]{2})?(?![0-9]|[.,][0-9])\s?(k\b)?"
    r"(?!\s*-?\s*(?:days?|weeks?|months?|years?|yrs?|hours?|minutes?|kg|kilos?|lbs?|pounds?|cm|inch|inches|feet|"
    r"people|persons?|kids?|child|children|pets?|animals?|cats?|dogs?)\b)"
)
_MOST = re.compile(
    r"\b(?:no more than|not more than|not over|not above|nothing over|nothing above|"
    r"under|below|less than|up to|at most|max(?:imum)?(?: of)?|budget(?: of| is)?|within)"
    rf"\s+[$€£]?\s?{_NUMBER}"
)
_BETWEEN = re.compile(rf"\bbetween\s+[$€£]?\s?[0-9][0-9,.]{{0,9}}\s?k?\s+and\s+[$€£]?\s?{_NUMBER}( dollars| euros| usd| eur)?")
_PRICE = re.compile(rf"(\b(?:over|above|more than|at least|from|between|starting at)\s+)?[$€£]\s?{_NUMBER}")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_NOT_KIDS = re.compile(r"\b(?:no|without) (?:kids|children|child)\b")
_NAMED = re.compile(r"\b(?:about|named|called|is|does|has|meet|was)\s+([^\W\d_]+)", re.IGNORECASE)


def _index(groups: Mapping[M, str]) -> dict[str, M]:
    return {word: meaning for meaning, words in groups.items() for word in words.split()}


_SPECIES_OF, _SIZE_OF, _TRAIT_OF = _index(_SPECIES), _index(_SIZES), _index(_TRAITS)
_SUBJECT_OF, _LIST_OF, _IS_COMMON = _index(_SUBJECTS), _index(_LISTS), _index(_COMMON)


def understand(messages: Iterable[Message]) -> Request:
    """Return what the conversation asks for now. What was wished for earlier holds until something else is wished for."""
    said = [message.content for message in messages if message.role is Role.USER]
    if not said:
        return Request(Aim.UNKNOWN)
    now = _read(said[-1])
    for earlier in reversed(said[:-1]):
        if now.aim in (Aim.PETS, Aim.CARE):
            now = replace(now, wishes=_go_on(_read(earlier).wishes, now.wishes))
    return now


def _read(text: str) -> Request:
    lower = " ".join(text.lower().split())  # Blanks by the thousand would cost their square.
    words = _WORD.findall(lower)
    lists = {_LIST_OF[word] for word in words if word in _LIST_OF}
    wishes = _wishes(lower, words, lists)
    subjects = tuple(_found(words, _SUBJECT_OF))
    if _LIFESPAN.search(lower) and "lifespan" not in subjects:
        subjects += ("lifespan",)
    request = Request(Aim.UNKNOWN, wishes, subjects, _names(text), _breeds(words), "flat" in lists)
    return replace(request, aim=_aim(lower, request, lists))


def _aim(lower: str, request: Request, lists: set[str]) -> Aim:
    wishes = request.wishes
    if "vet" in lists:
        return Aim.VET
    if _PRIVATE.search(lower):
        return Aim.PRIVATE
    if wishes.species and (request.subjects or "care" in lists):
        return Aim.CARE
    if wishes != Wishes() or request.flat:
        bare = wishes == Wishes(species=wishes.species)
        return Aim.OVERVIEW if bare and "overview" in lists and "how many" in lower else Aim.PETS
    if "overview" in lists or "pets" in lower:
        return Aim.OVERVIEW
    return Aim.GREETING if "greeting" in lists else Aim.UNKNOWN


def _wishes(lower: str, words: list[str], lists: set[str]) -> Wishes:
    kids = None if "kids" not in lists or _NOT_KIDS.search(lower) else True
    return Wishes(
        species=tuple(_found(words, _SPECIES_OF)),
        sizes=tuple(_found(words, _SIZE_OF)),
        temperament=tuple(_found(words, _TRAIT_OF)),
        good_with_kids=kids,
        max_price_cents=_budget(lower),
        cheapest_first="cheap" in lists,
    )


def _budget(lower: str) -> int | None:
    """Return the most that something may cost, in cents. What it should cost at the least is no wish of ours."""
    if (most := _MOST.search(lower)) is not None:
        return _cents(*most.groups())
    if (between := _BETWEEN.search(lower)) is not None:
        *number, currency = between.groups()
        if currency or re.search(r"[$€£]|[0-9]{3}", between[0]):
            return _cents(*number)
    prices = [price.groups() for price in _PRICE.finditer(lower)]
    return next((_cents(*number) for least, *number in reversed(prices) if least is None), None)


def _cents(whole: str, cents: str | None, thousand: str | None) -> int:
    return (int(whole.replace(",", "")) * 100 + int((cents or ".0")[1:])) * (1000 if thousand else 1)


def _found(words: list[str], index: Mapping[str, M]) -> list[M]:
    return list(dict.fromkeys(index[word] for word in words if word in index))


def _names(text: str) -> tuple[str, ...]:
    # A capital makes a word a name, and so does what stands before it: "is opal calm" asks for Opal, "an opal ring" doesn't.
    words = [word for word in _WORD.finditer(text) if word[0][0].isupper()]
    pairs = [f"{one[0]} {other[0]}" for one, other in pairwise(words) if text[one.end() : other.start()] == " "]
    singles = [*(word[0] for word in words), *_NAMED.findall(text)]
    return (*_first_names(singles), *_first_names(pairs))


def _first_names(names: list[str]) -> tuple[str, ...]:
    shortened = (name.removesuffix("'s") for name in names)
    return tuple(dict.fromkeys(name for name in shortened if 2 < len(name) <= MAX_WORD))[:MAX_NAMES]


def _breeds(words: list[str]) -> tuple[str, ...]:
    known = (_SPECIES_OF, _SIZE_OF, _TRAIT_OF, _SUBJECT_OF, _LIST_OF, _IS_COMMON)
    unknown = (word for word in words if 4 < len(word) <= MAX_WORD and not any(word in index for index in known))
    return tuple(dict.fromkeys(word.removesuffix("s") for word in unknown))[:MAX_BREEDS]


def _go_on(earlier: Wishes, now: Wishes) -> Wishes:
    return Wishes(
        now.species or earlier.species,
        now.sizes or earlier.sizes,
        now.temperament or earlier.temperament,
        (),
        earlier.good_with_kids if now.good_with_kids is None else now.good_with_kids,
        earlier.max_price_cents if now.max_price_cents is None else now.max_price_cents,
        now.words or earlier.words,
        now.cheapest_first or earlier.cheapest_first,
    )
