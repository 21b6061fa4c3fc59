"""What one client wants to see, as a value: streams with equal selections are sent the same bytes.

Must not know what an event is about: `wanted` is the caller's.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from petstore.sse.event import PLAIN, Event, Form


@dataclass(frozen=True, slots=True)
class Selection:
    """The topics, the form of their events, and which of them are wanted (None: all; those that end a topic always are).

    `wanted` should be a value with an equality of its own: a lambda for each request would make each stream's bytes its own.
    """

    topics: tuple[str, ...]
    form: Form = PLAIN
    wanted: Callable[[Event], bool] | None = None

    def __post_init__(self) -> None:
        # Named twice, a topic would be told twice.
        object.__setattr__(self, "topics", tuple(dict.fromkeys(self.topics)))

    def frames(self, events: Collection[Event]) -> list[bytes]:
        """Return the frames of those of `events`, all of these topics, that this client is to see."""
        wanted, form = self.wanted, self.form
        frames = [event.encode(form) for event in events if wanted is None or event.ends or wanted(event)]
        return frames if form.dialect is None else [frame for frame in frames if frame]
