"""Amounts of money are exact as text."""

import pytest

from petstore.shop import render_money


@pytest.mark.parametrize(("cents", "text"), [(0, "0.00"), (5, "0.05"), (100, "1.00"), (29999, "299.99")])
def test_money_is_decimal_text(cents: int, text: str):
    assert render_money(cents) == text
