"""What is refused says why, in words and as attributes."""

import pytest

from petstore.shop import CustomerNotFound, NotSeeded, OrderNotFound, OutOfStock, PetNotFound, WrongState
from petstore.sse import Error


@pytest.mark.parametrize(
    ("error", "message", "facts"),
    [
        (PetNotFound("p"), "there is no pet p", {"pet_id": "p"}),
        (OrderNotFound("o"), "there is no order o", {"order_id": "o"}),
        (CustomerNotFound("c"), "there is no customer c", {"customer_id": "c"}),
        (
            OutOfStock("p", 1, 2),
            "of pet p there are 1 for sale, and 2 were asked for",
            {"pet_id": "p", "stock": 1, "quantity": 2},
        ),
        (
            WrongState("o", "SHIPPED", "cancel"),
            "order o can't be cancelled: it is SHIPPED",
            {"order_id": "o", "status": "SHIPPED", "action": "cancel"},
        ),
        (
            WrongState("o", "PLACED", "pay"),
            "order o can't be paid: it is being paid already",
            {"order_id": "o", "status": "PLACED", "action": "pay"},
        ),
        (NotSeeded("pet"), "the shop has no pet to show: it was not seeded for a demo", {"subject": "pet"}),
    ],
)
def test_an_error_renders_its_facts(error: Error, message: str, facts: dict[str, object]):
    assert str(error) == message
    assert {name: getattr(error, name) for name in facts} == facts
    assert isinstance(error, Error)
