"""Every clause of every reason is true: each is checked against the database, by rules of its own, for all customers."""

import itertools
import math
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from petstore.ai import EmbeddedRecommender, PetIndex, Recommendation
from petstore.ai.reason import is_similar
from petstore.shop import Customer, Kind, Pet, Preferences, Shop, Size, Species, all_pets, get_customer
from petstore.shop.catalogue import read_catalogue
from petstore.sse import EventLog, Feed, SqlEventLog
from tests.ai.people import add_customer

PLURALS = {
    "dogs": Species.DOG,
    "cats": Species.CAT,
    "rabbits": Species.RABBIT,
    "birds": Species.BIRD,
    "reptiles": Species.REPTILE,
    "small animals": Species.OTHER,
}
PET_IDS = [pet.id for pet in read_catalogue().pets]
WORDS = sorted({word for pet in read_catalogue().pets for word in pet.temperament})


class Facts:
    """What the database says, read anew, beside everything that a recommender has in memory."""

    def __init__(self, log: EventLog) -> None:
        self.pets = {pet.id: pet for pet in all_pets(Shop(log))}
        self.liked = self._pairs(log, "SELECT customer_id, pet_id FROM likes")
        self.bought = self._pairs(
            log, "SELECT customer_id, pet_id FROM orders WHERE status <> 'CANCELLED' AND customer_id IS NOT NULL"
        )

    @staticmethod
    def _pairs(log: EventLog, query: str) -> set[tuple[str, str]]:
        return {(row[0], row[1]) for row in log.query(lambda connection: connection.execute(text(query)).all())}

    def of(self, pairs: set[tuple[str, str]], customer_id: str) -> list[Pet]:
        return [self.pets[pet_id] for owner, pet_id in pairs if owner == customer_id]

    def popularity(self, pet: Pet) -> int:
        return len({customer for customer, pet_id in self.liked | self.bought if pet_id == pet.id})

    def is_popular(self, pet: Pet, among: list[Pet]) -> bool:
        """One of the first quarter by popularity, or equal to one of those."""
        ranked = sorted((self.popularity(other) for other in among), reverse=True)
        return self.popularity(pet) >= max(1, ranked[math.ceil(len(ranked) / 4) - 1])

    def bought_by_others(self, pet: Pet, name: str, fans: set[tuple[str, str]], mine: list[Pet], me: str) -> bool:
        anchors = {other.id for other in mine if other.name == name}
        others = {customer for customer, pet_id in fans if pet_id in anchors and customer != me}
        return any((customer, pet.id) in self.bought for customer in others)


Rule = Callable[[Facts, Customer, Pet, "re.Match[str]"], bool]


def similar(facts: Facts, customer: Customer, pet: Pet, match: re.Match[str]) -> bool:
    own = facts.of(facts.liked if match["verb"] == "liked" else facts.bought, customer.id)
    return any(
        other.species == pet.species
        and (other.breed == pet.breed or other.size == pet.size or bool(set(other.temperament) & set(pet.temperament)))
        for other in own
        if other.name == match["name"]
    )


def friends(facts: Facts, customer: Customer, pet: Pet, match: re.Match[str]) -> bool:
    fans = facts.liked if match["verb"] == "liked" else facts.bought
    mine = facts.of(facts.liked, customer.id) + facts.of(facts.bought, customer.id)
    return facts.bought_by_others(pet, match["name"], fans, mine, customer.id)


def temperament(facts: Facts, customer: Customer, pet: Pet, match: re.Match[str]) -> bool:
    words = re.split(", | and ", match["words"].lower())
    return set(words) <= set(pet.temperament) & set(customer.preferences.temperament)


RULES: dict[str, Rule] = {
    r"matches your preference for (?P<many>.+)": lambda facts, customer, pet, match: (
        PLURALS[match["many"]] == pet.species and pet.species in customer.preferences.species
    ),
    r"(?P<words>[\w, ]+), as you prefer": temperament,
    r"(?P<size>\w+), the size you prefer": lambda facts, customer, pet, match: (
        match["size"].upper() == pet.size and pet.size in customer.preferences.sizes
    ),
    r"good with children, as you asked": lambda facts, customer, pet, match: (
        bool(customer.preferences.good_with_kids) and pet.good_with_kids
    ),
    r"within your budget": lambda facts, customer, pet, match: pet.price_cents <= (customer.preferences.max_price_cents or -1),
    r"similar to (?P<name>.+), whom you (?P<verb>liked|bought)": similar,
    r"bought by others who (?P<verb>liked|bought) (?P<name>.+)": friends,
    r"popular with our customers": lambda facts, customer, pet, match: facts.is_popular(pet, list(facts.pets.values())),
    r"popular among our (?P<many>.+)": lambda facts, customer, pet, match: (
        PLURALS[match["many"]] == pet.species
        and facts.is_popular(pet, [other for other in facts.pets.values() if other.species == pet.species])
    ),
    r"one of our (?P<many>.+), to show you our range": lambda facts, customer, pet, match: PLURALS[match["many"]] == pet.species,
}


