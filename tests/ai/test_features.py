"""Vectors of pets: their lengths, what they have in common, and that every process makes the same."""

import hashlib
import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from petstore.ai.features import BLOCKS, DIMENSIONS, price_part, vectors
from petstore.shop import Kind, Size, Species
from petstore.shop.catalogue import read_catalogue

kinds = st.builds(
    Kind,
    st.sampled_from(Species),
    st.text(),
    st.integers(0, 500),
    st.sampled_from(Size),
    st.text(),
    st.booleans(),
    st.lists(st.text()).map(tuple),
)
prices = st.integers(0, 10**12)


@given(kinds, prices)
def test_every_vector_has_the_length_one_or_less_where_a_trait_is_missing(kind: Kind, price_cents: int):
    (row,) = vectors([kind], [price_cents])
    missing = 0.0 if kind.temperament else BLOCKS["temperament"].weight
    assert np.isclose(row @ row, 1 - missing, atol=1e-5)


@given(kinds, kinds, prices, prices)
def test_a_cosine_is_from_0_to_1(one: Kind, other: Kind, price: int, other_price: int):
    a, b = vectors([one, other], [price, other_price])
    assert -1e-6 <= a @ b <= 1 + 1e-6


def test_what_two_pets_share_is_the_weight_of_the_trait():
    kind = Kind(Species.CAT, "Persian", 30, Size.SMALL, "white", True, ("calm",))
    a, b = vectors([kind, kind._replace(species=Species.DOG)], [20000, 20000])
    assert np.isclose(a @ b, 1 - BLOCKS["species"].weight, atol=1e-5)


def test_prices_that_are_near_have_more_in_common():
    a, b, c = (price_part(price_cents) for price_cents in (20_000, 24_000, 90_000))
    assert a @ a > a @ b > a @ c


def test_the_price_can_be_replaced_by_itself():
    kind = Kind(Species.CAT, "Persian", 30, Size.SMALL, "white", True, ("calm",))
    before, after = vectors([kind, kind], [20_000, 90_000])
    before[BLOCKS["price"].dimensions] = price_part(90_000)
    assert np.array_equal(before, after)


def test_another_process_makes_the_same_vectors():
    program = (
        "import hashlib; from tests.ai.test_features import catalogue_vectors; "
        "print(hashlib.sha256(catalogue_vectors()).hexdigest())"
    )
    ours = hashlib.sha256(catalogue_vectors()).hexdigest()
    theirs = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
    assert theirs == ours


def catalogue_vectors() -> bytes:
    pets = read_catalogue().pets
    made = [Kind(pet.species, pet.breed, pet.age_months, pet.size, pet.color, pet.good_with_kids, pet.temperament) for pet in pets]
    rows = vectors(made, [pet.price_cents for pet in pets])
    assert rows.shape == (72, DIMENSIONS)
    return rows.tobytes()
