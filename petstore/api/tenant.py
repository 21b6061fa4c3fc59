"""Whose shop a request is for: the tenant in its header or its query, and the shop of that one.

A tenant is any UUID that a client makes up: in the demo it gets a copy of the demo shop at its first use. Must not know who
asks, nor what for.
"""

import shutil
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path as FilePath
from typing import Any, TypeVar

from flask import Flask, g, has_request_context, request
from gevent import get_hub

from petstore.api.error import InvalidRequest
from petstore.api.identifier import read_uuid
from petstore.api.parameter import Header
from petstore.api.services import services
from petstore.shop import SHARED, Shop, open_copy

T = TypeVar("T")

TENANT_ID = Header("X-Tenant-ID", str, "Whose petstore is meant: any UUID. Without it, the one that all share.")

_VARIABLE = "HTTP_" + TENANT_ID.name.upper().replace("-", "_")

PARAMETER = "tenantId"
"""The same in the query, where headers can't be set: in a browser's EventSource, and in links."""


SHARED_DIRECTORY = "shared"
"""In place of a tenant's id."""


def requested_tenant() -> str:
    """Return the tenant of the current request, or SHARED. Raises InvalidRequest."""
    # Each look through one of Flask's proxies takes a microsecond, and all that is done here is done in every request.
    known = g._get_current_object()
    tenant: str | None = known.get("tenant")
    if tenant is None:
        tenant = known.tenant = _read()
    return tenant


def requested_shop() -> Shop:
    """Return the shop that the current request is for, made first where the demo is on. Raises InvalidRequest, TooManyTenants."""
    known = g._get_current_object()
    shop: Shop | None = known.get("shop")
    if shop is None:
        parts = services()
        shop = Shop(parts.log, requested_tenant())
        if shop.tenant != SHARED and parts.settings.demo:
            removed = open_copy(shop)
            if removed is not None:
                get_hub().threadpool.apply(shutil.rmtree, (files_of(removed), True))
        known.shop = shop
    return shop


def files_of(tenant: str) -> FilePath:
    """Return the directory of the photos that a tenant's shop has."""
    return services().settings.var_directory / "images" / (tenant or SHARED_DIRECTORY)


def together(work: Callable[[Shop], T]) -> T:
    """Run `work` in one transaction of the requested shop, which it's handed, and must use no other.

    It may run in another thread than the request, and yet look at the request, and make links.
    """
    context = copy_context()
    return requested_shop().together(lambda shop: context.run(work, shop))


def register_tenant(app: Flask) -> None:
    """Make every link that a tenant's request is given lead back to that tenant's shop."""
    app.url_defaults(_add_tenant)


def _add_tenant(endpoint: str, values: dict[str, Any]) -> None:
    if has_request_context() and g.get("tenant"):
        values.setdefault(PARAMETER, g.tenant)


def _read() -> str:
    environ = request.environ
    header = environ.get(_VARIABLE)
    # Most requests have neither, and need not have their query taken apart to find that out.
    parameter = request.args.get(PARAMETER) if environ.get("QUERY_STRING") else None
    # All are checked, and the first wins, as with Last-Event-ID.
    given = ((TENANT_ID.name, header), (PARAMETER, parameter))
    return next(iter([_checked(name, text) for name, text in given if text is not None]), SHARED)


def _checked(name: str, text: str) -> str:
    try:
        return read_uuid(text)
    except ValueError as error:
        raise InvalidRequest.parameter(name, str(error)) from None
