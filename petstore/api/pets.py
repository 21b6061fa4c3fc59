"""Pets: the list with its filters, and one pet. Parse, one call, render."""

from typing import Annotated, Self

from flask import Blueprint, Response

from petstore.api.operation import Operation
from petstore.api.parameter import Between, Flag, PageQuery, PetPath
from petstore.api.tenant import requested_shop
from petstore.api.wire import Moment, Money, PageLinks, Pagination, Representation, render_money, respond
from petstore.shop import Gender, Page, Pet, PetFilter, PetStatus, Size, Species, get_pet, list_pets

blueprint = Blueprint("pets", __name__, url_prefix="/v1/pets")

MAX_AGE_MONTHS = 2_400
"""Two hundred years: a tortoise may reach them."""

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


class MedicalInfo(Representation):
    """What is known of a pet's health."""

    spayed_neutered: bool
    vaccinated: bool
    microchipped: bool
    special_needs: bool
    health_notes: str | None


class PetRepresentation(Representation):
    """A pet as the shop offers it; `stock` is how many of it there are."""

    id: str
    name: str
    species: Species
    breed: str
    age_months: int
    size: Size
    color: str
    gender: Gender
    good_with_kids: bool
    price: Money
    currency: str
    stock: int
    temperament: tuple[str, ...]
    description: str
    status: PetStatus
    photos: tuple[str, ...]
    medical_info: MedicalInfo
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, pet: Pet) -> Self:
        """Return a pet as the wire has it."""
        known = {name: getattr(pet, name) for name in cls.model_fields if hasattr(pet, name)}
        return cls(**known, price=render_money(pet.price_cents), medical_info=pet.medical)  # type: ignore[arg-type]


class PetPage(Representation):
    """A page of a list of pets."""

    data: list[PetRepresentation]
    pagination: Pagination
    links: PageLinks

    @classmethod
    def of(cls, page: Page[Pet], query: PageQuery) -> Self:
        """Return the page that `query` asked for."""
        pets = [PetRepresentation.of(pet) for pet in page.items]
        return cls(data=pets, pagination=Pagination.of(page), links=PageLinks.of(page, query))


@blueprint.get("")
@Operation("listPets", query=PetQuery, answers={200: PetPage})
def get_page(query: PetQuery) -> Response:
    """List pets.

    Those that can be bought, unless `status` asks for others.
    """
    return respond(PetPage.of(list_pets(requested_shop(), query.filter(), query.page, query.limit), query))


@blueprint.get("/<pet_id>")
@Operation("getPet", path=PetPath, answers={200: PetRepresentation}, problems=[404])
def get_one(pet_id: str) -> Response:
    """Show one pet."""
    return respond(PetRepresentation.of(get_pet(requested_shop(), pet_id)))
