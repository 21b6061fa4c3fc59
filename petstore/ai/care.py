"""What keeping an animal takes, for each species: `care.json`, read once.

General knowledge, not advice for one animal: what a vet must say is not in here.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from petstore.shop import Species

SUBJECTS = ("food", "home", "exercise", "grooming", "company", "health", "lifespan")


@cache
def read_care() -> Mapping[Species, Mapping[str, str]]:
    """Return for each species a sentence or two on each of SUBJECTS."""
    content = json.loads(files("petstore.ai").joinpath("care.json").read_text("utf-8"))
    return {Species(species): sentences for species, sentences in content.items()}
