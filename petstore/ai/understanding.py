"""What a customer's words ask for, read by rules: the embedded advisor's ears.

Pure: text in, a Request out, always the same one. Must not look anything up, and takes time in proportion to the text.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from itertools import pairwise
from typing import TypeVar

from petstore.ai.budget import read_budget
from petstore.ai.engine import Message, Role
from petstore.ai.sifting import Sifted, sift
from petstore.ai.words import (
    KIND_OF,
    LIST_OF,
    MAX_WORD,
    SIZE_OF,
    SPECIES_OF,
    SUBJECT_OF,
    TRAIT_OF,
    YOUNG,
    is_baby,
    may_name_looks,
)
from petstore.ai.words import TRAITS as TRAITS
from petstore.shop import AnimalKind, Size, Wishes

MAX_NAMES = 40
"""Words of a message that may be the name of a pet, and as many pairs of words: each is looked up."""

MAX_LOOKS = 6
"""Words of a message that are part of the names of breeds or colours: a search compares each with every pet."""

YOUNG_MONTHS = 12
"""How old an animal may be that is asked for as a young one."""

M = TypeVar("M")
Known = Callable[[str], bool]


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

    `names` are words that may name pets, `subjects` what about care is asked, `flat` that the pet would live in one, and
    `companions` that other animals would be about.
    """

    aim: Aim
    wishes: Wishes = field(default_factory=Wishes)
    subjects: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    flat: bool = False
    companions: bool = False


_PRIVATE = re.compile(
    r"\b(?:(?<!in )orders?|refund|parcel|tracking|password|account|invoice|credit card|e-?mail|address|customers?|prompt|"
    r"(?:your|system|previous|all) instructions)\b"
)
_LIFESPAN = re.compile(
    r"\bhow (?:long|many years) (?:do|does|can|will|would)\b.{0,40}\blive\b|"
    r"\bhow old (?:do|does|can|will)\b.{0,40}\b(?:get|become|grow|live)\b|\blive long\b|\blife ?(?:span|expectancy)\b"
)

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_NAMED = re.compile(r"\b(?:about|named|called|is|does|has|meet|was)\s+([^\W\d_]+)", re.IGNORECASE)


def understand(messages: Iterable[Message], known: Known = lambda word: False) -> Request:
    """Return what the conversation asks for now. What was wished for earlier holds until something else is wished for.

    `known` says whether a word, in small letters, is part of the name of a breed, a colour or a pet that the shop has.
    """
    said = [message.content for message in messages if message.role is Role.USER]
    if not said:
        return Request(Aim.UNKNOWN)
    now = _read(said[-1], known)
    for earlier in reversed(said[:-1]):
        if now.aim in (Aim.PETS, Aim.CARE):
            now = _go_on(_read(earlier, known), now)
    return now


def _read(text: str, known: Known) -> Request:
    lower = " ".join(text.lower().split()).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")  # Thousands of blanks cost their square.
    words = _WORD.findall(lower)
    lists = {LIST_OF[word] for word in words if word in LIST_OF}
    subjects = tuple(_found(words, SUBJECT_OF))
    if _LIFESPAN.search(lower) and "lifespan" not in subjects:
        subjects += ("lifespan",)
    refused = Aim.VET if "vet" in lists else Aim.PRIVATE if _PRIVATE.search(lower) else None
    sifted = sift(lower)
    if subjects or "care" in lists:
        # Those that somebody has are the ones that care is asked for.
        sifted.doubtful += sifted.companions
    following = pairwise([*sifted.wanted, ""])
    home = {LIST_OF[word] for word, next_ in following if word in LIST_OF and not is_baby(word, next_)}
    # What is refused needs no looking up.
    wishes = _wishes(sifted, home, read_budget(lower), known if refused is None else lambda word: False)
    request = Request(Aim.UNKNOWN, wishes, subjects, _names(text), "flat" in home, bool(sifted.companions))
    return replace(request, aim=refused or _aim(lower, request, lists))


