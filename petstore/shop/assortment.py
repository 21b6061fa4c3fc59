"""Which pets the shop sells: staff add, replace and delete them, and show them in photos.

What that does to stock and prices is told like every other change of them. Must not know what a photo looks like, nor where
it is kept.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from petstore.shop.customers import likes
from petstore.shop.error import TooManyPhotos
from petstore.shop.identity import new_id
from petstore.shop.inventory import status_after, tell
from petstore.shop.moment import following, from_datetime, now, to_datetime
from petstore.shop.orders import orders
from petstore.shop.pets import Pet, PetStatus, PetTraits, get_pet, pets
from petstore.shop.tenant import Shop
from petstore.sse import Transaction

MAX_PHOTOS = 10
"""Photos of one pet: each is megabytes on our disk, and nobody looks at more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PetDetails(PetTraits):
    """What staff say of a pet. `stock` None leaves it as it is (a new pet is one); `status` None leaves it to the stock."""

    stock: int | None = None
    status: PetStatus | None = None


def add_pet(shop: Shop, details: PetDetails) -> Pet:
    """Add a new pet."""
    at = to_datetime(now())
    blank = {"id": new_id(), "stock": 0, "status": PetStatus.NOT_AVAILABLE, "photos": (), "created_at": at, "updated_at": at}
    before = Pet(**{**dataclasses.asdict(details), **blank, "price_cents": 0})
    pet = _described(before, details if details.stock is not None else dataclasses.replace(details, stock=1))

    def add(transaction: Transaction) -> Pet:
        transaction.connection.execute(insert(pets).values(tenant=shop.tenant, **_row(pet)))
        tell(shop, transaction, before, pet)
        return pet

    return shop.write(add)


def replace_pet(shop: Shop, pet_id: str, details: PetDetails) -> Pet:
    """Make a pet what `details` say. Raises PetNotFound."""

    def replace(transaction: Transaction) -> Pet:
        before = get_pet(shop.within(transaction), pet_id)
        return _store(shop, transaction, before, _described(before, details))

    return shop.write(replace)


def add_photo(shop: Shop, pet_id: str, photo: str) -> None:
    """Add a photo, by its name, to those of a pet. Raises PetNotFound, TooManyPhotos."""

    def add(transaction: Transaction) -> None:
        before = get_pet(shop.within(transaction), pet_id)
        if photo in before.photos:
            return
        if len(before.photos) >= MAX_PHOTOS:
            raise TooManyPhotos(pet_id, MAX_PHOTOS)
        _store(shop, transaction, before, dataclasses.replace(before, photos=(*before.photos, photo)))

    shop.write(add)


def remove_pet(shop: Shop, pet_id: str) -> None:
    """Delete a pet; one that orders refer to is kept for them, and shown nowhere. Raises PetNotFound."""

    def remove(transaction: Transaction) -> None:
        connection = transaction.connection
        pet = get_pet(shop.within(transaction), pet_id)
        this = (pets.c.tenant == shop.tenant) & (pets.c.id == pet_id)
        connection.execute(delete(likes).filter_by(tenant=shop.tenant, pet_id=pet_id))
        if connection.execute(select(orders.c.id).filter_by(tenant=shop.tenant, pet_id=pet_id).limit(1)).first():
            at = following(from_datetime(pet.updated_at))
            connection.execute(update(pets).where(this).values(stock=0, photos=[], updated_at=at, deleted_at=at))
        else:
            connection.execute(delete(pets).where(this))
        tell(shop, transaction, pet, dataclasses.replace(pet, stock=0))

    shop.write(remove)


def _described(pet: Pet, details: PetDetails) -> Pet:
    stock = pet.stock if details.stock is None else details.stock
    status = details.status or status_after(pet, stock)
    if status is PetStatus.AVAILABLE and stock == 0:
        status = PetStatus.NOT_AVAILABLE
    return dataclasses.replace(pet, **{**_fields(details), "stock": stock, "status": status})


def _store(shop: Shop, transaction: Transaction, before: Pet, after: Pet) -> Pet:
    if after == before:
        return before
    after = dataclasses.replace(after, updated_at=to_datetime(following(from_datetime(before.updated_at))))
    this = (pets.c.tenant == shop.tenant) & (pets.c.id == after.id)
    transaction.connection.execute(update(pets).where(this).values(**_row(after)))
    tell(shop, transaction, before, after)
    return after


def _fields(value: Pet | PetDetails) -> dict[str, Any]:
    # Not by `asdict`, which would copy the mappings.
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _row(pet: Pet) -> dict[str, Any]:
    times = {"created_at": from_datetime(pet.created_at), "updated_at": from_datetime(pet.updated_at)}
    return _fields(pet) | times
