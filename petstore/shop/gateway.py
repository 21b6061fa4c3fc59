"""The test gateway: it takes no money, and says whether a real one would have, from this card or bank account.

Like the test modes of real gateways it accepts all numbers but a few, which are known to everybody. A card's
answer comes at once, a bank's only after the payment has been processed. Must not keep a number: it knows payments by their
sources alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

REFUSED_CARDS = {
    "4000000000000002": "the card was declined",
    "4000000000009995": "the card has insufficient funds",
    "4000000000000069": "the card has expired",
    "4000000000000127": "the card's security code is wrong",
    "4000000000000119": "the card could not be processed",
}
"""Declined at once."""

FAILING_CARDS = {"4000000000000341": "the card was declined after all"}
"""Accepted at first, and declined while the payment is being processed."""

FAILING_ACCOUNTS = {
    "000111111113": "the bank account is closed",
    "000222222227": "the bank account has insufficient funds",
}
"""A bank never says no at once."""

EXPIRED = "the card has expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card that pays. Neither number nor code is shown when this is printed, or kept when it has paid."""

    name: str
    number: str = field(repr=False)
    cvc: str = field(repr=False)
    exp_month: int
    exp_year: int
    billing_address: Mapping[str, str | None] | None = None

    def masked(self) -> dict[str, Any]:
        """Return what may be kept and shown, with the keys that the wire has."""
        return {
            "object": "card",
            "name": self.name,
            "number": _masked(self.number),
            "last4": self.number[-4:],
            "brand": card_brand(self.number),
            "expMonth": self.exp_month,
            "expYear": self.exp_year,
            "billingAddress": self.billing_address,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BankAccount:
    """A bank account that pays. Its number is not shown when this is printed, nor kept when it has paid."""

    account_holder_name: str
    account_number: str = field(repr=False)
    routing_number: str
    account_type: str
    bank_name: str | None = None

    def masked(self) -> dict[str, Any]:
        """Return what may be kept and shown, with the keys that the wire has."""
        return {
            "object": "bank_account",
            "accountHolderName": self.account_holder_name,
            "accountNumber": _masked(self.account_number),
            "last4": self.account_number[-4:],
            "routingNumber": self.routing_number,
            "accountType": self.account_type,
            "bankName": self.bank_name,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of a payment: `refused` says why it's declined at once, `fails` why it will be in the end; None that it isn't."""

    refused: str | None = None
    fails: str | None = None


TEST_CARD = Card(name="Test Card", number="4242424242424242", cvc="123", exp_month=12, exp_year=2099)
"""What pays where no source is named."""


def judge(source: Card | BankAccount, at: datetime) -> Verdict:
    """Return what comes of a payment from `source` at this moment."""
    if isinstance(source, BankAccount):
        return Verdict(fails=FAILING_ACCOUNTS.get(source.account_number))
    refused = REFUSED_CARDS.get(source.number)
    if refused is None and (source.exp_year, source.exp_month) < (at.year, at.month):
        refused = EXPIRED
    return Verdict(refused, FAILING_CARDS.get(source.number))


def card_brand(number: str) -> str | None:
    """Return who issued a card, by the digits that its number begins with; None for a brand that we don't know."""
    return next((brand for brand, first, last in _BRANDS if first <= number[: len(first)] <= last), None)


def is_card_number(number: str) -> bool:
    """Say whether the last digit of a card's number is the check digit of the others (ISO/IEC 7812-1)."""
    doubled = [2 * int(digit) for digit in number[-2::-2]]
    return sum(map(int, number[::-2]), sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0


_BRANDS = (
    ("AMEX", "34", "34"),
    ("AMEX", "37", "37"),
    ("DINERS", "300", "305"),
    ("DINERS", "36", "36"),
    ("DINERS", "38", "39"),
    ("JCB", "3528", "3589"),
    ("VISA", "4", "4"),
    ("MASTERCARD", "51", "55"),
    ("MASTERCARD", "2221", "2720"),
    ("DISCOVER", "6011", "6011"),
    ("DISCOVER", "644", "649"),
    ("DISCOVER", "65", "65"),
    ("UNIONPAY", "62", "62"),
)


def _masked(number: str) -> str:
    return "*" * (len(number) - 4) + number[-4:]
