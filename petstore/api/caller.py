"""Callers: who somebody is by a bearer token, and what that token allows.

Must not know the request that brought it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from petstore.api import bearer
from petstore.api.bearer import Claims, Scope
from petstore.api.error import Forbidden, Unauthorized
from petstore.shop import Account, Role, Shop, find_account

SCOPES = {
    Role.CUSTOMER: frozenset(Scope) - {Scope.WRITE_PETS},
    Role.STAFF: frozenset(Scope),
}
"""What a token of somebody in this role allows."""

TRUST_S = 30.0
"""How long a token, or a link, that was good is taken to be good: so late, at the most, one of a closed account is noticed."""

MAX_TRUSTED = 4096
"""Tokens that a worker knows to be good. Whoever would know more begins anew, which costs each token one query."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, in the shop of `tenant`; nobody in particular when `user_id` is None."""

    tenant: str
    user_id: str | None = None
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    issued_at: int = 0
    """When the bearer token was issued, in microseconds since 1970."""

    @property
    def is_staff(self) -> bool:
        """Whether nothing in this shop is somebody else's business."""
        return self.role is Role.STAFF

    def is_or_serves(self, customer_id: str | None) -> bool:
        """Say whether what belongs to this customer, None for a guest, is the caller's to see by virtue of who they are."""
        return self.is_staff or (self.user_id is not None and self.user_id == customer_id)

    def need(self, *scopes: Scope) -> None:
        """Raise Forbidden unless the caller's token allows all of this."""
        missing = [scope for scope in scopes if scope not in self.scopes]
        if missing:
            raise Forbidden(missing)


class Trust:
    """The tokens and links that this worker has found good, so that a client's every request doesn't cost a check and a query."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        bearer.load()
        self._secret = secret
        self._clock = clock
        self._trusted: dict[str, tuple[Caller, float]] = {}
        self._makers: dict[tuple[str, str, int], float] = {}

    def caller(self, token: str, shop: Callable[[str], Shop]) -> Caller:
        """Return whose token this is; `shop` returns a tenant's. Raises Unauthorized."""
        caller, until = self._trusted.get(token, (None, 0.0))
        if caller is None or self._clock() >= until:
            claims = self._read(token)
            caller = _holder(shop(claims.tenant), claims)
            if len(self._trusted) >= MAX_TRUSTED:
                self._trusted.clear()
            self._trusted[token] = caller, min(self._clock() + TRUST_S, claims.expires_at)
        return caller

    def check_maker(self, shop: Shop, user_id: str, issued_at: int) -> None:
        """See that what was made by a bearer token of that user and moment is still good. Raises Unauthorized."""
        maker = (shop.tenant, user_id, issued_at)
        if self._clock() >= self._makers.get(maker, 0.0):
            check_now(shop, user_id, issued_at)
            if len(self._makers) >= MAX_TRUSTED:
                self._makers.clear()
            self._makers[maker] = self._clock() + TRUST_S

    def _read(self, token: str) -> Claims:
        try:
            return bearer.read(self._secret, token)
        except ValueError as error:
            raise Unauthorized(str(error), "invalid_token") from None


def _holder(shop: Shop, claims: Claims) -> Caller:
    account = check_now(shop, claims.user_id, claims.issued_at)
    return Caller(claims.tenant, claims.user_id, account.role, claims.scopes & SCOPES[account.role], claims.issued_at)


def check_now(shop: Shop, user_id: str, issued_at: int) -> Account:
    """Return the account of a user whose token of that moment is good, and not only was so lately. Raises Unauthorized."""
    account = find_account(shop, customer_id=user_id)
    if account is None or issued_at < account.tokens_from:
        raise Unauthorized("the token is void: the account was closed, or has a new password", "invalid_token")
    return account
