"""Stock and prices, and every way in which they change: each real change appends its event in the same transaction.

Must not know why: orders and staff come through the same door. Rows are locked before they are read, so that what an
event tells as the old value is what the new one replaced, and the last pet is sold once. (SQLite has no row locks and
needs none: a write transaction locks the whole database when it starts.)
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from sqlalchemy import Connection, bindparam, func, select, update

from petstore.shop.error import OutOfStock, PetNotFound
from petstore.shop.moment import following, from_datetime, to_datetime
from petstore.shop.page import Page
from petstore.shop.pets import Pet, PetFilter, PetStatus, Species, pet_from, pets, present, read_page
from petstore.shop.tenant import Shop
from petstore.sse import Draft, Transaction

INVENTORY_TOPIC = "inventory"
"""The topic of all changes of stock and price, as clients know it; in the log, the tenant is added. It never ends."""


@dataclass(frozen=True, slots=True)
class Change:
    """What to set a pet's stock and price to; None leaves it as it is."""

    pet_id: str
    stock: int | None = None
    price_cents: int | None = None

    def __post_init__(self) -> None:
        if (self.stock or 0) < 0 or (self.price_cents or 0) < 0:
            raise ValueError("stock and price can't be negative")


class Summary(TypedDict):
    """How many pets there are: for sale now, pending or adopted as staff say, in all, and of each species."""

    available: int
    pending: int
    adopted: int
    total: int
    by_species: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Inventory:
    """One moment of the inventory: a page of it, its sums, and the id to follow its events from."""

    page: Page[Pet]
    summary: Summary
    last_event_id: int


def inventory_topic(shop: Shop) -> str:
    """Return the topic of all changes of stock and price in this shop."""
    return INVENTORY_TOPIC + shop.topic_suffix


def change_inventory(shop: Shop, changes: Sequence[Change]) -> list[Pet]:
    """Apply all changes in their order, or none, and return the pets as they now are, each once, as first mentioned.

    Raises PetNotFound, for the first unknown pet.
    """
    return shop.write(lambda transaction: _apply(shop, transaction, changes))


def take_stock(shop: Shop, pet_id: str, quantity: int) -> Pet:
    """Take `quantity` of a pet out of stock and return the pet as it now is. Raises PetNotFound, OutOfStock."""

    def take(transaction: Transaction) -> Pet:
        pet = _lock(shop, transaction.connection, [pet_id])[pet_id]
        for_sale = pet.stock if pet.status is PetStatus.AVAILABLE else 0
        if quantity > for_sale:
            raise OutOfStock(pet_id, for_sale, quantity)
        return _move_stock(shop, transaction, pet, -quantity)

    return shop.write(take)


def put_back(shop: Shop, pet_id: str, quantity: int) -> None:
    """Undo `take_stock`. For a pet that has been deleted since, there is nothing to undo."""

    def put(transaction: Transaction) -> None:
        with contextlib.suppress(PetNotFound):
            _move_stock(shop, transaction, _lock(shop, transaction.connection, [pet_id])[pet_id], quantity)

    shop.write(put)


def tell(shop: Shop, transaction: Transaction, before: Pet, after: Pet) -> None:
    """Append the events for a pet whose stock and price were those of `before`, and now are those of `after`."""
    transaction.append(_events(inventory_topic(shop), before, after))


def status_after(pet: Pet, stock: int) -> PetStatus:
    """Return the status that a pet has when its stock becomes `stock`, and nobody says otherwise."""
    if pet.status is PetStatus.AVAILABLE and stock == 0:
        return PetStatus.NOT_AVAILABLE
    # One that staff keep from sale with some in stock stays so; only what ran out comes back by itself.
    if pet.status is PetStatus.NOT_AVAILABLE and pet.stock == 0 and stock > 0:
        return PetStatus.AVAILABLE
    return pet.status


def read_inventory(shop: Shop, page: int, limit: int) -> Inventory:
    """Return page `page` of the inventory, with its sums and its place in the log, all of one moment."""

    def read(connection: Connection) -> Inventory:
        everything = read_page(shop, connection, PetFilter(), page, limit)
        return Inventory(everything, _summary(shop, connection), shop.log.head(connection))

    return shop.query(read)


