"""Paying for an order, by card or bank account, and what has come of it. Parse, one call, render.

A number goes to the gateway and nowhere else: what is kept, shown and logged has its last four digits.
"""

from typing import Annotated, Any, Literal, Self

from flask import Blueprint, Response
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from petstore.api.access import order_links, own_order
from petstore.api.bearer import Scope
from petstore.api.body import Amount, Body, Line
from petstore.api.event_data import Uuid
from petstore.api.idempotency import IDEMPOTENCY_KEY, REPLAYED, once
from petstore.api.operation import Answer, Operation
from petstore.api.orders import OrderLinks
from petstore.api.parameter import LOCATION, OrderPath
from petstore.api.problem import problem
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.api.wire import Currency, Moment, Money, Representation, respond
from petstore.shop import (
    TEST_CARD,
    BankAccount,
    Card,
    Order,
    Payment,
    PaymentStatus,
    Shop,
    get_order,
    get_payment,
    is_card_number,
    pay_order,
    render_money,
)

blueprint = Blueprint("payments", __name__, url_prefix="/v1/orders")

Brand = Literal["VISA", "MASTERCARD", "AMEX", "DISCOVER", "DINERS", "JCB", "UNIONPAY"]
AccountType = Literal["CHECKING", "SAVINGS"]


class Address(Body):
    """Where a card's bills go to."""

    line1: Annotated[Line, Field(min_length=1, max_length=100, examples=["123 Market Street"])]
    line2: Annotated[Line, Field(max_length=100)] | None = None
    city: Annotated[Line, Field(min_length=1, max_length=80, examples=["Springfield"])]
    state: Annotated[Line, Field(max_length=80)] | None = None
    postal_code: Annotated[Line, Field(min_length=1, max_length=20, examples=["62704"])]
    country: Annotated[str, Field(pattern="^[A-Z]{2}$", examples=["US"])]


class CardSource(Body):
    """A card. `last4` and `brand` may be sent along; what counts is the number's own."""

    object: Literal["card"]
    name: Annotated[Line, Field(min_length=1, max_length=100, description="As it stands on the card.", examples=["Ada Lovelace"])]
    number: Annotated[
        str,
        Field(
            pattern="^[0-9]{13,19}$",
            description="With its check digit (Luhn's).",
            repr=False,
            examples=["4242424242424242"],
            json_schema_extra={"format": "card-number"},
        ),
    ]
    cvc: Annotated[str, Field(pattern="^[0-9]{3,4}$", repr=False, examples=["123"], json_schema_extra={"writeOnly": True})]
    exp_month: Annotated[int, Field(ge=1, le=12, examples=[12])]
    exp_year: Annotated[int, Field(ge=2024, le=2099, examples=[2099])]
    last4: Annotated[str, Field(pattern="^[0-9]{4}$", examples=["4242"])] | None = None
    brand: Brand | None = None
    billing_address: Address | None = None

    @model_validator(mode="after")
    def _check_number(self) -> Self:
        if not is_card_number(self.number):
            raise PydanticCustomError("invalid_format", "The card's number has a wrong digit")
        return self

    def source(self) -> Card:
        """Return the card as the shop takes it."""
        known = {name: getattr(self, name) for name in ("name", "number", "cvc", "exp_month", "exp_year")}
        address = None if self.billing_address is None else self.billing_address.model_dump(by_alias=True)
        return Card(**known, billing_address=address)


class BankAccountSource(Body):
    """A bank account. `last4` may be sent along; what counts is the number's own."""

    object: Literal["bank_account"]
    account_holder_name: Annotated[Line, Field(min_length=1, max_length=100, examples=["Ada Lovelace"])]
    account_number: Annotated[str, Field(pattern="^[0-9]{4,17}$", repr=False, examples=["000123456789"])]
    routing_number: Annotated[str, Field(pattern="^[0-9]{9}$", examples=["110000000"])]
    account_type: AccountType = "CHECKING"
    bank_name: Annotated[Line, Field(max_length=100)] | None = None
    last4: Annotated[str, Field(pattern="^[0-9]{4}$", examples=["6789"])] | None = None

    def source(self) -> BankAccount:
        """Return the account as the shop takes it."""
        return BankAccount(**self.model_dump(exclude={"object", "last4"}))


_EXAMPLE_SOURCE = {
    "object": "card",
    "name": "Ada Lovelace",
    "number": "4242424242424242",
    "cvc": "123",
    "expMonth": 12,
    "expYear": 2099,
}

_ALL_OR_NOTHING: dict[str, Any] = {
    "anyOf": [
        {
            "required": ["amount", "currency", "source"],
            "properties": {name: {"not": {"type": "null"}} for name in ("amount", "currency", "source")},
        },
        {"properties": {name: {"type": "null"} for name in ("amount", "currency", "source")}},
    ]
}


