"""The words that the embedded advisor knows, and what each of them means.

Must not hold what a shop's own pets are called: their names, breeds and colours are looked up.
"""

from collections.abc import Mapping
from typing import TypeVar

from petstore.shop import AnimalKind, Size, Species

MAX_WORD = 30
"""Characters of a word that may name something."""

M = TypeVar("M")

_SPECIES: Mapping[Species, str] = {
    Species.DOG: "dog dogs doggy puppy puppies pup pups hound hounds",
    Species.CAT: "cat cats kitty kitten kittens tomcat tomcats",
    Species.RABBIT: "rabbit rabbits bunny bunnies",
    Species.BIRD: "bird birds",
    Species.REPTILE: "reptile reptiles",
    Species.OTHER: "rodent rodents",
}

_KINDS: Mapping[AnimalKind, str] = {
    (Species.BIRD, ("parrot",)): "parrot parrots",
    (Species.BIRD, ("budgerigar", "budgie")): "budgie budgies budgerigar budgerigars",
    (Species.BIRD, ("canary",)): "canary canaries",
    (Species.BIRD, ("finch",)): "finch finches",
    (Species.BIRD, ("cockatiel",)): "cockatiel cockatiels",
    (Species.BIRD, ("parakeet",)): "parakeet parakeets",
    (Species.REPTILE, ("lizard", "gecko", "dragon", "iguana", "chameleon", "skink", "anole")): "lizard lizards",
    (Species.REPTILE, ("gecko",)): "gecko geckos",
    (Species.REPTILE, ("snake", "python", "boa")): "snake snakes",
    (Species.REPTILE, ("python",)): "python pythons",
    (Species.REPTILE, ("tortoise",)): "tortoise tortoises",
    (Species.REPTILE, ("turtle",)): "turtle turtles",
    (Species.OTHER, ("hamster",)): "hamster hamsters",
    (Species.OTHER, ("guinea pig",)): "guinea",
    (Species.OTHER, ("ferret",)): "ferret ferrets",
    (Species.OTHER, ("rat",)): "rat rats",
    (Species.OTHER, ("chinchilla",)): "chinchilla chinchillas",
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

_LISTS: Mapping[str, str] = {
    "flat": "flat apartment studio indoors",
    "kids": "child children kid kids toddler toddlers baby family daughter son",
    "cheap": "cheap cheapest cheaper affordable",
    "care": "care looking-after keep keeping needs",
    "overview": "stock have sell inventory available offer",
    "greeting": "hello hi hey thanks thank morning evening",
    "vet": "sick ill vomiting vomits bleeding limping poisoned medicine dose diarrhoea diarrhea seizure injured",
}


def _index(groups: Mapping[M, str]) -> dict[str, M]:
    return {word: meaning for meaning, words in groups.items() for word in words.split()}


def word_set(words: str) -> frozenset[str]:
    """Return the words of a text, which is easier to read than a list of them."""
    return frozenset(words.split())


_COMMON = word_set(
    "about after again animal animals because before breed breeds color colors colour colours could every fancy first found house "
    "looking might other lives people please really right shall should since still their there these thing things think those "
    "today under until wants where which while white black would write years"
)

SPECIES_OF, KIND_OF = _index(_SPECIES), _index(_KINDS)
SIZE_OF, TRAIT_OF, SUBJECT_OF, LIST_OF = _index(_SIZES), _index(_TRAITS), _index(_SUBJECTS), _index(_LISTS)

ANIMALS = frozenset(SPECIES_OF) | frozenset(KIND_OF)
"""The words for animals."""

YOUNG = word_set("puppy puppies pup pups kitten kittens")
"""Those for animals that aren't grown."""

_UNDERSTOOD = (ANIMALS, SIZE_OF, TRAIT_OF, SUBJECT_OF, LIST_OF, _COMMON)


def may_name_looks(word: str) -> bool:
    """Say whether a word that we don't know may be part of the name of a breed or a colour."""
    return 4 < len(word) <= MAX_WORD and not any(word in known for known in _UNDERSTOOD)


def is_baby(word: str, following: str) -> bool:
    """Say whether a word says that what follows is young. "Baby" alone is somebody's child."""
    return word == "baby" and (following in ANIMALS or following in ("animal", "animals", "pet", "pets"))
