"""Pets: listing, searching, reading, adding, replacing, changing and deleting them. Parse, one call, render.

Whoever changes pets is of the staff. What that does to stock and prices is told by the inventory's stream.
"""

import json
from typing import Annotated, Literal

from flask import Blueprint, Response, url_for
from pydantic import Field

from petstore.api.bearer import Scope
from petstore.api.body import Body, check_body
from petstore.api.conditional import ETAG, IF_MATCH, IF_NONE_MATCH, if_matches, tagged
from petstore.api.idempotency import IDEMPOTENCY_KEY, REPLAYED, once
from petstore.api.images import remove_images
from petstore.api.merge_patch import merge
from petstore.api.operation import Answer, Operation
from petstore.api.parameter import LOCATION, MAX_LIMIT, MAX_PAGE, Between, Flag, PageQuery, PetPath, Query
from petstore.api.pet import MAX_AGE_MONTHS, NewPet, PetPatch, PetRepresentation
from petstore.api.tenant import requested_shop
from petstore.api.wire import Listing, no_content, respond
from petstore.shop import (
    Pet,
    PetFilter,
    PetOrder,
    PetStatus,
    Shop,
    Size,
    Species,
    add_pet,
    get_pet,
    list_pets,
    remove_pet,
    replace_pet,
)

blueprint = Blueprint("pets", __name__, url_prefix="/v1/pets")

AgeMonths = Annotated[int, Between(0, MAX_AGE_MONTHS)]


class PetQuery(PageQuery):
    """Which pets to list; what isn't given leaves a trait open. Ages include their bounds."""

    species: Species | None = None
    status: PetStatus = PetStatus.AVAILABLE
    age_min: AgeMonths | None = None
    age_max: AgeMonths | None = None
    size: Size | None = None
    good_with_kids: Flag | None = None

    def filter(self) -> PetFilter:
        """Return what the shop is asked for."""
        species = () if self.species is None else (self.species,)
        sizes = () if self.size is None else (self.size,)
        return PetFilter(species, self.status, self.age_min, self.age_max, sizes, self.good_with_kids)


class SearchQuery(Query):
    """Which page of a search is wanted; without it, the one that the body names."""

    page: Annotated[int, Between(1, MAX_PAGE)] | None = None
    limit: Annotated[int, Between(1, MAX_LIMIT)] | None = None


class PetPage(Listing[PetRepresentation]):
    """A page of a list of pets."""


MemberAge = Annotated[int, Field(ge=0, le=MAX_AGE_MONTHS)]


class AgeRange(Body):
    """Ages in months, with their bounds. There is no pet between 24 and 12, and saying so is no error, as in a list."""

    min: Annotated[MemberAge, Field(examples=[12])] | None = None
    max: Annotated[MemberAge, Field(examples=[48])] | None = None


class Compatibility(Body):
    """Whom a pet gets on with."""

    good_with_kids: bool | None = None


class MedicalCriteria(Body):
    """What must be so, or must not, of a pet's health."""

    vaccinated: bool | None = None
    spayed_neutered: bool | None = None
    special_needs: bool | None = None


class Criteria(Body):
    """Which pets are wanted; what isn't given leaves a trait open."""

    species: Annotated[list[Species], Field(max_length=len(Species))] = Field(default_factory=list)
    status: PetStatus = PetStatus.AVAILABLE
    age_range: AgeRange = AgeRange()
    size: Annotated[list[Size], Field(max_length=len(Size))] = Field(default_factory=list)
    compatibility: Compatibility = Compatibility()
    medical: MedicalCriteria = MedicalCriteria()

    def filter(self) -> PetFilter:
        """Return what the shop is asked for."""
        medical = self.medical.model_dump(by_alias=True, exclude_none=True)
        ages, kids = self.age_range, self.compatibility.good_with_kids
        return PetFilter(tuple(self.species), self.status, ages.min, ages.max, tuple(self.size), kids, medical)


class Sort(Body):
    """What the pets are sorted by; equal ones, the oldest entry first."""

    field: Literal["ageMonths", "price"]
    order: Literal["ASC", "DESC"] = "ASC"


class Paging(Body):
    """Which page is wanted, and how many pets it has."""

    page: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 1
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 20


class Search(Body):
    """Which pets are wanted, in which order, and which page of them, unless the URL names another one."""

    criteria: Criteria = Criteria()
    sort: Sort | None = None
    pagination: Paging = Paging()

    def order(self) -> PetOrder:
        """Return the order as the shop takes it."""
        if self.sort is None:
            return PetOrder()
        return PetOrder("price_cents" if self.sort.field == "price" else "age_months", self.sort.order == "DESC")


