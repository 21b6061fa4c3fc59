"""Ids as clients write them: checked, and brought to the form in which they are stored.

Must not look anything up. Each check raises ValueError with what the id must be.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from petstore.shop import is_uuid

UUID_PATTERN = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

# Up to eighteen digits: no text is an id, however long, only because it's digits.
_DEMO_CUSTOMER = re.compile(r"user-[0-9]{1,18}")


def read_uuid(text: str) -> str:
    """Return the id of a pet, an order or a run. Capitals are accepted; our own ids have none."""
    if not is_uuid(text):
        raise ValueError("must be a UUID")
    return text.lower()


def read_customer_id(text: str) -> str:
    """Return the id of a customer: a UUID, or one of the public demo customers, such as `user-456`."""
    if _DEMO_CUSTOMER.fullmatch(text):
        return text
    if not is_uuid(text):
        raise ValueError("must be a UUID, or user- and digits")
    return text.lower()


EXAMPLE_ID = "019b4127-e295-7be4-976e-b77988a8b015"
"""Of a pet that the demo shop has."""

PetId = Annotated[str, AfterValidator(read_uuid), WithJsonSchema({"type": "string", "format": "uuid", "examples": [EXAMPLE_ID]})]
OrderId = Annotated[str, AfterValidator(read_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
CustomerId = Annotated[
    str,
    AfterValidator(read_customer_id),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^(?:user-[0-9]{{1,18}}|{UUID_PATTERN})$",
            "description": "A UUID, or one of the public demo customers.",
            "examples": ["user-456"],
        }
    ),
]
