"""The demo shop as a file: `catalogue.json` read into pets and customers.

Must not touch a database: seeding is seed's work.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from petstore.shop.customers import Customer, Preferences, Role
from petstore.shop.moment import now, to_datetime
from petstore.shop.pets import Gender, Pet, PetStatus, Size, Species


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a new demo shop holds."""

    pets: tuple[Pet, ...]
    customers: tuple[Customer, ...]
    staff: tuple[Customer, ...]
    password: str
    password_hash: str
    """Of all accounts. It's public, so only a demo lets anybody sign in with it."""

    @property
    def accounts(self) -> tuple[Customer, ...]:
        """Everybody who may sign in."""
        return self.customers + self.staff


@cache
def read_catalogue() -> Catalogue:
    """Return the catalogue; what is in it comes into being at the moment at which it's first read."""
    content = json.loads(files("petstore.shop").joinpath("catalogue.json").read_text("utf-8"))
    at = now()
    return Catalogue(
        tuple(_pet(entry, at) for entry in content["pets"]),
        tuple(_customer(entry, Role.CUSTOMER, at) for entry in content["customers"]),
        tuple(_customer(entry, Role.STAFF, at) for entry in content["staff"]),
        content["password"],
        content["passwordHash"],
    )


def _pet(entry: Mapping[str, Any], at: int) -> Pet:
    return Pet(
        id=entry["id"],
        name=entry["name"],
        species=Species(entry["species"]),
        breed=entry["breed"],
        age_months=entry["ageMonths"],
        size=Size(entry["size"]),
        color=entry["color"],
        gender=Gender(entry["gender"]),
        good_with_kids=entry["goodWithKids"],
        price_cents=_cents(entry["price"]),
        currency=entry["currency"],
        stock=entry["stock"],
        temperament=tuple(entry["temperament"]),
        description=entry["description"],
        medical=entry["medicalInfo"],
        photos=(),
        status=PetStatus.AVAILABLE if entry["stock"] else PetStatus.NOT_AVAILABLE,
        created_at=to_datetime(at),
        updated_at=to_datetime(at),
    )


def _customer(entry: Mapping[str, Any], role: Role, at: int) -> Customer:
    wishes = entry["preferences"]
    preferences = Preferences(
        species=tuple(Species(species) for species in wishes["species"]),
        sizes=tuple(Size(size) for size in wishes["sizes"]),
        temperament=tuple(wishes["temperament"]),
        max_price_cents=None if wishes["maxPrice"] is None else _cents(wishes["maxPrice"]),
        good_with_kids=wishes["goodWithKids"],
    )
    return Customer(
        id=entry["id"],
        username=entry["username"],
        email=entry["email"],
        first_name=entry["firstName"],
        last_name=entry["lastName"],
        preferences=preferences,
        role=role,
        likes=tuple(entry["likes"]),
        created_at=to_datetime(at),
        updated_at=to_datetime(at),
    )


def _cents(price: str) -> int:
    return int(Decimal(price) * 100)
