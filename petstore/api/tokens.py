"""Signing in: a username and a password for a bearer token."""

from typing import Annotated, Literal, Self

from flask import Blueprint, Response
from pydantic import Field

from petstore.api import bearer
from petstore.api.bearer import Claims, Scope
from petstore.api.body import Body
from petstore.api.caller import SCOPES
from petstore.api.error import Unauthorized
from petstore.api.identifier import CustomerId
from petstore.api.operation import Operation
from petstore.api.rate_limit import spend_password
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.api.wire import Moment, Representation, respond
from petstore.shop import MAX_PASSWORD, MAX_USERNAME, find_account, is_demo_account, now, to_datetime

blueprint = Blueprint("tokens", __name__, url_prefix="/v1/auth/tokens")


class Credentials(Body):
    """A username and its password."""

    username: Annotated[str, Field(min_length=1, max_length=MAX_USERNAME, examples=["catherine.m"])]
    password: Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD, examples=["petstore-demo"])]


class TokenRepresentation(Representation):
    """A bearer token: until `expiresAt` it goes into the header `Authorization: Bearer <token>`."""

    token: str
    token_type: Literal["Bearer"]
    expires_at: Moment
    user_id: CustomerId
    scopes: tuple[Scope, ...]

    @classmethod
    def of(cls, token: str, claims: Claims) -> Self:
        """Return a token with what it says."""
        return cls(
            token=token,
            token_type="Bearer",
            expires_at=to_datetime(claims.expires_at * 1_000_000),
            user_id=claims.user_id,
            scopes=tuple(sorted(claims.scopes)),
        )


@blueprint.post("")
@Operation("createToken", body=Credentials, answers={200: TokenRepresentation}, problems=[401])
def create(body: Credentials) -> Response:
    """Sign in.

    The token is good for a day, for the tenant that it was made in, and until the user's password changes. Passwords have a rate
    limit of their own, for each address and each username.
    """
    spend_password(body.username)
    # Before the account is read: where the password changes while it's checked, which may take seconds, the token is void.
    at = now()
    shop = requested_shop()
    account = find_account(shop, username=body.username)
    if account is not None and is_demo_account(account.customer_id) and not services().settings.demo:
        account = None  # Left from a demo: everybody knows its password.
    # Whoever the username belongs to, and if it's nobody's: the same work, the same answer.
    matching = services().passwords.matches(None if account is None else account.password_hash, body.password)
    if account is None or not matching:
        raise Unauthorized("there is no such username with this password")
    at = max(at, account.tokens_from)  # The clock may have been set back since the password was chosen.
    secret = services().settings.secret_key
    token, claims = bearer.issue(secret, account.customer_id, shop.tenant, SCOPES[account.role], at)
    # Whatever stands between must not keep it (RFC 6749 section 5.1).
    return respond(TokenRepresentation.of(token, claims), headers={"Cache-Control": "no-store"})