def _apply(shop: Shop, transaction: Transaction, changes: Sequence[Change]) -> list[Pet]:
    before = _lock(shop, transaction.connection, [change.pet_id for change in changes])
    after = dict(before)
    drafts: list[Draft] = []
    topic, at = inventory_topic(shop), following(*(from_datetime(pet.updated_at) for pet in before.values()))
    for change in changes:
        pet = after[change.pet_id]
        after[pet.id] = _after(pet, change, at)
        drafts += _events(topic, pet, after[pet.id])
    _store(shop, transaction.connection, [pet for pet in after.values() if pet is not before[pet.id]], at)
    transaction.append(drafts)
    return list(after.values())


# Built once: building a statement takes longer than SQLite takes for it.
_LOCK = (
    select(pets)
    .where(pets.c.tenant == bindparam("of_tenant"), pets.c.deleted_at.is_(None), pets.c.id.in_(bindparam("wanted", expanding=True)))
    .order_by(pets.c.id)
    .with_for_update()
)


def _lock(shop: Shop, connection: Connection, pet_ids: Iterable[str]) -> dict[str, Pet]:
    """Read the pets for a change, in the order asked for, but lock them in the order of ids, against deadlocks."""
    wanted = dict.fromkeys(pet_ids)
    rows = connection.execute(_LOCK, {"of_tenant": shop.tenant, "wanted": list(wanted)})
    found = {row.id: pet_from(row) for row in rows}
    for pet_id in wanted:
        if pet_id not in found:
            raise PetNotFound(pet_id)
    return {pet_id: found[pet_id] for pet_id in wanted}


def _move_stock(shop: Shop, transaction: Transaction, pet: Pet, difference: int) -> Pet:
    at = following(from_datetime(pet.updated_at))
    moved = _after(pet, Change(pet.id, stock=pet.stock + difference), at)
    _store(shop, transaction.connection, [moved], at)
    tell(shop, transaction, pet, moved)
    return moved


def _after(pet: Pet, change: Change, at: int) -> Pet:
    """Return the pet after the change: the same object where nothing was changed."""
    values: dict[str, Any] = {}
    if change.stock is not None and change.stock != pet.stock:
        values = {"stock": change.stock, "status": status_after(pet, change.stock)}
    if change.price_cents is not None and change.price_cents != pet.price_cents:
        values["price_cents"] = change.price_cents
    return dataclasses.replace(pet, **values, updated_at=to_datetime(at)) if values else pet


def _events(topic: str, before: Pet, after: Pet) -> list[Draft]:
    """Return an event for the stock and one for the price, where they aren't what they were."""
    drafts = []
    if after.stock != before.stock:
        data = {"petId": after.id, "oldStock": before.stock, "newStock": after.stock}
        drafts.append(Draft(topic, "stock-change", data))
    if after.price_cents != before.price_cents:
        prices = {"petId": after.id, "oldPrice": before.price_cents / 100, "newPrice": after.price_cents / 100}
        drafts.append(Draft(topic, "price-change", prices))
    return drafts


_STORE = (
    update(pets)
    .where(pets.c.tenant == bindparam("of_tenant"), pets.c.id == bindparam("pet"))
    .values(
        stock=bindparam("new_stock"),
        price_cents=bindparam("new_price_cents"),
        status=bindparam("new_status"),
        updated_at=bindparam("at"),
    )
)


def _store(shop: Shop, connection: Connection, changed: Sequence[Pet], at: int) -> None:
    key = {"of_tenant": shop.tenant, "at": at}
    rows = [
        key | {"pet": pet.id, "new_stock": pet.stock, "new_price_cents": pet.price_cents, "new_status": pet.status}
        for pet in changed
    ]
    if rows:
        connection.execute(_STORE, rows)


def _summary(shop: Shop, connection: Connection) -> Summary:
    groups = select(pets.c.status, pets.c.species, func.count()).where(*present(shop)).group_by(pets.c.status, pets.c.species)
    by_status = dict.fromkeys(PetStatus, 0)
    by_species = {species.value: 0 for species in Species}
    for status, species, count in connection.execute(groups):
        by_status[PetStatus(status)] += count
        by_species[species] += count
    return Summary(
        available=by_status[PetStatus.AVAILABLE],
        pending=by_status[PetStatus.PENDING],
        adopted=by_status[PetStatus.ADOPTED],
        total=sum(by_status.values()),
        by_species=by_species,
    )
