"""Accounts: how customers come, change what they say of themselves, like pets, sign in and go.

Must not see a password, only what is kept instead of it, nor know tokens. No request makes somebody staff.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from petstore.shop.catalogue import read_catalogue
from petstore.shop.customers import (
    Customer,
    Preferences,
    Profile,
    Role,
    customers,
    expect_customer,
    likes,
    preferences_to_json,
    profile_to_row,
    read_customer,
)
from petstore.shop.error import SharedAccount, TooManyLikes, UsernameTaken
from petstore.shop.identity import new_id
from petstore.shop.moment import following, from_datetime, now
from petstore.shop.orders import orders
from petstore.shop.page import Page
from petstore.shop.payments import payments
from petstore.shop.pets import Pet, get_pet, pet_from, pets, present
from petstore.shop.tenant import SHARED, Shop
from petstore.sse import Transaction

MAX_USERNAME = 50
"""Characters of a username: as many as its column has."""

MIN_PASSWORD, MAX_PASSWORD = 8, 128
"""Characters of a password. NIST SP 800-63B (2017) wants eight at the least, and no limit below 64."""

MAX_LIKES = 500
"""Pets that one customer may like: a recommender compares every pet with all of them."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who may sign in: by which password, and since which moment (in microseconds since 1970) tokens are good."""

    customer_id: str
    role: Role
    password_hash: str | None
    tokens_from: int


def find_account(shop: Shop, *, username: str | None = None, customer_id: str | None = None) -> Account | None:
    """Return the account with this username, or of this customer; None where there is none."""
    its = customers.c.username == username if customer_id is None else customers.c.id == customer_id
    query = select(customers).where(customers.c.tenant == shop.tenant, its)
    row = shop.query(lambda connection: connection.execute(query).first())
    return None if row is None else Account(row.id, Role(row.role), row.password_hash, row.tokens_from)


def register_customer(shop: Shop, profile: Profile, password_hash: str, role: Role = Role.CUSTOMER) -> Customer:
    """Open an account. Raises UsernameTaken."""
    id, at = new_id(), now()

    def register(transaction: Transaction) -> Customer:
        _refuse_taken(shop, transaction.connection, profile.username, id)
        row = {"tenant": shop.tenant, "id": id, "role": role, "password_hash": password_hash}
        dates = {"tokens_from": at, "created_at": at, "updated_at": at}
        transaction.connection.execute(insert(customers).values(**row, **dates, **profile_to_row(profile)))
        return read_customer(shop, transaction.connection, id)

    return shop.write(register)


def replace_profile(shop: Shop, customer_id: str, profile: Profile, password_hash: str | None = None) -> Customer:
    """Replace all that customers say of themselves; a new password makes every token void that was made before.

    Raises CustomerNotFound, UsernameTaken, SharedAccount.
    """

    def replace(transaction: Transaction) -> Customer:
        before = read_customer(shop, transaction.connection, customer_id)
        if is_shared_account(shop, customer_id) and (password_hash or profile.username != before.username):
            raise SharedAccount(customer_id)
        _refuse_taken(shop, transaction.connection, profile.username, customer_id)
        secret = {"password_hash": password_hash, "tokens_from": now()} if password_hash else {}
        return _update(shop, transaction.connection, before, **profile_to_row(profile), **secret)

    return shop.write(replace)


def replace_preferences(shop: Shop, customer_id: str, preferences: Preferences) -> Customer:
    """Replace what a customer looks for. Raises CustomerNotFound."""

    def replace(transaction: Transaction) -> Customer:
        before = read_customer(shop, transaction.connection, customer_id)
        return _update(shop, transaction.connection, before, preferences=preferences_to_json(preferences))

    return shop.write(replace)


