"""How values look on the wire: representations, money as decimal text, moments in RFC 3339, pages with their links.

Must not know what is being shown.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Self, TypeVar

from flask import Response, request, url_for
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from petstore.shop import Page

T = TypeVar("T")


class Representation(BaseModel):
    """The base of what we answer: camelCase on the wire, members in the order of the model, all of them always there.

    A subclass makes itself of what the shop knows: `PetRepresentation.of(pet)`.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        extra="forbid",
        frozen=True,
        json_schema_serialization_defaults_required=True,
    )


def respond(representation: Representation, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a representation as the answer to the current request."""
    return Response(representation.model_dump_json(by_alias=True) + "\n", status, headers, content_type="application/json")


def no_content() -> Response:
    """Return a 204: an answer without a body, of which nothing is said."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def render_moment(moment: datetime) -> str:
    """Return a moment as `2026-03-13T10:30:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Money = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}$", examples=["299.99"])]
"""An amount as `petstore.shop.render_money` makes it."""

Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["USD"])]
"""A currency by its code (ISO 4217)."""

Uri = Annotated[str, Field(json_schema_extra={"format": "uri-reference"}, examples=["/v1/pets"])]
"""Where something is found on this server."""

Moment = Annotated[
    datetime,
    PlainSerializer(render_moment, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-13T10:30:00.000Z"]}),
]
"""A point in time, told in UTC to the millisecond."""


class Pagination(Representation):
    """Where in its list a page is."""

    page: Annotated[int, Field(ge=1)]
    limit: Annotated[int, Field(ge=1)]
    total_items: Annotated[int, Field(ge=0)]
    total_pages: Annotated[int, Field(ge=0)]

    @classmethod
    def of(cls, page: Page[Any]) -> Self:
        """Return the place of a page."""
        return cls(page=page.page, limit=page.limit, total_items=page.total_items, total_pages=page.total_pages)


class PageLinks(Representation):
    """From a page to its neighbours; `next` and `prev` are null where there is none."""

    self: str
    next: str | None
    prev: str | None
    first: str
    last: str

    @classmethod
    def of(cls, page: Page[Any], query: BaseModel) -> "PageLinks":
        """Return the links of the requested page, which keep the filters of its `query` that were given."""
        names = {str(field.alias) for field in type(query).model_fields.values()} - {"page", "limit"}
        # In the order in which the client gave them.
        kept: dict[str, Any] = {name: text for name, text in request.args.items() if name in names} | (request.view_args or {})
        last = max(page.total_pages, 1)

        def link(number: int) -> str:
            return url_for(str(request.endpoint), **kept, page=number, limit=page.limit)

        # From beyond the end, back to the last page that there is.
        prev = link(min(page.page - 1, last)) if page.page > 1 else None
        next_ = link(page.page + 1) if page.page < last else None
        return cls.model_validate({"self": link(page.page), "next": next_, "prev": prev, "first": link(1), "last": link(last)})


R = TypeVar("R", bound=Representation)


class Listing(Representation, Generic[R]):
    """A page of a list, with its neighbours."""

    data: list[R]
    pagination: Pagination
    links: PageLinks

    @classmethod
    def of(cls, page: Page[T], query: BaseModel, show: Callable[[T], R]) -> Self:
        """Return the page that `query` asked for, each item as `show` represents it."""
        return cls(data=[show(item) for item in page.items], pagination=Pagination.of(page), links=PageLinks.of(page, query))
