"""Pets: the list with its filters, and one pet. Parse, one call, render."""

from typing import Any

from flask import Blueprint, Response, jsonify

from petstore.api.parameter import boolean, choice, identifier, requested_page, whole_number
from petstore.api.services import services
from petstore.api.wire import render_links, render_moment, render_money, render_pagination
from petstore.shop import Pet, PetFilter, PetStatus, Size, Species, get_pet, list_pets

blueprint = Blueprint("pets", __name__, url_prefix="/v1/pets")

FILTERS = ("species", "status", "ageMin", "ageMax", "size", "goodWithKids")

MAX_AGE_MONTHS = 2_400
"""Two hundred years: a tortoise may reach them."""


@blueprint.get("")
def get_page() -> Response:
    """List the pets that pass the filters; those that can be bought, unless `status` asks for others."""
    page = list_pets(services().log, requested_filter(), *requested_page())
    return jsonify(
        data=[render_pet(pet) for pet in page.items],
        pagination=render_pagination(page),
        links=render_links(page, FILTERS),
    )


@blueprint.get("/<pet_id>")
def get_one(pet_id: str) -> Response:
    """Show one pet."""
    return jsonify(render_pet(get_pet(services().log, identifier("petId", pet_id))))


def requested_filter() -> PetFilter:
    """Return what the query asks for."""
    return PetFilter(
        species=choice("species", Species, None),
        status=choice("status", PetStatus, PetStatus.AVAILABLE),
        age_min=whole_number("ageMin", 0, MAX_AGE_MONTHS, None),
        age_max=whole_number("ageMax", 0, MAX_AGE_MONTHS, None),
        size=choice("size", Size, None),
        good_with_kids=boolean("goodWithKids"),
    )


def render_pet(pet: Pet) -> dict[str, Any]:
    """Return a pet as the wire has it."""
    return {
        "id": pet.id,
        "name": pet.name,
        "species": pet.species,
        "breed": pet.breed,
        "ageMonths": pet.age_months,
        "size": pet.size,
        "color": pet.color,
        "gender": pet.gender,
        "goodWithKids": pet.good_with_kids,
        "price": render_money(pet.price_cents),
        "currency": pet.currency,
        "stock": pet.stock,
        "temperament": pet.temperament,
        "description": pet.description,
        "status": pet.status,
        "photos": [],
        "medicalInfo": pet.medical,
        "createdAt": render_moment(pet.created_at),
        "updatedAt": render_moment(pet.updated_at),
    }
