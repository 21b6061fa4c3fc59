"""Operations: what a view takes, answers and needs, said once, beside it. Input is parsed by the models that describe it.

The description costs a request nothing: models are compiled when the module is imported, and the document is made of
operations only when somebody asks for it. Must not know a view's business, nor the form of the document.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeVar

from petstore.api.access import authorize
from petstore.api.body import Body
from petstore.api.parameter import Header, Path, Query
from petstore.api.wire import Representation

View = TypeVar("View", bound=Callable[..., Any])


Events = Mapping[str, tuple[type[Representation], ...]]
"""By the type of an event, the models of which one is its data."""


@dataclass(frozen=True, slots=True)
class EventStream:
    """The content of a stream: its events, beside the control events of every stream.

    `with_topic`: the data also names its topic.
    """

    events: Events
    with_topic: bool = False


@dataclass(frozen=True, slots=True)
class Chunks:
    """The content of a stream of unnamed events without ids: each one's data is one of these models, or one of these words."""

    models: tuple[type[Representation], ...]
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which an operation succeeds: what its body is, None where it has none, and its headers."""

    content: type[Representation] | EventStream | str | None = None
    """A model; the events of a stream; a media type, where the body is just that."""

    headers: Sequence[Header] = ()
    description: str = ""
    chunks: Chunks | None = None
    """The content's other form, for whoever asks for a stream."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A decorator under the route's: it describes the view, and hands it what it takes as keyword arguments.

    That is `query` and `body` where there are models for them, and the variables of the path by their names.
    """

    id: str
    _: KW_ONLY
    answers: Mapping[int, Answer | type[Representation] | None]
    """How it can succeed, by status. An answer that is only a body, or only its status, needs no Answer."""

    problems: Sequence[int] = ()
    """The statuses that follow from what the view does, such as 404 and 409; those that follow from what it takes are known."""

    path: type[Path] | None = None
    query: type[Query] | None = None
    body: type[Body] | None = None
    body_optional: bool = False
    headers: Sequence[Header] = ()
    """What the view reads of the request's headers, for the description."""

    scopes: Sequence[str] = ()
    guests: bool = False
    linked: bool = False
    """These three: see `authorize`."""

    either: Sequence[str] = ()
    """Scopes of which one is needed; which, depends on what is asked for, so that it's for the view to see to."""

    def __call__(self, view: View) -> View:
        path, query, body = self.path, self.query, self.body

        @functools.wraps(view)
        def handle(**variables: str) -> Any:
            authorize(self.scopes, guests=self.guests, linked=self.linked)
            arguments: dict[str, Any] = {} if path is None else path.read(variables)
            if query is not None:
                arguments["query"] = query.read()
            if body is not None:
                arguments["body"] = body.read(optional=self.body_optional)
            return view(**arguments)

        handle.operation = self  # type: ignore[attr-defined]
        return handle  # type: ignore[return-value]


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """Return what was said about a view, or None where nothing was."""
    return getattr(view, "operation", None)
