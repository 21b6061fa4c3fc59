"""The gateway knows a wrong card number, and keeps none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petstore.shop import TEST_CARD, BankAccount, Card, is_card_number
from petstore.shop.gateway import FAILING_CARDS, REFUSED_CARDS, judge
from petstore.shop.moment import now, to_datetime

CARD = dict(name="Ada", cvc="123", exp_month=12, exp_year=2099)


@pytest.mark.parametrize("number", [TEST_CARD.number, *REFUSED_CARDS, *FAILING_CARDS])
def test_the_numbers_that_mean_something_are_possible_ones(number: str):
    assert is_card_number(number)


@given(st.from_regex("[0-9]{12,18}", fullmatch=True))
def test_exactly_one_last_digit_is_right(start: str):
    assert sum(is_card_number(start + str(digit)) for digit in range(10)) == 1


@given(st.from_regex("[0-9]{13,19}", fullmatch=True), st.integers(0, 18), st.integers(1, 9))
def test_one_wrong_digit_is_noticed(number: str, place: int, error: int):
    if not is_card_number(number) or place >= len(number):
        return
    wrong = number[:place] + str((int(number[place]) + error) % 10) + number[place + 1 :]
    assert not is_card_number(wrong)


@given(st.from_regex("[1-9][0-9]{12,18}", fullmatch=True))
def test_of_a_number_only_the_last_four_digits_are_shown(number: str):
    card = Card(**CARD, number=number)  # type: ignore[arg-type]
    account = BankAccount(account_holder_name="Ada", account_number=number, routing_number="1" * 9, account_type="SAVINGS")
    for shown in (repr(card), repr(account), str(card.masked()), str(account.masked())):
        assert number[:-4] not in shown
    assert card.masked()["number"] == "*" * (len(number) - 4) + number[-4:]
    assert "123" not in str({name: value for name, value in card.masked().items() if name not in ("number", "last4")})


@pytest.mark.parametrize(("month", "year", "refused"), [(2, 2026, True), (3, 2026, False), (12, 2025, True), (1, 2027, False)])
def test_a_card_is_good_to_the_end_of_its_last_month(month: int, year: int, refused: bool):
    at = to_datetime(now()).replace(year=2026, month=3, day=31 if month else 1)
    card = Card(**CARD | {"exp_month": month, "exp_year": year}, number="4242424242424242")  # type: ignore[arg-type]
    assert (judge(card, at).refused is not None) == refused
