"""Signed links: tokens for the query of a URL, since a browser's EventSource can't send a header. Each opens one thing only.

Pure: text in, text out. Must not know routes, nor whether what a token opens exists.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from petstore.api.bearer import derived_key

MAX_LENGTH = 512
"""Characters; ours have 150 to 230."""

Power = Literal["follow", "own"]
"""`follow`: read it and its stream, for a day: it's in a URL, which others may come to see. `own`: all that its owner may."""

LIFETIMES_S: dict[Power, int] = {"follow": 24 * 3600, "own": 30 * 24 * 3600}
"""A guest has nothing else to come back to an order with, hence the month."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a token opens: `resource` is `orders/{id}`, `runs/{id}` or `users/{id}`, in the shop of `tenant`.

    Who made it with a bearer token is `user_id`, and `issued_at` when that one was issued (microseconds since 1970): the link is
    void when the bearer token is. A guest's has neither.
    """

    power: Power
    resource: str
    tenant: str
    user_id: str | None = None
    issued_at: int = 0


def sign(secret: str, link: Link) -> str:
    """Return a token for the link, good from now on for its power's lifetime."""
    return _serializer(secret, link.power).dumps([link.power, link.resource, link.tenant, *_maker(link)])


def read(secret: str, token: str) -> Link:
    """Return what the token opens. Raises ValueError with the reason when it isn't one of ours, or not any more."""
    if len(token) > MAX_LENGTH:
        raise ValueError("the link's token is not one of ours")
    for power, lifetime_s in LIFETIMES_S.items():
        try:
            _, *opened = _serializer(secret, power).loads(token, max_age=lifetime_s)
        except SignatureExpired:
            raise ValueError("the link has expired") from None
        except (BadSignature, ValueError, TypeError):
            continue
        return Link(power, *opened)
    raise ValueError("the link's token is not one of ours")


def _maker(link: Link) -> tuple[str, int] | tuple[()]:
    return () if link.user_id is None else (link.user_id, link.issued_at)


@lru_cache(maxsize=4)
def _serializer(secret: str, power: Power) -> URLSafeTimedSerializer:
    options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    return URLSafeTimedSerializer(derived_key(secret, "link"), salt=power, signer_kwargs=options)
