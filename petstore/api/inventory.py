"""The inventory: stock and prices, read as a whole, changed one by one or many at once. Parse, one call, render.

Every change is told by the inventory's stream.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from flask import Blueprint, Response
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from petstore.api.bearer import Scope
from petstore.api.body import Body, PetId, Price
from petstore.api.conditional import ETAG, IF_MATCH, IF_NONE_MATCH, if_matches, tagged
from petstore.api.event_data import EventId, Uuid
from petstore.api.operation import Answer, Operation
from petstore.api.parameter import MAX_PAGE, Between, PetPath, Query
from petstore.api.tenant import requested_shop
from petstore.api.wire import Currency, Money, PageLinks, Pagination, Representation, respond
from petstore.shop import Change, Inventory, Pet, change_inventory, get_pet, read_inventory, render_money

blueprint = Blueprint("inventory", __name__, url_prefix="/v1/inventory")

MAX_ITEMS = 1_000
"""Items of a page, and without `limit` also its default: most shops are restored after a gap by one request."""

MAX_CHANGES = 1_000
"""Changes in one request. They are one transaction, and everybody else's writes wait for its end."""


_ONE_OF_THEM: dict[str, Any] = {
    "anyOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in ("stock", "price")]
}


class PetChange(Body):
    """What to set one pet's stock and price to; what is missing or null stays as it is."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF_THEM)

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


class InventoryQuery(Query):
    """Which page of the inventory is wanted, and how many items it has."""

    page: Annotated[int, Between(1, MAX_PAGE)] = 1
    limit: Annotated[int, Between(1, MAX_ITEMS)] = MAX_ITEMS


class Item(Representation):
    """How many of a pet there are, and what one costs."""

    pet_id: Uuid
    name: str
    stock: Annotated[int, Field(ge=0)]
    price: Money
    currency: Currency

    @classmethod
    def of(cls, pet: Pet) -> Self:
        """Return a pet as an item of the inventory."""
        price = render_money(pet.price_cents)
        return cls(pet_id=pet.id, name=pet.name, stock=pet.stock, price=price, currency=pet.currency)


class Items(Representation):
    """Items of the inventory."""

    data: list[Item]


Count = Annotated[int, Field(ge=0, examples=[72])]


class Summary(Representation):
    """How many kinds of pets there are: for sale, set aside by staff, in all, and of each species."""

    available: Count
    pending: Count
    adopted: Count
    total: Count
    by_species: Mapping[str, Count]


class InventoryRepresentation(Representation):
    """A page of the inventory and the sums of all of it; from `lastEventId` on, its stream tells what has changed since."""

    data: list[Item]
    summary: Summary
    pagination: Pagination
    links: PageLinks
    last_event_id: EventId

    @classmethod
    def of(cls, inventory: Inventory, query: InventoryQuery) -> Self:
        """Return the page that `query` asked for."""
        return cls(
            data=[Item.of(pet) for pet in inventory.page.items],
            summary=Summary(**inventory.summary),
            pagination=Pagination.of(inventory.page),
            links=PageLinks.of(inventory.page, query),
            last_event_id=inventory.last_event_id,
        )


@blueprint.get("")
@Operation("getInventory", query=InventoryQuery, answers={200: InventoryRepresentation})
def get_inventory(query: InventoryQuery) -> Response:
    """Show the inventory.

    A page of it, its sums, and the id from which its stream goes on: all of one moment.
    """
    return respond(InventoryRepresentation.of(read_inventory(requested_shop(), query.page, query.limit), query))


@blueprint.get("/<pet_id>")
@Operation(
    "getInventoryItem",
    path=PetPath,
    headers=[IF_NONE_MATCH],
    answers={200: Answer(Item, headers=[ETAG]), 304: Answer(headers=[ETAG])},
    problems=[404],
)
def get_one(pet_id: str) -> Response:
    """Show one pet's stock and price."""
    pet = get_pet(requested_shop(), pet_id)
    return tagged(pet, Item.of(pet))


@blueprint.patch("/<pet_id>")
@Operation(
    "changeInventoryItem",
    path=PetPath,
    body=PetChange,
    headers=[IF_MATCH],
    answers={200: Answer(Item, headers=[ETAG])},
    problems=[404, 412],
    scopes=[Scope.WRITE_PETS],
)
def change_one(pet_id: str, body: PetChange) -> Response:
    """Change one pet's stock or price.

    Or both. What really changes is told by the inventory's stream.
    """
    (pet,) = if_matches(lambda shop: get_pet(shop, pet_id), lambda shop: change_inventory(shop, [body.of(pet_id)]))
    return tagged(pet, Item.of(pet))


@blueprint.patch("")
@Operation("changeInventory", body=ManyChanges, answers={200: Items}, problems=[404], scopes=[Scope.WRITE_PETS])
def change_many(body: ManyChanges) -> Response:
    """Change many pets in one transaction.

    All or none, in their order. A pet that is named twice is answered once, as it is in the end.
    """
    changed = change_inventory(requested_shop(), [change.of(change.pet_id) for change in body.changes])
    return respond(Items(data=[Item.of(pet) for pet in changed]))
