"""What a language model may do in this shop: look at pets that are for everybody to see. Nothing else, whoever asks it to.

A tool takes no customer and no order, and changes nothing; so whatever a message or a pet's description talks a model into, it
can't reach more than an anonymous visitor can. What goes wrong is told to the model as the tool's result: it may try again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from petstore.ai.care import read_care
from petstore.ai.lookup import Lookup
from petstore.shop import Pet, Shop, Species, Wishes, count_stock, find_matches, render_money, split_words

MAX_PETS = 10
"""Pets that a model is shown at once: each costs tokens."""

DESCRIBED = 400
"""Characters of a pet's description that a model is shown: it costs tokens, and staff may write anything."""


class SearchPets(BaseModel):
    """Search the pets that are for sale. All of what is given is met, but temperament, which decides the order."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=200, description="words of a name, a breed or a colour")] = ""
    species: Literal["DOG", "CAT", "RABBIT", "BIRD", "REPTILE", "OTHER"] | None = None
    temperament: Annotated[
        list[Annotated[str, Field(max_length=30)]], Field(max_length=8, description="such as quiet, calm, playful")
    ] = []
    good_with_kids: bool | None = None
    max_price: Annotated[float, Field(ge=0, le=1_000_000, description="in dollars")] | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_PETS)] = 5


class CountStock(BaseModel):
    """Tell what the shop has for sale: pets, stock and prices of each species."""

    model_config = ConfigDict(extra="forbid")


class GetCare(BaseModel):
    """Tell how to care for a species."""

    model_config = ConfigDict(extra="forbid")

    species: Literal["DOG", "CAT", "RABBIT", "BIRD", "REPTILE", "OTHER"]


_TOOLS: Mapping[str, type[BaseModel]] = {"search_pets": SearchPets, "count_stock": CountStock, "get_care": GetCare}


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool found: as text for the model, and the pets in it."""

    text: str
    pets: tuple[Pet, ...] = ()


def describe_tools() -> list[dict[str, Any]]:
    """Return the tools as OpenAI's API wants them described."""
    return [
        {
            "type": "function",
            "function": {"name": name, "description": model.__doc__ or "", "parameters": model.model_json_schema()},
        }
        for name, model in _TOOLS.items()
    ]


class Tools:
    """The tools of one shop."""

    def __init__(self, shop: Shop, lookup: Lookup) -> None:
        self._shop = shop
        self._lookup = lookup

    def call(self, name: str, arguments: str) -> Result:
        """Do what the model asks for, if it's ours to do. Raises LogUnavailable."""
        model = _TOOLS.get(name)
        if model is None:
            return Result(json.dumps({"error": f"there is no such tool; there are {', '.join(_TOOLS)}"}))
        try:
            asked = model.model_validate_json(arguments or "{}")
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            return Result(json.dumps({"error": f"wrong arguments: {problems[0]['msg']}"[:300]}))
        if isinstance(asked, SearchPets):
            return self._search(asked)
        if isinstance(asked, GetCare):
            return Result(json.dumps(dict(read_care()[Species(asked.species)])))
        lines = [
            {
                "species": line.species,
                "pets": line.kinds,
                "stock": line.stock,
                "from": line.lowest_cents / 100,
                "currency": line.currency,
            }
            for line in self._lookup.query(self._shop, lambda connection: count_stock(self._shop, connection))
        ]
        return Result(json.dumps(lines))

    def _search(self, asked: SearchPets) -> Result:
        wishes = Wishes(
            species=(Species(asked.species),) if asked.species else (),
            temperament=tuple(asked.temperament),
            good_with_kids=asked.good_with_kids or None,  # False says that it isn't needed, which excludes no pet.
            max_price_cents=None if asked.max_price is None else round(asked.max_price * 100),
            words=split_words(asked.text),
        )
        pets = self._lookup.query(self._shop, lambda connection: find_matches(self._shop, connection, wishes, asked.limit))
        return Result(json.dumps([describe_pet(pet) | {"description": pet.description[:DESCRIBED]} for pet in pets]), tuple(pets))


def describe_pet(pet: Pet) -> dict[str, Any]:
    """Return the facts of a pet that a model may know, without what staff wrote in their own words."""
    return {
        "petId": pet.id,
        "name": pet.name,
        "species": pet.species,
        "breed": pet.breed,
        "ageMonths": pet.age_months,
        "size": pet.size,
        "temperament": list(pet.temperament),
        "goodWithKids": pet.good_with_kids,
        "price": render_money(pet.price_cents),
        "currency": pet.currency,
        "stock": pet.stock,
    }
