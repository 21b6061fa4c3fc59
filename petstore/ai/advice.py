"""What the embedded advisor says: sentences made from facts that were looked up.

Pure. Must not claim what it wasn't given: each word about a pet is one of the pet's own facts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from petstore.ai.care import SUBJECTS, read_care
from petstore.ai.understanding import Aim, Request
from petstore.shop import Pet, PetStatus, Species, SpeciesStock, Wishes, render_money

Link = Callable[[str], str]

CAN = (
    "I can tell you about the pets of this shop: what is in stock and what it costs, how to care for each kind of animal, "
    "one pet by its name, and who would suit you. "
)


@dataclass(frozen=True, slots=True)
class Advice:
    """A piece of text, and the pets that it speaks of."""

    text: str
    pets: tuple[Pet, ...] = ()


def introduce(aim: Aim) -> Iterator[Advice]:
    """Say what we can do, and first that we haven't understood, where that is so."""
    yield Advice("Hello! " if aim is Aim.GREETING else "I'm a small advisor that works by rules, and I didn't understand that. ")
    yield Advice(CAN)
    yield Advice("Try: a quiet cat for a flat with a child.")


def refuse(aim: Aim) -> Iterator[Advice]:
    """Say what we can't do, and who can."""
    if aim is Aim.VET:
        yield Advice("I can't judge an animal's health. ")
        yield Advice("Please call a vet, and at once if it bleeds, has eaten something poisonous or doesn't breathe well.")
    else:
        yield Advice("I can't see orders, payments, accounts or anything else about customers, and I can't change anything. ")
        yield Advice("Your order has its own page, which its link leads to. ")
        yield Advice(CAN.rstrip())


def present(pets: Sequence[Pet], request: Request, link: Link) -> Iterator[Advice]:
    """Tell about pets that were asked for by name."""
    for number, pet in enumerate(pets):
        start = "\n\n" if number else ""
        yield Advice(f"{start}[{pet.name}]({link(pet.id)}) is {_a(_looks(pet))}. ", (pet,))
        yield Advice(f"{_sentence(_list([*pet.temperament]), _children(pet))}. {_sentence(_offer(pet))}. ")
        yield Advice(pet.description)
        for subject in request.subjects:
            yield Advice(f" {read_care()[pet.species][subject]}")


def tell_care(request: Request, pets: Sequence[Pet], link: Link) -> Iterator[Advice]:
    """Tell what keeping animals of some species takes."""
    for number, species in enumerate(request.wishes.all_species):
        start = "\n\n" if number else ""
        yield Advice(f"{start}{_plural(species).capitalize()}: ")
        for subject in request.subjects or SUBJECTS:
            yield Advice(f"{read_care()[species][subject]} ")
    yield Advice("This is general advice; a vet knows your animal better.")
    if pets:
        yield Advice("\n\nIn the shop now:")
        yield from _lines(pets, link)


def list_stock(stock: Sequence[SpeciesStock], request: Request) -> Iterator[Advice]:
    """Tell what is for sale."""
    if not stock:
        asked = _list([_plural(species) for species in request.wishes.species], "or")
        yield Advice(f"I'm sorry: there are no {asked or 'pets'} in stock at the moment.")
        return
    yield Advice("For sale now:")
    for line in stock:
        price = _money(line.lowest_cents, line.currency)
        if line.highest_cents > line.lowest_cents:
            price += f" to {_money(line.highest_cents, line.currency)}"
        yield Advice(f"\n- {_plural(line.species)}: {line.kinds} to choose from, {line.stock} in stock, {price}")


def advise(request: Request, pets: Sequence[Pet], link: Link) -> Iterator[Advice]:
    """Show who matches what was wished for, or comes nearest, and say what is missing; or say that nobody does."""
    wishes = request.wishes
    wanted = _wanted(request, pets)
    if not pets:
        yield Advice(f"I'm sorry: nothing in stock fits {wanted}. ")
        yield Advice("Tell me what matters less, and I'll look again.")
        return
    unmet, unmatched = _unmet(wishes, pets), _unmatched(wishes, pets)
    above_price = wishes.max_price_cents is not None and all(pet.price_cents > wishes.max_price_cents for pet in pets)
    if unmet or above_price:
        yield Advice(f"Nothing in stock fits {wanted}. The nearest{' above that price' if above_price else ''}:")
    else:
        yield Advice(f"From what is in stock, for {wanted}:")
    yield from _lines(pets, link)
    if unmet or unmatched:
        yield Advice(f"\n\nNone of them is known to be {_list([*unmet, *unmatched], 'or')}.")
    if request.companions:
        yield Advice("\n\nHow they get on with other animals isn't known to me.")


