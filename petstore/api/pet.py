"""A pet on the wire: as it is shown, as staff write it, and as a part of it is changed.

Must not look anything up.
"""

from typing import Annotated, Any, ClassVar, Self, TypeVar

from flask import url_for
from pydantic import Field, create_model

from petstore.api.body import Body, Line, Price
from petstore.api.event_data import Uuid
from petstore.api.wire import Currency, Moment, Money, Representation, Uri
from petstore.shop import Gender, Pet, PetDetails, PetStatus, Shop, Size, Species, render_money

MAX_AGE_MONTHS = 2_400
"""Two hundred years: a tortoise may reach them."""

B = TypeVar("B", bound=Body)

Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""Text on any number of lines."""


Trait = Annotated[Line, Field(min_length=1, max_length=40, examples=["gentle"])]


class MedicalInfo(Representation):
    """What is known of a pet's health."""

    spayed_neutered: bool
    vaccinated: bool
    microchipped: bool
    special_needs: bool
    health_notes: str | None


class PetRepresentation(Representation):
    """A pet as the shop offers it; `stock` is how many of it there are."""

    id: Uuid
    name: Annotated[str, Field(examples=["Buddy"])]
    species: Species
    breed: Annotated[str, Field(examples=["Golden Retriever"])]
    age_months: Annotated[int, Field(ge=0, examples=[30])]
    size: Size
    color: Annotated[str, Field(examples=["golden"])]
    gender: Gender
    good_with_kids: bool
    price: Money
    currency: Currency
    stock: Annotated[int, Field(ge=0, examples=[4])]
    temperament: tuple[str, ...]
    description: str
    status: PetStatus
    photos: tuple[Uri, ...]
    medical_info: MedicalInfo
    tenant_id: Annotated[str | None, Field(description="Whose petstore it is in; null in the one that all share.")]
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, pet: Pet, shop: Shop) -> Self:
        """Return a pet of a shop as the wire has it."""
        own = cls.model_fields.keys() - {"photos"}
        known = {name: getattr(pet, name) for name in own if hasattr(pet, name)}
        photos = tuple(url_for("images.get_one", pet_id=pet.id, photo=photo) for photo in pet.photos)
        price, tenant_id = render_money(pet.price_cents), shop.tenant or None
        return cls(**known, price=price, photos=photos, medical_info=pet.medical, tenant_id=tenant_id)  # type: ignore[arg-type]


class NewMedicalInfo(Body):
    """What is known of a pet's health."""

    spayed_neutered: bool = False
    vaccinated: bool = False
    microchipped: bool = False
    special_needs: bool = False
    health_notes: Annotated[Text, Field(max_length=1000)] | None = None


class _PetBody(Body):
    read_only: ClassVar[frozenset[str]] = frozenset({"id", "photos", "tenantId", "createdAt", "updatedAt"})


class NewPet(_PetBody):
    """A pet as staff write it. Without `stock` there is one of a new pet; without `status` its stock says whether it's for sale."""

    name: Annotated[Line, Field(min_length=1, max_length=50, examples=["Biscuit"])]
    species: Species
    breed: Annotated[Line, Field(max_length=80, examples=["Beagle"])] = ""
    age_months: Annotated[int, Field(ge=0, le=MAX_AGE_MONTHS, examples=[18])]
    size: Size = Size.MEDIUM
    color: Annotated[Line, Field(max_length=40)] = ""
    gender: Gender = Gender.UNKNOWN
    good_with_kids: bool = False
    price: Annotated[Price, Field(examples=["199.99"])]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    stock: Annotated[int, Field(ge=0, le=1_000_000, examples=[3])] | None = None
    temperament: Annotated[list[Trait], Field(max_length=20)] = Field(default_factory=list)
    description: Annotated[Text, Field(max_length=2000)] = ""
    status: PetStatus | None = None
    medical_info: NewMedicalInfo = NewMedicalInfo()

    @classmethod
    def document(cls, pet: Pet) -> dict[str, Any]:
        """Return the JSON document that a merge patch of this pet changes.

        Without its status, which is left to its stock, and without that: what isn't patched stays, even where cancelled orders have
        put back more than anybody may set.
        """
        own = cls.model_fields.keys() - {"price", "medical_info", "status", "stock"}
        known = {str(cls.model_fields[name].alias): getattr(pet, name) for name in own}
        return known | {"price": render_money(pet.price_cents), "medicalInfo": dict(pet.medical)}

    def details(self) -> PetDetails:
        """Return the pet as the shop takes it."""
        known: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields.keys() - {"price", "medical_info"}}
        known |= {"temperament": tuple(self.temperament), "medical": self.medical_info.model_dump(by_alias=True)}
        return PetDetails(**known, price_cents=int(self.price * 100))


class _Patch(_PetBody):
    media_types: ClassVar[tuple[str, ...]] = ("application/merge-patch+json", "application/json")


def _patch_of(model: type[B], base: type[B], **changed: Any) -> type[B]:
    """Return a model of merge patches for the documents of `model`: any member may be missing, or null, which removes it.

    One that must be there can't be removed.
    """
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        annotation: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        kind = changed.get(name, annotation)
        fields[name] = (kind if info.is_required() else kind | None, Field(default=None, examples=info.examples))
    return create_model(f"{model.__name__.removeprefix('New')}Patch", __base__=base, __doc__="What to change.", **fields)


PetPatch = _patch_of(NewPet, _Patch, medical_info=_patch_of(NewMedicalInfo, Body))
