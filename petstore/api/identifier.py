"""Ids as clients write them: checked, and brought to the form in which they are stored.

Must not look anything up. Each check raises ValueError with what the id must be.
"""

import re

from petstore.shop import is_uuid

# Eighteen digits, so that no text is long only because it's digits.
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
