"""Rate limits: so many requests a minute for each address and for each user, and far fewer passwords.

Counted when a request comes, on all workers of a machine together and for each tenant by itself. Must not touch a stream that is
open, however long it lasts: it was one request.
"""

import math
import time
from dataclasses import dataclass

from flask import Flask, g, request
from werkzeug import Response

from petstore.api.access import current_caller
from petstore.api.address import client_address
from petstore.api.error import InvalidRequest, RateLimited
from petstore.api.services import services
from petstore.api.tenant import requested_tenant
from petstore.api.windows import WINDOW_S
from petstore.shop import SHARED

PREFIX = "/v1/"
"""What is limited. Health and metrics are not: whoever watches the server must see it most when it's busy."""

MANY = 10
"""Each tenant has its own rates; an address has so many times the limit over all tenants, which anybody can make up."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What is left of a limit: `remaining` of `limit` until `reset`, in seconds since 1970."""

    limit: int
    remaining: int
    reset: int


def register_rate_limits(app: Flask) -> None:
    """Count every request under /v1 but OPTIONS, refuse those that are too many, and tell each how many more there may be."""
    app.before_request(_spend)
    app.after_request(_tell)


def spend(name: str, limit: int, tenant: str | None = None) -> None:
    """Count the current request for `name` in `tenant`, which is the request's own unless another one is given.

    Raises RateLimited when that is more than `limit` in this minute; 0 is no limit.
    """
    if not limit:
        return
    now = time.time()
    window = int(now // WINDOW_S)
    count = services().windows.count(f"{_tenant() if tenant is None else tenant} {name}", window)
    reset = (window + 1) * WINDOW_S
    known = g._get_current_object()
    rate, tightest = Rate(limit, max(0, limit - count), reset), known.get("rate")
    if tightest is None or rate.remaining < tightest.remaining:
        known.rate = rate
    if count > limit:
        raise RateLimited(limit, max(1, math.ceil(reset - now)))


def spend_password(username: str | None = None) -> None:
    """Count a password for the current address, and for the username that it's tried for. Raises RateLimited."""
    limit = services().settings.sign_in_limit
    # Over all tenants: anybody may have as many of these as they like, and every password costs us the same work.
    spend(f"password {client_address()}", limit, SHARED)
    if username is not None:
        spend(f"password for {username}", limit)


def _spend() -> None:
    # OPTIONS is a browser's question ahead of a request: refused, the page would never learn why its request was.
    if not request.path.startswith(PREFIX) or request.method == "OPTIONS":
        return
    limit = services().settings.rate_limit
    address, tenant = client_address(), _tenant()
    spend(f"address {address}", limit, tenant)
    if tenant != SHARED:
        spend(f"address {address} in all", MANY * limit, SHARED)
    user_id = current_caller().user_id
    if user_id is not None:
        spend(f"user {user_id}", limit, tenant)


def _tell(response: Response) -> Response:
    rate: Rate | None = g.get("rate")
    if rate is not None:
        headers = response.headers
        # Nobody else sets these, so there is nothing to look for and replace.
        headers.add("RateLimit-Limit", str(rate.limit))
        headers.add("RateLimit-Remaining", str(rate.remaining))
        headers.add("RateLimit-Reset", str(rate.reset))
    return response


def _tenant() -> str:
    # One that can't be read is refused, but not before its request is counted.
    try:
        return requested_tenant()
    except InvalidRequest:
        return SHARED