class NewPayment(Body):
    """What pays for an order, and how much that is: what the order costs. An empty body pays it by the gateway's own test card."""

    model_config = ConfigDict(json_schema_extra=_ALL_OR_NOTHING)

    amount: Amount | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["USD"])] | None = None
    source: Annotated[CardSource | BankAccountSource, Field(discriminator="object", examples=[_EXAMPLE_SOURCE])] | None = None

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        given = {"amount": self.amount, "currency": self.currency, "source": self.source}
        missing = [name for name, value in given.items() if value is None]
        if 0 < len(missing) < len(given):
            raise PydanticCustomError("required_field", "Give {missing} too", {"missing": " and ".join(missing)})
        return self


class AddressShown(Representation):
    """Where a card's bills go to."""

    line1: str
    line2: str | None
    city: str
    state: str | None
    postal_code: str
    country: str


class CardShown(Representation):
    """A card that paid, or tried to."""

    object: Literal["card"]
    name: Annotated[str | None, Field(description="None once the customer's account was closed.")] = None
    number: Annotated[str, Field(pattern=r"^\*{9,15}[0-9]{4}$", examples=["************4242"])]
    last4: str
    brand: Brand | None
    exp_month: int
    exp_year: int
    billing_address: AddressShown | None = None


class BankAccountShown(Representation):
    """A bank account that paid, or tried to."""

    object: Literal["bank_account"]
    account_holder_name: Annotated[str | None, Field(description="None once the customer's account was closed.")] = None
    account_number: Annotated[str, Field(pattern=r"^\**[0-9]{4}$", examples=["********6789"])]
    last4: str
    routing_number: str
    account_type: AccountType
    bank_name: str | None


class PaymentRepresentation(Representation):
    """A payment. While it is PROCESSING, the order's stream tells how it goes on."""

    id: Uuid
    order_id: Uuid
    amount: Money
    currency: Currency
    source: Annotated[CardShown | BankAccountShown, Field(discriminator="object")]
    status: PaymentStatus
    decline_reason: Annotated[str | None, Field(description="Why it has FAILED.", examples=["the card was declined"])]
    created_at: Moment
    links: OrderLinks

    @classmethod
    def of(cls, payment: Payment, order: Order) -> Self:
        """Return a payment for an order as the wire has it."""
        kind = CardShown if payment.source["object"] == "card" else BankAccountShown
        return cls(
            id=payment.id,
            order_id=payment.order_id,
            amount=render_money(payment.amount_cents),
            currency=payment.currency,
            source=kind.model_validate(payment.source),
            status=payment.status,
            decline_reason=payment.decline,
            created_at=payment.created_at,
            links=OrderLinks.model_validate(order_links(order)),
        )


@blueprint.post("/<order_id>/payment")
@Operation(
    "createPayment",
    path=OrderPath,
    body=NewPayment,
    body_optional=True,
    headers=[IDEMPOTENCY_KEY],
    answers={201: Answer(PaymentRepresentation, headers=[LOCATION, REPLAYED])},
    problems=[402, 404, 409],
    scopes=[Scope.WRITE_ORDERS],
    guests=True,
    linked=True,
)
def pay(order_id: str, body: NewPayment) -> Response:
    """Pay for an order.

    By card or bank account, at a test gateway. A card that is declined is told at once, as 402, and the order can be paid in
    another way. Otherwise the payment is being processed, which the order's stream tells; one that is declined by then ends
    the order.
    """
    source = TEST_CARD if body.source is None else body.source.source()
    amount = None if body.amount is None or body.currency is None else (int(body.amount * 100), body.currency)

    # Before the key is looked at: an answer that is given again must not reach anybody whose order it isn't.
    own_order(get_order(requested_shop(), order_id), change=True)

    def act(shop: Shop) -> Response:
        order, payment = pay_order(shop, order_id, services().settings.fulfilment_step_s, source, amount)
        if payment.status is PaymentStatus.FAILED:
            return problem(402, payment.decline)
        shown = PaymentRepresentation.of(payment, order)
        return respond(shown, 201, {"Location": shown.links.payment})

    return once(body, act)


@blueprint.get("/<order_id>/payment")
@Operation(
    "getPayment",
    path=OrderPath,
    answers={200: PaymentRepresentation},
    problems=[404],
    scopes=[Scope.READ_ORDERS],
    guests=True,
    linked=True,
)
def get_one(order_id: str) -> Response:
    """Show an order's payment.

    The newest, where there were several tries. A link that only follows the order doesn't open it: it names who paid.
    """
    shop = requested_shop()
    order = own_order(get_order(shop, order_id), follow=False)
    return respond(PaymentRepresentation.of(get_payment(shop, order_id), order))
