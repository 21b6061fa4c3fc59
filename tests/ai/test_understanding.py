"""What the embedded advisor's ears make of a customer's words: text in, wishes out, without any shop."""

import time

import pytest

from petstore.ai.engine import Message, Role
from petstore.ai.understanding import MAX_LOOKS, YOUNG_MONTHS, Aim, Request, understand
from petstore.shop import Size, Species, Wishes

LOOKS = {"siamese", "persian", "ginger", "golden", "beagle", "spot", "freckles"}

DOG, CAT, RABBIT, BIRD, REPTILE, OTHER = Species
PARROT, HAMSTER = (BIRD, ("parrot",)), (OTHER, ("hamster",))


def understood(*texts: str) -> Request:
    """Return what a conversation asks for in a shop that knows LOOKS."""
    return understand([Message(Role.USER, text) for text in texts], LOOKS.__contains__)


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        ("Which breeds of cats do you have?", ()),
        ("a cat of any colour", ()),
        ("I fancy a cat with spots", ("spot",)),
        ("Do you have Siamese or Persian cats?", ("siamese", "persian")),
        ("is freckles there", ("freckles",)),
        ("beagles", ("beagle",)),
        ("a Persian's colour", ("persian",)),
        ("something for the evening", ()),
        (f"{'qwertz ' * 50} a beagle", ("beagle",)),
    ],
)
def test_words_that_the_shop_knows_are_looks_and_no_others(text: str, looks: tuple[str, ...]):
    assert understood(text).wishes.words == looks


def test_looks_are_bounded_and_for_what_is_refused_nothing_is_looked_up():
    words = " ".join("golden" + chr(ord("a") + number) for number in range(20))
    assert len(understand([Message(Role.USER, words)], lambda word: True).wishes.words) == MAX_LOOKS
    for text in ("my siamese is sick", "the order of a siamese"):
        asked: list[str] = []
        understand([Message(Role.USER, text)], lambda word, asked=asked: bool(asked.append(word)))
        assert asked == []


@pytest.mark.parametrize(
    ("text", "species", "kinds"),
    [
        ("a parrot", (), (PARROT,)),
        ("parrots or hamsters", (), (PARROT, HAMSTER)),
        ("a dog or a parrot", (DOG,), (PARROT,)),
        ("a budgie", (), ((BIRD, ("budgerigar", "budgie")),)),
        ("a bird", (BIRD,), ()),
        ("canaries", (), ((BIRD, ("canary",)),)),
        ("a rat", (), ((OTHER, ("rat",)),)),
        ("a guinea pig", (), ((OTHER, ("guinea pig",)),)),
        ("puppies", (DOG,), ()),
    ],
)
def test_a_kind_of_animal_is_more_than_its_species(text: str, species: tuple[Species, ...], kinds: object):
    assert (understood(text).wishes.species, understood(text).wishes.kinds) == (species, kinds)


def test_care_is_asked_for_the_species_of_a_kind():
    assert understood("How long do tortoises live?").aim is Aim.CARE
    assert understood("How long do tortoises live?").wishes.all_species == (REPTILE,)


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ("not a dog", Wishes(unwanted=((DOG, ()),))),
        ("Don't show me dogs", Wishes(unwanted=((DOG, ()),))),
        ("We don\N{RIGHT SINGLE QUOTATION MARK}t want a dog", Wishes(unwanted=((DOG, ()),))),
        ("neither a dog nor a cat", Wishes(unwanted=((DOG, ()), (CAT, ())))),
        ("no dogs, cats or birds", Wishes(unwanted=((DOG, ()), (CAT, ()), (BIRD, ())))),
        ("I don't want a dog, a cat would be nice", Wishes(species=(CAT,), unwanted=((DOG, ()),))),
        ("any pet except a dog", Wishes(unwanted=((DOG, ()),))),
        ("anything but a dog", Wishes(unwanted=((DOG, ()),))),
        ("I'm allergic to cats and dogs", Wishes(unwanted=((CAT, ()), (DOG, ())))),
        ("I have a cat allergy", Wishes(unwanted=((CAT, ()),))),
        ("afraid of large dogs", Wishes(unwanted=((DOG, ()),))),
        ("a bird but not a parrot", Wishes(species=(BIRD,), unwanted=(PARROT,))),
        ("a dog that isn't shy", Wishes(species=(DOG,), avoid=("shy",))),
        ("a quiet dog, never shy or energetic", Wishes(species=(DOG,), temperament=("quiet",), avoid=("shy", "energetic"))),
        ("not a large dog", Wishes(species=(DOG,), sizes=(Size.SMALL, Size.MEDIUM))),
        ("a cat, not a large dog", Wishes(species=(CAT,), sizes=(Size.SMALL, Size.MEDIUM))),
        ("a dog, not a puppy", Wishes(species=(DOG,))),
        ("a cat, but not siamese", Wishes(species=(CAT,), without=("siamese",))),
        ("a cat without children", Wishes(species=(CAT,))),
        ("I don't have small kids, a cat please", Wishes(species=(CAT,))),
        ("I don't live in a flat. A cat", Wishes(species=(CAT,))),
        ("not a dog? No, a dog!", Wishes(species=(DOG,))),
    ],
)
def test_what_is_not_wanted_is_no_wish(text: str, wishes: Wishes):
    assert understood(text).wishes == wishes
    assert not understood(text).flat


