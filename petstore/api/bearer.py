"""Bearer tokens: JWTs (RFC 7519), signed with HMAC-SHA-256, that say who somebody is, in which shop, and what they may do.

Pure: text in, text out. Must not look anything up: whether the account still exists is for access to ask.
Deliberate: PyJWT is imported where it's used, and before that by `load`. It takes names out of ssl, and gunicorn's configuration
imports us before anything is patched for gevent: they would stay as they were.
"""

import hashlib
import hmac
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import uuid4

from petstore.api.identifier import read_customer_id, read_uuid

ALGORITHM = "HS256"
ISSUER = AUDIENCE = "petstore"

LIFETIME_S = 24 * 3600
"""How long a token is good, as the Modern PetstoreAPI says."""

MAX_LENGTH = 2048
"""Characters; ours have about 500. Nothing longer is worth the reading."""


class Scope(StrEnum):
    """What a token allows, by the Modern PetstoreAPI's names."""

    READ_PETS = "read:pets"
    WRITE_PETS = "write:pets"
    READ_ORDERS = "read:orders"
    WRITE_ORDERS = "write:orders"
    READ_USER = "read:user"
    WRITE_USER = "write:user"
    CHAT_WRITE = "chat:write"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. `tenant` is "" in the shop that all share.

    `issued_at` is in microseconds since 1970, to tell it from the moment of a new password; `expires_at` in seconds.
    """

    user_id: str
    tenant: str
    scopes: frozenset[Scope]
    issued_at: int
    expires_at: int


def load() -> None:
    """Import PyJWT now: that takes 5 ms, for which the first request with a token would hold up every stream."""
    import jwt  # noqa: F401


def issue(secret: str, user_id: str, tenant: str, scopes: Iterable[Scope], at: int) -> tuple[str, Claims]:
    """Return a token that was made at the moment `at`, in microseconds since 1970, and what it says."""
    import jwt

    claims = Claims(user_id, tenant, frozenset(scopes), at, at // 1_000_000 + LIFETIME_S)
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user_id,
        "tenant": tenant,
        "scope": " ".join(sorted(claims.scopes)),
        "iat": claims.issued_at / 1e6,
        "exp": claims.expires_at,
        "jti": str(uuid4()),
    }
    return jwt.encode(payload, derived_key(secret, "bearer"), ALGORITHM), claims


def read(secret: str, token: str) -> Claims:
    """Return what the token says. Raises ValueError with the reason when it isn't one of ours, or not any more."""
    import jwt

    if len(token) > MAX_LENGTH:
        raise ValueError("the token is malformed")
    try:
        payload = jwt.decode(
            token,
            derived_key(secret, "bearer"),
            # Only this one: a token that names its own algorithm, or none, must not choose how it is checked.
            [ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            # Not whether it was made in the future: the clock may have been set back since.
            options={"require": ["iss", "aud", "sub", "iat", "exp", "jti"], "verify_iat": False},
        )
        return _claims(payload)
    except jwt.ExpiredSignatureError:
        raise ValueError("the token has expired") from None
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, OverflowError):
        # Nothing of what it says: the reason would teach a forger.
        raise ValueError("the token is not one of ours") from None


def _claims(payload: Mapping[str, Any]) -> Claims:
    """Return claims of the types that ours have. Raises KeyError, ValueError, OverflowError."""
    types: Mapping[str, Container[type]] = {"sub": {str}, "tenant": {str}, "scope": {str}, "iat": {float, int}, "exp": {int}}
    # Not by isinstance, to which true is a number.
    if any(type(payload[name]) not in kinds for name, kinds in types.items()):
        raise ValueError("a claim is of a type that none of ours has")
    user_id, tenant = read_customer_id(payload["sub"]), payload["tenant"] and read_uuid(payload["tenant"])
    granted = frozenset(Scope(scope) for scope in payload["scope"].split())
    return Claims(user_id, tenant, granted, round(payload["iat"] * 1e6), payload["exp"])


def derived_key(secret: str, purpose: str) -> bytes:
    """Return the key for one purpose: what was signed for one is worth nothing for another."""
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)
