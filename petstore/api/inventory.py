"""The inventory: stock and prices, read as a whole, changed one by one or many at once. Parse, one call, render.

Every change is told by the inventory's stream.
"""

from typing import Annotated, Any, Self

from flask import Blueprint, Response, jsonify
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from petstore.api.body import Body, PetId, Price, read_body
from petstore.api.parameter import identifier, requested_page
from petstore.api.tenant import requested_shop
from petstore.api.wire import render_money, render_pagination
from petstore.shop import Change, Pet, Summary, change_inventory, read_inventory

blueprint = Blueprint("inventory", __name__, url_prefix="/v1/inventory")

MAX_CHANGES = 1_000
"""Changes in one request. They are one transaction, and everybody else's writes wait for its end."""


class PetChange(Body):
    """What to set one pet's stock and price to; what is missing or null stays as it is."""

    stock: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    price: Price | None = None

    @model_validator(mode="after")
    def _change_something(self) -> Self:
        if self.stock is None and self.price is None:
            raise PydanticCustomError("required_field", "Give stock, price or both")
        return self

    def of(self, pet_id: str) -> Change:
        """Return this change as the shop takes it."""
        return Change(pet_id, self.stock, None if self.price is None else int(self.price * 100))


class ListedChange(PetChange):
    """One of many changes."""

    pet_id: PetId


class ManyChanges(Body):
    """Many changes, of which all are made or none."""

    changes: Annotated[list[ListedChange], Field(min_length=1, max_length=MAX_CHANGES)]


MAX_ITEMS = 1000
"""Items of a page, and without `limit` also its default: most shops are restored after a gap by one request."""


@blueprint.get("")
def get_inventory() -> Response:
    """Show a page of the inventory, its sums, and the id from which its stream goes on: all of one moment."""
    inventory = read_inventory(requested_shop(), *requested_page(MAX_ITEMS, MAX_ITEMS))
    return jsonify(
        data=[render_item(pet) for pet in inventory.page.items],
        summary=render_summary(inventory.summary),
        pagination=render_pagination(inventory.page),
        lastEventId=inventory.last_event_id,
    )


@blueprint.patch("/<pet_id>")
def change_one(pet_id: str) -> Response:
    """Change the stock or the price of one pet, or both."""
    id, change = identifier("petId", pet_id), read_body(PetChange)
    (pet,) = change_inventory(requested_shop(), [change.of(id)])
    return jsonify(render_item(pet))


@blueprint.patch("")
def change_many() -> Response:
    """Change many pets in one transaction."""
    changes = [change.of(change.pet_id) for change in read_body(ManyChanges).changes]
    return jsonify(data=[render_item(pet) for pet in change_inventory(requested_shop(), changes)])


def render_item(pet: Pet) -> dict[str, Any]:
    """Return a pet as an item of the inventory."""
    return {
        "petId": pet.id,
        "name": pet.name,
        "stock": pet.stock,
        "price": render_money(pet.price_cents),
        "currency": pet.currency,
    }


def render_summary(summary: Summary) -> dict[str, Any]:
    """Return the inventory's sums as the wire has them."""
    return {
        "available": summary["available"],
        "pending": summary["pending"],
        "adopted": summary["adopted"],
        "total": summary["total"],
        "bySpecies": summary["by_species"],
    }
