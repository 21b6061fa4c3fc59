"""Pets are found by every trait, alone and together, page by page."""

import itertools
from datetime import UTC

import pytest

from petstore.shop import Page, Pet, PetFilter, PetNotFound, PetStatus, Shop, Size, Species, all_pets, get_pet, list_pets
from petstore.sse import EventLog

UNKNOWN_ID = "019b4132-0000-7000-8000-000000000000"


def passes(pet: Pet, filter: PetFilter) -> bool:
    return (
        (not filter.species or pet.species in filter.species)
        and filter.status in (None, pet.status)
        and (not filter.sizes or pet.size in filter.sizes)
        and filter.good_with_kids in (None, pet.good_with_kids)
        and (filter.age_min or 0) <= pet.age_months <= (1_000_000 if filter.age_max is None else filter.age_max)
    )


def test_every_combination_of_filters_finds_exactly_the_pets_that_match(log: EventLog):
    pets = all_pets(Shop(log))
    combinations = itertools.product(
        ((), (Species.CAT,), (Species.OTHER, Species.DOG)),
        (None, PetStatus.AVAILABLE, PetStatus.PENDING),
        (None, 0, 12),
        (None, 12, 36),
        ((), (Size.SMALL,)),
        (None, True, False),
    )
    found = 0
    for combination in combinations:
        filter = PetFilter(*combination)
        page = list_pets(Shop(log), filter, 1, 100)
        assert page.items == [pet for pet in pets if passes(pet, filter)]
        assert page.total_items == len(page.items)
        found += page.total_items
    assert found > 1_000


def test_pages_cover_the_list_without_overlap(log: EventLog):
    pages = [list_pets(Shop(log), PetFilter(), number, 20) for number in range(1, 6)]
    assert [len(page.items) for page in pages] == [20, 20, 20, 12, 0]
    assert [pet for page in pages for pet in page.items] == all_pets(Shop(log))
    assert all((page.total_items, page.total_pages, page.limit) == (72, 4, 20) for page in pages)


def test_a_page_far_beyond_the_end_is_empty(log: EventLog):
    page = list_pets(Shop(log), PetFilter(), 10**30, 100)
    assert (page.items, page.page, page.total_items) == ([], 10**30, 72)


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (20, 1), (21, 2)])
def test_a_list_has_as_many_pages_as_it_fills(total: int, pages: int):
    assert Page([], 1, 20, total).total_pages == pages


def test_a_pet_is_read_as_it_was_stored(log: EventLog):
    buddy = get_pet(Shop(log), "019b4127-e295-7be4-976e-b77988a8b015")
    assert (buddy.name, buddy.species, buddy.price_cents, buddy.currency) == ("Buddy", Species.DOG, 29999, "USD")
    assert buddy.temperament == ("playful", "affectionate", "gentle", "loyal")
    assert buddy.good_with_kids is True
    assert buddy.medical["healthNotes"] is None
    assert buddy.created_at.tzinfo is UTC


def test_an_unknown_pet_is_refused_by_name(log: EventLog):
    with pytest.raises(PetNotFound) as refusal:
        get_pet(Shop(log), UNKNOWN_ID)
    assert refusal.value.pet_id == UNKNOWN_ID