def _unmet(wishes: Wishes, pets: Sequence[Pet]) -> list[str]:
    """Return what must be met, and none of the pets meets."""
    unmet = [] if any(_has(pet, word) for pet in pets for word in wishes.words) else [*wishes.words]
    if not any(pet.species in wishes.species or _is_of(pet, kind) for pet in pets for kind in wishes.kinds):
        unmet += [_a(words[0]) for _, words in wishes.kinds]
    if wishes.max_age_months is not None and all(pet.age_months > wishes.max_age_months for pet in pets):
        unmet.append(f"at most {_age(wishes.max_age_months)} old")
    return unmet


def _unmatched(wishes: Wishes, pets: Sequence[Pet]) -> list[str]:
    """Return what decides who comes first, and none of the pets has."""
    known = {trait.lower() for pet in pets for trait in pet.temperament}
    sizes = [] if any(pet.size in wishes.sizes for pet in pets) else [size.lower() for size in wishes.sizes]
    return [*sizes, *(trait for trait in wishes.temperament if trait not in known)]


def _has(pet: Pet, word: str) -> bool:
    return any(word in text.lower() for text in (pet.name, pet.breed, pet.color))


def _is_of(pet: Pet, kind: tuple[Species, tuple[str, ...]]) -> bool:
    species, words = kind
    return pet.species is species and any(word in pet.breed.lower() for word in words)


def _lines(pets: Sequence[Pet], link: Link) -> Iterator[Advice]:
    for pet in pets:
        facts = (_looks(pet), _list([*pet.temperament]), _children(pet), _offer(pet))
        yield Advice(f"\n- [{pet.name}]({link(pet.id)}): {'; '.join(filter(None, facts))}", (pet,))


def _wanted(request: Request, pets: Sequence[Pet]) -> str:
    wishes = request.wishes
    # Where no pet has all of the words, and some have one, any of them was looked for.
    found = [[_has(pet, word) for word in wishes.words] for pet in pets]
    words = _list(wishes.words, "or") if any(map(any, found)) and not any(map(all, found)) else " ".join(wishes.words)
    nouns = [*map(_singular, wishes.species), *(kind[0] for _, kind in wishes.kinds)]
    noun = _list(nouns, "or") or ("" if words else "pet")
    sizes = _list([size.lower() for size in wishes.sizes], "or")
    parts = [_a(" ".join(filter(None, [*wishes.temperament, sizes, words, noun])))]
    if request.flat:
        parts.append("for a flat")
    if wishes.good_with_kids:
        parts.append("good with children")
    if wishes.max_age_months is not None:
        parts.append(f"at most {_age(wishes.max_age_months)} old")
    if wishes.max_price_cents is not None:
        parts.append(f"up to {_money(wishes.max_price_cents)}")
    excluded = [_a(kind[0] if kind else _singular(species)) for species, kind in wishes.unwanted]
    if nots := [*excluded, *wishes.avoid, *wishes.without]:
        parts.append(f"not {_list(nots, 'or')}")
    return ", ".join(parts)


def _a(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in tuple('aeiou') else 'a'} {noun}"


def _looks(pet: Pet) -> str:
    facts = f"{_singular(pet.species)}, {pet.size.lower()}, {_age(pet.age_months)}"
    return f"{pet.breed} ({facts})" if pet.breed else facts


def _children(pet: Pet) -> str:
    return "good with children" if pet.good_with_kids else "not for a home with children"


def _offer(pet: Pet) -> str:
    if not pet.stock:
        return "sold out at the moment"
    if pet.status is not PetStatus.AVAILABLE:
        return "not for sale at the moment"
    return f"{_money(pet.price_cents, pet.currency)}, {pet.stock} in stock"


def _age(months: int) -> str:
    years, rest = divmod(months, 12)
    parts = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in ((years, "year"), (rest, "month")) if count]
    return " ".join(parts) or "newborn"


def _sentence(*parts: str) -> str:
    text = "; ".join(filter(None, parts))
    return text[:1].upper() + text[1:]


def _money(cents: int, currency: str = "USD") -> str:
    amount = render_money(cents)
    return f"${amount}" if currency == "USD" else f"{amount} {currency}"


def _list(words: Sequence[str], joint: str = "and") -> str:
    return f"{', '.join(words[:-1])} {joint} {words[-1]}" if len(words) > 1 else "".join(words)


def _singular(species: Species) -> str:
    return "small animal" if species is Species.OTHER else species.lower()


def _plural(species: Species) -> str:
    return f"{_singular(species)}s"
