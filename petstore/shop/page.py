"""One page of a long list. Must not know what is on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The items of page `page` (from 1) of a list that is cut into pages of `limit`; empty beyond its end."""

    items: Sequence[T]
    page: int
    limit: int
    total_items: int

    @property
    def total_pages(self) -> int:
        """How many pages there are; none for an empty list."""
        return -(-self.total_items // self.limit)