def _aim(lower: str, request: Request, lists: set[str]) -> Aim:
    wishes = request.wishes
    if wishes.all_species and (request.subjects or "care" in lists):
        return Aim.CARE
    if wishes != Wishes() or request.flat:
        bare = wishes == Wishes(species=wishes.species)
        return Aim.OVERVIEW if bare and "overview" in lists and "how many" in lower else Aim.PETS
    if "overview" in lists or "pets" in lower or request.companions:
        return Aim.OVERVIEW
    return Aim.GREETING if "greeting" in lists else Aim.UNKNOWN


def _wishes(sifted: Sifted, home: set[str], budget: int | None, known: Known) -> Wishes:
    words, avoided = sifted.wanted, sifted.avoided
    animals = words if any(word in SPECIES_OF or word in KIND_OF for word in words) else sifted.doubtful
    young = any(word in YOUNG for word in words) or any(is_baby(*both) for both in pairwise(words))
    not_these = _found(avoided, SIZE_OF)
    sizes = _found(words, SIZE_OF) or [size for size in Size if not_these and size not in not_these]
    species, kinds = tuple(_found(animals, SPECIES_OF)), tuple(_found(animals, KIND_OF))
    unwanted = [(species, ()) for species in _found(sifted.unwanted, SPECIES_OF)] + _found(sifted.unwanted, KIND_OF)
    wishes = Wishes(
        species=species,
        kinds=kinds,
        sizes=tuple(sizes),
        temperament=tuple(_found(words, TRAIT_OF)),
        avoid=tuple(_found(avoided, TRAIT_OF)),
        good_with_kids=True if "kids" in home else None,
        max_price_cents=budget,
        max_age_months=YOUNG_MONTHS if young else None,
        words=_looks(words, known),
        without=_looks(avoided, known),
        cheapest_first="cheap" in home,
    )
    return replace(wishes, unwanted=_still_unwanted(unwanted, wishes))


def _still_unwanted(unwanted: Iterable[AnimalKind], wishes: Wishes) -> tuple[AnimalKind, ...]:
    """Return what is excluded: of animals that are wished for too nothing is."""
    return tuple(kind for kind in unwanted if kind not in wishes.kinds and (kind[1] or kind[0] not in wishes.all_species))


def _looks(words: Iterable[str], known: Known) -> tuple[str, ...]:
    """Return those of the words that name looks, or pets, each as the shop knows it: as it is, or without a last s."""
    found = []
    for word in dict.fromkeys(word for word in words if may_name_looks(word)):
        whole = word.removesuffix("'s")
        found += [form for form in (whole, whole.removesuffix("s")) if known(form)][:1]
    return tuple(dict.fromkeys(found))[:MAX_LOOKS]


def _found(words: Iterable[str], index: Mapping[str, M]) -> list[M]:
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


def _go_on(earlier: Request, now: Request) -> Request:
    """Return what is asked for now, with what was wished for earlier and isn't replaced."""
    old, new = earlier.wishes, now.wishes
    named = new.species or new.kinds
    same = not named or (new.species, new.kinds) == (old.species, old.kinds)
    species = new.species if named else tuple(one for one in old.species if (one, ()) not in new.unwanted)
    kinds = new.kinds if named else tuple(kind for kind in old.kinds if kind not in new.unwanted)
    wishes = Wishes(
        species=species,
        kinds=kinds,
        sizes=new.sizes or old.sizes,
        temperament=new.temperament or tuple(trait for trait in old.temperament if trait not in new.avoid),
        avoid=new.avoid + tuple(trait for trait in old.avoid if trait not in new.temperament + new.avoid),
        good_with_kids=old.good_with_kids if new.good_with_kids is None else new.good_with_kids,
        max_price_cents=old.max_price_cents if new.max_price_cents is None else new.max_price_cents,
        max_age_months=new.max_age_months if named else new.max_age_months or old.max_age_months,
        # How one animal is to look says nothing of another.
        words=new.words or tuple(word for word in old.words if same and word not in new.without),
        without=new.without + tuple(word for word in old.without if word not in new.words + new.without),
        cheapest_first=new.cheapest_first or old.cheapest_first,
    )
    unwanted = _still_unwanted(dict.fromkeys(new.unwanted + old.unwanted), wishes)
    flat, companions = now.flat or earlier.flat, now.companions or earlier.companions
    return replace(now, wishes=replace(wishes, unwanted=unwanted), flat=flat, companions=companions)
