"""Conditional requests (RFC 9110 section 13): ETags, 304 for what a client has already, 412 against lost updates.

An entity tag is the moment of the resource's last change, of which no two states of it have the same. (It's strong although the
signed links in a body are made anew for each answer: they aren't the resource's state. A client that compares tags keeps those it
has, for as long as they are good; a cache keeps none.)
What If-Match and If-None-Match ask of a change is answered in its transaction, so that nothing can come between. Must not know
which resources there are.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Protocol, TypeVar

from flask import Response, request
from pydantic import Field
from werkzeug.http import quote_etag

from petstore.api.error import PreconditionFailed
from petstore.api.parameter import Header
from petstore.api.tenant import requested_shop, together
from petstore.api.wire import Representation, respond
from petstore.shop import Shop, from_datetime

T = TypeVar("T")

_Tag = Annotated[str, Field(examples=['"1795377599860484"'])]

ETAG = Header("ETag", _Tag, "The version of what is shown.")
IF_MATCH = Header("If-Match", str, "Change only this version, as its `ETag` named it; another one is 412.")
IF_NONE_MATCH = Header("If-None-Match", str, "Show only another version than this one, which is 304.")


class Versioned(Protocol):
    """What has a version: the moment of its last change."""

    @property
    def updated_at(self) -> datetime:
        """The moment of its last change, which is later than that of any change before."""


def tagged(
    resource: Versioned, representation: Representation, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return what represents a resource, with its ETag; 304 and no body for a GET by a client that has this version."""
    tag = _tag(resource)
    if request.method in ("GET", "HEAD") and request.if_none_match.contains_weak(tag):
        return Response(status=304, headers={"ETag": quote_etag(tag)})
    return respond(representation, status, {"ETag": quote_etag(tag), **(headers or {})})


def if_matches(read: Callable[[Shop], Versioned], change: Callable[[Shop], T]) -> T:
    """Return what `change` returns; made only if what `read` returns is of a version that the client's If-Match names, and of none
    that its If-None-Match does.

    Both happen in one transaction. Without these headers `change` is simply made. Raises PreconditionFailed.
    """
    # Without a tag that can be read, it names no version.
    wanted = request.if_match if "If-Match" in request.headers else None
    unwanted = request.if_none_match
    if wanted is None and not unwanted:
        return change(requested_shop())

    def compare_and_change(shop: Shop) -> T:
        tag = _tag(read(shop))
        if (wanted is not None and not wanted.contains(tag)) or unwanted.contains_weak(tag):
            raise PreconditionFailed(quote_etag(tag))
        return change(shop)

    return together(compare_and_change)


def _tag(resource: Versioned) -> str:
    return str(from_datetime(resource.updated_at))
