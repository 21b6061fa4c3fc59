"""Orders: placing, listing, reading and cancelling them. Parse, one call, render.

Who orders as a guest gets back to the order by its links. What becomes of an order after it is paid is told by its stream.
"""

from typing import Annotated, Self

from flask import Blueprint, Response
from pydantic import Field

from petstore.api.access import current_caller, customer_for_order, order_links, own_order
from petstore.api.bearer import Scope
from petstore.api.body import Body, CustomerId, PetId
from petstore.api.conditional import ETAG, IF_MATCH, IF_NONE_MATCH, if_matches, tagged
from petstore.api.error import Unauthorized
from petstore.api.event_data import EventId, Uuid
from petstore.api.idempotency import IDEMPOTENCY_KEY, REPLAYED, once
from petstore.api.operation import Answer, Operation
from petstore.api.parameter import LOCATION, OrderPath, PageQuery
from petstore.api.tenant import requested_shop
from petstore.api.wire import Currency, Listing, Moment, Money, Representation, Uri, no_content, respond
from petstore.shop import Order, OrderStatus, Shop, cancel_order, get_order, list_orders, place_order, render_money

blueprint = Blueprint("orders", __name__, url_prefix="/v1/orders")

CANCELLED_BY_CUSTOMER = "cancelled by the customer"


class NewOrder(Body):
    """What is ordered. Without a token one orders as a guest; with one, for oneself, and staff for any `userId`."""

    pet_id: PetId
    quantity: Annotated[int, Field(ge=1, le=100)] = 1
    user_id: Annotated[CustomerId | None, Field(examples=[None])] = None


class OrderLinks(Representation):
    """Where an order is read, paid and followed, with a token that opens it where that is needed."""

    self: Uri
    payment: Uri
    status_stream: Uri


class OrderRepresentation(Representation):
    """An order; from `lastEventId` on, its stream tells what has changed since."""

    id: Uuid
    pet_id: Uuid
    user_id: Annotated[str | None, Field(description="Whose it is; null for a guest's.")]
    quantity: Annotated[int, Field(ge=1)]
    status: OrderStatus
    total_amount: Money
    currency: Currency
    tracking_number: Annotated[str | None, Field(description="Of the parcel, once it is shipped.", examples=["1Z2K7R8W0312345674"])]
    tenant_id: Annotated[str | None, Field(description="Whose petstore it was placed in; null in the one that all share.")]
    created_at: Moment
    updated_at: Moment
    last_event_id: EventId
    links: OrderLinks

    @classmethod
    def of(cls, order: Order, shop: Shop) -> Self:
        """Return an order of a shop as the wire has it."""
        return cls(
            id=order.id,
            pet_id=order.pet_id,
            user_id=order.customer_id,
            quantity=order.quantity,
            status=order.status,
            total_amount=render_money(order.total_cents),
            currency=order.currency,
            tracking_number=order.tracking_number,
            tenant_id=shop.tenant or None,
            created_at=order.created_at,
            updated_at=order.updated_at,
            last_event_id=order.last_event_id,
            links=OrderLinks.model_validate(order_links(order)),
        )


class OrderPage(Listing[OrderRepresentation]):
    """A page of a customer's orders, the newest first."""


@blueprint.get("")
@Operation("listOrders", query=PageQuery, answers={200: OrderPage}, scopes=[Scope.READ_ORDERS])
def get_page(query: PageQuery) -> Response:
    """List one's own orders.

    The newest first.
    """
    shop, customer_id = requested_shop(), current_caller().user_id
    if customer_id is None:
        raise Unauthorized("a list of one's own orders needs a bearer token: a guest's are reached by their links")
    page = list_orders(shop, customer_id, query.page, query.limit)
    return respond(OrderPage.of(page, query, lambda order: OrderRepresentation.of(order, shop)))


@blueprint.post("")
@Operation(
    "createOrder",
    body=NewOrder,
    headers=[IDEMPOTENCY_KEY],
    answers={201: Answer(OrderRepresentation, headers=[LOCATION, ETAG, REPLAYED])},
    problems=[404, 409],
    scopes=[Scope.WRITE_ORDERS],
    guests=True,
)
def place(body: NewOrder) -> Response:
    """Place an order.

    It takes its pets out of stock, and waits to be paid.
    """
    customer_id = customer_for_order(body.user_id)

    def act(shop: Shop) -> Response:
        order = OrderRepresentation.of(placed := place_order(shop, body.pet_id, body.quantity, customer_id), shop)
        return tagged(placed, order, 201, {"Location": order.links.self})

    return once(body, act)


@blueprint.get("/<order_id>")
@Operation(
    "getOrder",
    path=OrderPath,
    headers=[IF_NONE_MATCH],
    answers={200: Answer(OrderRepresentation, headers=[ETAG]), 304: Answer(headers=[ETAG])},
    problems=[404],
    scopes=[Scope.READ_ORDERS],
    guests=True,
    linked=True,
)
def get_one(order_id: str) -> Response:
    """Show one order."""
    shop = requested_shop()
    order = own_order(get_order(shop, order_id))
    return tagged(order, OrderRepresentation.of(order, shop))


@blueprint.delete("/<order_id>")
@Operation(
    "cancelOrder",
    path=OrderPath,
    headers=[IF_MATCH],
    answers={204: None},
    problems=[404, 409, 412],
    scopes=[Scope.WRITE_ORDERS],
    guests=True,
    linked=True,
)
def cancel(order_id: str) -> Response:
    """Cancel an order.

    Before it is shipped. It stays readable, its pets are back in stock, and its stream ends.
    """

    def find(shop: Shop) -> Order:
        return own_order(get_order(shop, order_id), change=True)

    if_matches(find, lambda shop: cancel_order(shop, find(shop).id, CANCELLED_BY_CUSTOMER))
    return no_content()