def assert_true(facts: Facts, customer: Customer, picks: list[Recommendation]) -> None:
    for pick in picks:
        assert pick.reason[0].isupper()
        pet = facts.pets[pick.pet_id]
        for clause in pick.reason.split("; "):
            found = [(match, rule) for form, rule in RULES.items() if (match := re.fullmatch(form, clause, re.IGNORECASE))]
            assert len(found) == 1, f"what is {clause!r}?"
            match, rule = found[0]
            assert rule(facts, customer, pet, match), f"{clause!r} isn't true of {pet} for {customer}"


def test_every_reason_for_every_customer_of_the_demo_is_true(log: EventLog, recommender: EmbeddedRecommender):
    facts, reasons = Facts(log), set()
    for customer in read_catalogue().customers:
        picks = list(recommender.recommend(Shop(log), get_customer(Shop(log), customer.id), [], 20))
        assert len(picks) == 20
        assert_true(facts, customer, picks)
        reasons |= {pick.reason for pick in picks}
    assert len(reasons) > 30


def test_user_456_who_prefers_cats_is_told_so_first(log: EventLog, recommender: EmbeddedRecommender):
    first = next(recommender.recommend(Shop(log), get_customer(Shop(log), "user-456"), [], 10))
    assert first.reason.startswith("Matches your preference for cats")


pet_ids = st.lists(st.sampled_from(PET_IDS), max_size=6, unique=True)
preferences = st.builds(
    Preferences,
    species=st.lists(st.sampled_from(Species), max_size=3, unique=True).map(tuple),
    sizes=st.lists(st.sampled_from(Size), max_size=2, unique=True).map(tuple),
    temperament=st.lists(st.sampled_from([*WORDS, "purple"]), max_size=4, unique=True).map(tuple),
    max_price_cents=st.none() | st.integers(0, 200_000),
    good_with_kids=st.none() | st.booleans(),
)
people = st.tuples(st.just(Preferences()) | preferences, pet_ids, pet_ids, pet_ids)


@pytest.fixture(scope="module")
def shop(seeded_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EventLog, PetIndex]]:
    """One shop for all examples, each of which adds customers to it."""
    with closing(SqlEventLog(Path(shutil.copy(seeded_database, tmp_path_factory.mktemp("reasons"))))) as log:
        feed = Feed(log)
        index = PetIndex(Shop(log), feed)
        yield log, index
        index.stop()
        feed.stop()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=st.lists(people, min_size=1, max_size=4))
def test_every_reason_for_any_customer_is_true(
    shop: tuple[EventLog, PetIndex], some: list[tuple[Preferences, list[str], list[str], list[str]]]
):
    log, index = shop
    customers = [add_customer(log, wish, liked, bought, cancelled) for wish, liked, bought, cancelled in some]
    index.look()
    facts, recommender = Facts(log), EmbeddedRecommender(lambda _: index)
    for customer in customers:
        picks = list(recommender.recommend(Shop(log), customer, [], 10))
        assert_true(facts, customer, picks)
        own = {*customer.likes, *(pet.id for pet in facts.of(facts.bought, customer.id))}
        assert own.isdisjoint(pick.pet_id for pick in picks)
        scores = [pick.score for pick in picks]
        assert all(0 <= later < earlier <= 1 for earlier, later in itertools.pairwise(scores))


@pytest.mark.parametrize(
    "reason",
    [
        "Matches your preference for dogs",
        "Similar to Buddy, whom you bought",
        "Bought by others who liked Buddy",
        "Within your budget",
    ],
)
def test_a_reason_that_is_not_true_is_found(log: EventLog, reason: str):
    pet = next(pet for pet in read_catalogue().pets if pet.species is Species.REPTILE and pet.price_cents > 5000)
    customer = add_customer(log, Preferences(species=(Species.REPTILE,), max_price_cents=5000))
    with pytest.raises(AssertionError, match="isn't true"):
        assert_true(Facts(log), customer, [Recommendation(pet.id, pet.name, 0.5, reason)])


def test_two_of_whose_breed_nothing_is_known_are_not_of_one():
    one = Kind(Species.DOG, "", 1, Size.SMALL, "", False, ())
    assert not is_similar(one, one._replace(size=Size.LARGE))
    assert is_similar(one._replace(breed="Beagle"), one._replace(breed="Beagle", size=Size.LARGE))
