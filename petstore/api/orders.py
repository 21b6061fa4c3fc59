"""Orders: placing, reading, paying and cancelling one. Parse, one call, render.

What becomes of an order after it is paid is told by its stream, to which each order links.
"""

from http import HTTPStatus
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, url_for
from pydantic import Field

from petstore.api.body import Body, CustomerId, PetId, read_body
from petstore.api.parameter import identifier
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.api.wire import render_moment, render_money
from petstore.shop import Order, cancel_order, get_order, pay_order, place_order

blueprint = Blueprint("orders", __name__, url_prefix="/v1/orders")

CANCELLED_BY_CUSTOMER = "cancelled by the customer"


class NewOrder(Body):
    """The body of an order. Who gives no `userId` orders as a guest."""

    pet_id: PetId
    quantity: Annotated[int, Field(ge=1, le=100)] = 1
    user_id: CustomerId | None = None


class Payment(Body):
    """The body of a payment, which has nothing to say yet: every payment of the demo shop succeeds."""


@blueprint.post("")
def place() -> tuple[Response, int, dict[str, str]]:
    """Place an order."""
    wanted = read_body(NewOrder)
    order = place_order(requested_shop(), wanted.pet_id, wanted.quantity, wanted.user_id)
    return jsonify(render_order(order)), HTTPStatus.CREATED, {"Location": render_links(order)["self"]}


@blueprint.get("/<order_id>")
def get_one(order_id: str) -> Response:
    """Show one order, with the id from which its stream goes on."""
    return jsonify(render_order(get_order(requested_shop(), identifier("orderId", order_id))))


@blueprint.post("/<order_id>/payment")
def pay(order_id: str) -> tuple[Response, int]:
    """Start the payment of an order; the rest happens by itself, and the order's stream tells it."""
    id, _ = identifier("orderId", order_id), read_body(Payment, optional=True)
    order = pay_order(requested_shop(), id, services().settings.fulfilment_step_s)
    return jsonify(status="PROCESSING", orderId=order.id, links=render_links(order)), HTTPStatus.CREATED


@blueprint.delete("/<order_id>")
def cancel(order_id: str) -> tuple[str, int]:
    """Cancel an order; it stays readable. Answers 204, with no body, as the Modern PetstoreAPI does."""
    cancel_order(requested_shop(), identifier("orderId", order_id), CANCELLED_BY_CUSTOMER)
    return "", HTTPStatus.NO_CONTENT


def render_order(order: Order) -> dict[str, Any]:
    """Return an order as the wire has it."""
    return {
        "id": order.id,
        "petId": order.pet_id,
        "userId": order.customer_id,
        "quantity": order.quantity,
        "status": order.status,
        "totalAmount": render_money(order.total_cents),
        "currency": order.currency,
        "trackingNumber": order.tracking_number,
        "createdAt": render_moment(order.created_at),
        "updatedAt": render_moment(order.updated_at),
        "lastEventId": order.last_event_id,
        "links": render_links(order),
    }


def render_links(order: Order) -> dict[str, str]:
    """Return where an order is read, paid and followed."""
    return {
        "self": url_for("orders.get_one", order_id=order.id),
        "payment": url_for("orders.pay", order_id=order.id),
        "statusStream": url_for("streams.stream_order", order_id=order.id),
    }