@blueprint.get("")
@Operation("listPets", query=PetQuery, answers={200: PetPage})
def get_page(query: PetQuery) -> Response:
    """List pets.

    Those that can be bought, unless `status` asks for others.
    """
    shop = requested_shop()
    page = list_pets(shop, query.filter(), query.page, query.limit)
    return respond(PetPage.of(page, query, lambda pet: PetRepresentation.of(pet, shop)))


@blueprint.route("", methods=["QUERY"])
@Operation("searchPets", query=SearchQuery, body=Search, body_optional=True, answers={200: PetPage})
def search(query: SearchQuery, body: Search) -> Response:
    """Search pets.

    By more than a URL has room for. QUERY is a GET with a body: it changes nothing, and may be repeated. The `links` lead to
    the other pages when they are sent the same body in the same way: what their URLs say of the page counts, not the body.
    """
    shop, paging = requested_shop(), body.pagination
    page, limit = query.page or paging.page, query.limit or paging.limit
    found = list_pets(shop, body.criteria.filter(), page, limit, body.order())
    return respond(PetPage.of(found, query, lambda pet: PetRepresentation.of(pet, shop)))


@blueprint.post("")
@Operation(
    "createPet",
    body=NewPet,
    headers=[IDEMPOTENCY_KEY],
    answers={201: Answer(PetRepresentation, headers=[LOCATION, ETAG, REPLAYED])},
    scopes=[Scope.WRITE_PETS],
)
def add(body: NewPet) -> Response:
    """Add a pet."""

    def act(shop: Shop) -> Response:
        pet = add_pet(shop, body.details())
        return tagged(pet, PetRepresentation.of(pet, shop), 201, {"Location": url_for("pets.get_one", pet_id=pet.id)})

    return once(body, act)


@blueprint.get("/<pet_id>")
@Operation(
    "getPet",
    path=PetPath,
    headers=[IF_NONE_MATCH],
    answers={200: Answer(PetRepresentation, headers=[ETAG]), 304: Answer(headers=[ETAG])},
    problems=[404],
)
def get_one(pet_id: str) -> Response:
    """Show one pet."""
    return _show(get_pet(requested_shop(), pet_id))


@blueprint.put("/<pet_id>")
@Operation(
    "replacePet",
    path=PetPath,
    body=NewPet,
    headers=[IF_MATCH],
    answers={200: Answer(PetRepresentation, headers=[ETAG])},
    problems=[404, 412],
    scopes=[Scope.WRITE_PETS],
)
def replace(pet_id: str, body: NewPet) -> Response:
    """Replace a pet.

    What isn't given becomes what it is for a new pet, but for `stock` and `status`: without them, the stock stays as it is, and
    says whether the pet is for sale, unless it is one that staff keep from sale. The members that are the server's to set may be
    sent back, and stay as they are.
    """
    details = body.details()
    return _show(if_matches(lambda shop: get_pet(shop, pet_id), lambda shop: replace_pet(shop, pet_id, details)))


@blueprint.patch("/<pet_id>")
@Operation(
    "changePet",
    path=PetPath,
    body=PetPatch,
    headers=[IF_MATCH],
    answers={200: Answer(PetRepresentation, headers=[ETAG])},
    problems=[404, 412],
    scopes=[Scope.WRITE_PETS],
)
def change(pet_id: str, body: Body) -> Response:
    """Change a pet.

    By a JSON Merge Patch (RFC 7396): what is given is changed, and null makes a member what it is for a new pet. With null,
    `stock` stays as it is, and `status` is left to it, but for a pet that staff keep from sale.
    """
    patch = body.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def act(shop: Shop) -> Pet:
        changed = check_body(NewPet, json.dumps(merge(NewPet.document(get_pet(shop, pet_id)), patch)))
        return replace_pet(shop, pet_id, changed.details())

    return _show(if_matches(lambda shop: get_pet(shop, pet_id), lambda shop: shop.together(act)))


@blueprint.delete("/<pet_id>")
@Operation("deletePet", path=PetPath, headers=[IF_MATCH], answers={204: None}, problems=[404, 412], scopes=[Scope.WRITE_PETS])
def remove(pet_id: str) -> Response:
    """Delete a pet.

    Orders for it go on; nobody can order it any more.
    """
    if_matches(lambda shop: get_pet(shop, pet_id), lambda shop: remove_pet(shop, pet_id))
    remove_images(pet_id)
    return no_content()


def _show(pet: Pet) -> Response:
    return tagged(pet, PetRepresentation.of(pet, requested_shop()))