def remove_customer(shop: Shop, customer_id: str) -> None:
    """Close an account. What was ordered and paid stays in the books, without a name. Raises CustomerNotFound, SharedAccount."""

    def remove(transaction: Transaction) -> None:
        expect_customer(shop, transaction.connection, customer_id)
        if is_shared_account(shop, customer_id):
            raise SharedAccount(customer_id)
        theirs = (orders.c.tenant == shop.tenant) & (orders.c.customer_id == customer_id)
        # Another version: whoever has seen whose it was must not be told that nothing has changed.
        version = func.max(orders.c.updated_at + 1, now())
        # Whose card it was, where its bills went, whose account: what is left of the number tells nobody.
        anonymous = func.json_remove(payments.c.source, "$.name", "$.billingAddress", "$.accountHolderName")
        of_them = payments.c.order_id.in_(select(orders.c.id).where(theirs))
        transaction.connection.execute(update(payments).where(of_them).values(source=anonymous))
        transaction.connection.execute(update(orders).where(theirs).values(customer_id=None, updated_at=version))
        transaction.connection.execute(delete(likes).where(*_likes_of(shop, customer_id)))
        transaction.connection.execute(delete(customers).where(*_one(shop, customer_id)))

    shop.write(remove)


def like_pet(shop: Shop, customer_id: str, pet_id: str) -> None:
    """Add a pet to those that a customer likes, as the last one. Raises CustomerNotFound, PetNotFound, TooManyLikes."""

    def like(transaction: Transaction) -> None:
        connection = transaction.connection
        liked = read_customer(shop, connection, customer_id).likes
        get_pet(shop.within(transaction), pet_id)
        if pet_id in liked:
            return
        if len(liked) >= MAX_LIKES:
            raise TooManyLikes(MAX_LIKES)
        newest = select(func.coalesce(func.max(likes.c.position), -1)).where(*_likes_of(shop, customer_id))
        position = connection.execute(newest).scalar_one() + 1
        row = {"tenant": shop.tenant, "customer_id": customer_id, "pet_id": pet_id, "position": position}
        connection.execute(insert(likes).values(**row))

    shop.write(like)


def unlike_pet(shop: Shop, customer_id: str, pet_id: str) -> None:
    """Take a pet from those that a customer likes, if it's among them. Raises CustomerNotFound."""

    def unlike(transaction: Transaction) -> None:
        expect_customer(shop, transaction.connection, customer_id)
        transaction.connection.execute(delete(likes).where(*_likes_of(shop, customer_id), likes.c.pet_id == pet_id))

    shop.write(unlike)


def liked_pets(shop: Shop, customer_id: str, page: int, limit: int) -> Page[Pet]:
    """Return a page of the pets that a customer likes, in the order in which they were liked. Raises CustomerNotFound."""

    def read(connection: Connection) -> Page[Pet]:
        expect_customer(shop, connection, customer_id)
        theirs = select(pets).join(likes, (likes.c.tenant == pets.c.tenant) & (likes.c.pet_id == pets.c.id))
        theirs = theirs.where(*_likes_of(shop, customer_id), *present(shop)).order_by(likes.c.position)
        found = connection.execute(theirs).all()
        return Page([pet_from(row) for row in found[(page - 1) * limit : page * limit]], page, limit, len(found))

    return shop.query(read)


def is_shared_account(shop: Shop, customer_id: str) -> bool:
    """Say whether this is an account of the demo in the shop that all share: none of its visitors may take it from the others."""
    return shop.tenant == SHARED and is_demo_account(customer_id)


def demo_customers() -> Sequence[Customer]:
    """Return the customers of the demo's catalogue, as they are in a new shop. What they have is public there."""
    return read_catalogue().customers


def is_demo_account(customer_id: str) -> bool:
    """Say whether everybody knows this account's password, or may: it's one of the catalogue's."""
    return any(customer.id == customer_id for customer in read_catalogue().accounts)


def _refuse_taken(shop: Shop, connection: Connection, username: str, customer_id: str) -> None:
    others = select(customers.c.id).where(customers.c.tenant == shop.tenant, customers.c.username == username)
    if connection.execute(others.where(customers.c.id != customer_id)).first():
        raise UsernameTaken(username)


def _update(shop: Shop, connection: Connection, before: Customer, **values: Any) -> Customer:
    values["updated_at"] = following(from_datetime(before.updated_at))
    connection.execute(update(customers).where(*_one(shop, before.id)).values(**values))
    return read_customer(shop, connection, before.id)


def _one(shop: Shop, customer_id: str) -> tuple[ColumnElement[bool], ...]:
    return customers.c.tenant == shop.tenant, customers.c.id == customer_id


def _likes_of(shop: Shop, customer_id: str) -> tuple[ColumnElement[bool], ...]:
    return likes.c.tenant == shop.tenant, likes.c.customer_id == customer_id