@pytest.mark.parametrize(
    ("text", "species"),
    [
        ("Why don't you have dogs?", DOG),
        ("Don't you have dogs?", DOG),
        ("Aren't dogs too much for me?", DOG),
        ("I've never had a dog and want one", DOG),
        ("I don't have a dog yet", DOG),
        ("No, a dog", DOG),
        ("not only a dog", DOG),
        ("I have no experience with dogs", DOG),
        ("I'm not looking for anything special, just a dog", DOG),
        ("do you have a dog", DOG),
        ("Can I have a dog?", DOG),
        ("I have to find a dog", DOG),
        ("I have a garden and want a dog", DOG),
        ("I'm fine with a dog", DOG),
        ("I have always wanted a dog", DOG),
        ("I'm not allergic to dogs", DOG),
        ("I am not scared of dogs, show me some", DOG),
        ("my son isn't afraid of dogs", DOG),
        ("I don't hate dogs", DOG),
        ("Do you have no dogs?", DOG),
        ("So you have no dogs?", DOG),
        ("are there no dogs?", DOG),
        ("I have a dog in mind", DOG),
    ],
)
def test_not_every_no_and_every_have_is_about_animals(text: str, species: Species):
    assert understood(text).wishes.species == (species,)
    assert not understood(text).wishes.unwanted
    assert not understood(text).companions


@pytest.mark.parametrize(
    "text",
    [
        "a dog that gets on with cats",
        "a dog that is good with cats",
        "a dog that lives with my two old cats",
        "a dog that is gentle with other cats",
        "I have two cats and want a dog",
        "We've got a Persian cat and would like a dog",
        "I already have a cat and a rabbit. Which dog?",
    ],
)
def test_animals_that_are_there_are_no_wish(text: str):
    request = understood(text)
    assert (request.wishes.species, request.wishes.words, request.companions) == ((DOG,), (), True)


def test_of_what_stands_before_companions_nothing_is_lost():
    assert understood("a dog that is gentle with cats").wishes.temperament == ("gentle",)
    wishes = understood("a dog that is good with cats and small children").wishes
    assert (wishes.good_with_kids, wishes.sizes) == (True, ())


def test_care_is_asked_for_animals_that_are_there():
    request = understood("I have a dog. How much exercise does it need?")
    assert (request.aim, request.wishes.species) == (Aim.CARE, (DOG,))


@pytest.mark.parametrize(
    ("text", "months", "kids"),
    [
        ("a kitten", YOUNG_MONTHS, None),
        ("Do you have puppies?", YOUNG_MONTHS, None),
        ("a baby rabbit", YOUNG_MONTHS, None),
        ("a baby rabbit for a family", YOUNG_MONTHS, True),
        ("a rabbit for my baby", None, True),
        ("a cat", None, None),
        ("a dog, not a puppy", None, None),
    ],
)
def test_a_young_animal_is_a_wish_and_a_baby_is_a_child(text: str, months: int | None, kids: bool | None):
    wishes = understood(text).wishes
    assert (wishes.max_age_months, wishes.good_with_kids) == (months, kids)


@pytest.mark.parametrize("text", ["my budget is $500", "a budget of $500"])
def test_who_has_a_budget_doesn_t_ask_for_the_cheapest(text: str):
    assert not understood(text).wishes.cheapest_first
    assert understood("something cheap").wishes.cheapest_first


@pytest.mark.parametrize(
    ("texts", "wishes"),
    [
        (("a ginger cat", "under $100"), Wishes(species=(CAT,), words=("ginger",), max_price_cents=10000)),
        (("a ginger cat", "show me something cheaper"), Wishes(species=(CAT,), words=("ginger",), cheapest_first=True)),
        (("a ginger cat", "a quiet cat"), Wishes(species=(CAT,), words=("ginger",), temperament=("quiet",))),
        (("a ginger cat", "a dog instead"), Wishes(species=(DOG,))),
        (("a siamese cat", "a persian one"), Wishes(species=(CAT,), words=("persian",))),
        (("a cat under $300", "Siamese?"), Wishes(species=(CAT,), words=("siamese",), max_price_cents=30000)),
        (("a parrot", "under $300"), Wishes(kinds=(PARROT,), max_price_cents=30000)),
        (("a kitten", "under $300"), Wishes(species=(CAT,), max_age_months=YOUNG_MONTHS, max_price_cents=30000)),
        (("a kitten", "a dog under $300"), Wishes(species=(DOG,), max_price_cents=30000)),
        (("a shy quiet cat", "not shy"), Wishes(species=(CAT,), temperament=("quiet",), avoid=("shy",))),
        (("a cat, not shy", "a shy one"), Wishes(species=(CAT,), temperament=("shy",))),
        (("not a cat", "something quiet"), Wishes(temperament=("quiet",), unwanted=((CAT, ()),))),
        (("not a cat", "a quiet cat"), Wishes(species=(CAT,), temperament=("quiet",))),
        (("a quiet cat", "not a cat"), Wishes(temperament=("quiet",), unwanted=((CAT, ()),))),
        (("a ginger cat", "not ginger"), Wishes(species=(CAT,), without=("ginger",))),
    ],
)
def test_a_wish_holds_until_something_else_is_wished_for(texts: tuple[str, ...], wishes: Wishes):
    assert understood(*texts).wishes == wishes


def test_a_flat_and_other_animals_are_not_forgotten():
    request = understood("a dog for a flat that gets on with cats", "cheaper, please")
    assert (request.flat, request.companions) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "got ",
        "not a ",
        "already have ",
        "not shy or ",
        "good with cats and ",
        "kids under 9 ",
        "1,",
        "1 dollars ",
        "don't ",
        "baby ",
    ],
)
def test_a_text_is_read_in_time_proportional_to_it(text: str):
    def seconds(length: int) -> float:
        long = (text * length)[:length]
        begun = time.thread_time()
        understand([Message(Role.USER, long)], lambda word: True)
        return time.thread_time() - begun

    short, long = (min(seconds(length) for _ in range(3)) for length in (8_000, 32_000))
    assert long < 8 * short + 0.02, "four times the text"
