"""How values look on the wire: money as decimal text, moments in RFC 3339, pages with their links.

Must not know what is being shown.
"""

from datetime import UTC, datetime
from typing import Any

from flask import request, url_for

from petstore.shop import Page


def render_money(cents: int) -> str:
    """Return an amount as `299.99`. Text, because a binary fraction can't hold it."""
    return f"{cents // 100}.{cents % 100:02d}"


def render_moment(moment: datetime) -> str:
    """Return a moment as `2026-03-13T10:30:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def render_pagination(page: Page[Any]) -> dict[str, int]:
    """Return where in its list a page is."""
    return {
        "page": page.page,
        "limit": page.limit,
        "totalItems": page.total_items,
        "totalPages": page.total_pages,
    }


def render_links(page: Page[Any], filters: tuple[str, ...] = ()) -> dict[str, str | None]:
    """Return links from the requested page to its neighbours, with those of the query's `filters` that were given."""
    kept: dict[str, Any] = {name: request.args[name] for name in filters if name in request.args}
    last = max(page.total_pages, 1)

    def link(number: int) -> str:
        return url_for(str(request.endpoint), **kept, page=number, limit=page.limit)

    return {
        "self": link(page.page),
        "next": link(page.page + 1) if page.page < last else None,
        # From beyond the end, back to the last page that there is.
        "prev": link(min(page.page - 1, last)) if page.page > 1 else None,
        "first": link(1),
        "last": link(last),
    }
