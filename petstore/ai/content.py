"""A plain content-based recommender: it compares pets with what a customer has said and liked.

Deterministic, so that a run which another worker takes over goes on as it began. Must not do I/O.
"""

from collections.abc import Iterator, Sequence

from petstore.ai.recommender import Recommendation
from petstore.shop import Customer, Pet

SPECIES, SIZE, TEMPERAMENT, LIKENESS, PRICE, KIDS = 0.35, 0.10, 0.20, 0.20, 0.10, 0.05
"""What each ground for a recommendation weighs. They add up to 1, so a score lies in [0, 1]."""


class ContentRecommender:
    """See `recommender.Recommender` for the contract."""

    def recommend(self, customer: Customer, pets: Sequence[Pet], limit: int) -> Iterator[Recommendation]:
        liked = [pet for pet in pets if pet.id in customer.likes]
        candidates = [pet for pet in pets if pet.stock > 0 and pet.id not in customer.likes]
        rated = sorted(((_rate(customer, pet, liked), pet) for pet in candidates), key=lambda pair: (-pair[0][0], pair[1].id))
        for (score, reason), pet in rated[:limit]:
            yield Recommendation(pet.id, pet.name, round(score, 2), reason)


def _rate(customer: Customer, pet: Pet, liked: Sequence[Pet]) -> tuple[float, str]:
    """Return the score and the reason that weighed most."""
    wish = customer.preferences
    shared = sorted(set(wish.temperament) & set(pet.temperament))
    likeness, like = max(((_likeness(pet, other), other.name) for other in liked), default=(0.0, ""))
    affordable = wish.max_price_cents is not None and pet.price_cents <= wish.max_price_cents
    grounds = [
        (SPECIES * (pet.species in wish.species), f"Matches your preference for {_plural(pet)}"),
        (LIKENESS * likeness, f"Similar to {like}, whom you liked"),
        (
            TEMPERAMENT * len(shared) / max(1, len(wish.temperament)),
            f"{' and '.join(shared).capitalize()}, as you prefer",
        ),
        (SIZE * (pet.size in wish.sizes), f"{pet.size.capitalize()}, the size you prefer"),
        (PRICE * affordable, "Within your budget"),
        (KIDS * (wish.good_with_kids is True and pet.good_with_kids), "Good with children, as you asked"),
    ]
    weight, reason = max(grounds, key=lambda ground: ground[0])
    return sum(weight for weight, _ in grounds), reason if weight > 0 else "In stock now"


def _likeness(pet: Pet, other: Pet) -> float:
    """Return how alike two pets are, in [0, 1]."""
    traits = set(pet.temperament) | set(other.temperament)
    shared = len(set(pet.temperament) & set(other.temperament)) / max(1, len(traits))
    return 0.5 * (pet.species == other.species) + 0.15 * (pet.breed == other.breed) + 0.15 * (pet.size == other.size) + 0.2 * shared


def _plural(pet: Pet) -> str:
    return {"OTHER": "small animals"}.get(pet.species, f"{pet.species.lower()}s")
