"""Customers are found with what they look for and like."""

import pytest

from petstore.shop import Customer, CustomerNotFound, Preferences, Role, Shop, Size, Species, get_customer
from petstore.sse import EventLog


def test_a_customer_has_preferences_and_likes_in_order(log: EventLog):
    found = get_customer(Shop(log), "user-456")
    assert found == Customer(
        id="user-456",
        username="catherine.m",
        email="catherine.mensah@example.com",
        first_name="Catherine",
        last_name="Mensah",
        phone=None,
        preferences=Preferences(
            species=(Species.CAT,),
            sizes=(Size.SMALL, Size.MEDIUM),
            temperament=("affectionate", "gentle", "cuddly"),
            max_price_cents=60000,
            good_with_kids=None,
            newsletter=False,
            notifications=True,
        ),
        role=Role.CUSTOMER,
        likes=(
            "019b4127-e295-7be4-976e-b77988a8b015",
            "019b41cf-e51b-7fe7-ac1b-810d1e96f5d6",
            "019b4190-c78c-7357-ac62-5d87ffde20c0",
        ),
        created_at=found.created_at,
        updated_at=found.created_at,
    )


def test_an_unknown_customer_is_refused_by_name(log: EventLog):
    with pytest.raises(CustomerNotFound) as refusal:
        get_customer(Shop(log), "user-457")
    assert refusal.value.customer_id == "user-457"
