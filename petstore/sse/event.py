"""What an event is, and its bytes on the wire: WHATWG HTML section 9.2, "Server-sent events".

Pure: no sockets, no database, no clock. Must not know what an event is about.

Two things here differ on purpose from what most servers send:

1. The fields go out in the order `event`, `data`, `id`. Some clients commit an id when they read its line; an id ahead of
   its data would then skip the event whenever the connection is cut between the two.
2. A comment or a `retry:` is one line with no blank line after it. Some clients make an empty event of that blank line.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from petstore.sse.error import InvalidEvent

DEFAULT_TYPE = "message"
"""The type that the standard gives to an event without a name; we never write it out."""

COMPLETE = "complete"
"""The type of the last event of a topic that ends well. Nothing follows it on its topic."""

ERROR = "error"
"""The type of the last event of a topic that ends badly; and of the control event that ends a stream, which has no id."""

ENDINGS = frozenset({COMPLETE, ERROR})

_LINE_END = re.compile("\r\n|\r|\n")
_UNSAFE = re.compile("[\r\n\0]")


class Dialect(Protocol):
    """Another way to write a stream than ours, for clients that know only that one.

    A value: equal dialects write the same bytes. What it returns is whole lines; a frame may be empty.
    """

    def begin(self) -> bytes:
        """Return what the stream begins with."""

    def frame(self, event: "Event") -> bytes:
        """Return what stands for an event."""

    def control(self, type: str, data: Mapping[str, Any]) -> bytes:
        """Return what stands for a control event (`gap`, `goodbye`, `error`)."""


class Form(NamedTuple):
    """How one stream wants its events: with their names or all unnamed; with the topic put into the data or not.

    `topic_suffix` is left out of a topic that ends with it: it sorts topics on our side, and means nothing to the client.
    A `dialect` writes them in another way altogether.
    """

    named: bool = True
    with_topic: bool = False
    topic_suffix: str = ""
    dialect: Dialect | None = None

    def shown(self, topic: str) -> str:
        """Return the topic as the client knows it."""
        return topic.removesuffix(self.topic_suffix)


PLAIN = Form()
"""Named, and without the topic: what a client gets that asks for nothing else."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that has no id yet: what the log is given. Raises InvalidEvent for a type that can't be put on the wire.

    Here and not only in `encode`: once such an event was in the log, every stream of its topic would fail on it for ever.
    """

    topic: str
    type: str
    data: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check_line("type", self.type)


@dataclass(frozen=True, slots=True)
class Event:
    """A durable event: `id` in microseconds since 1970, `data` as one line of JSON text (an object).

    `type` is `message` for an event that goes out unnamed.
    """

    id: int
    topic: str
    type: str
    data: str
    _frames: dict[Form, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ends(self) -> bool:
        """Whether nothing follows on the event's topic."""
        return self.type in ENDINGS

    def value(self) -> Mapping[str, Any]:
        """Return the data as Python values, which are shared and must not be changed."""
        return _parse(self.data)

    def encode(self, form: Form) -> bytes:
        """Return the event's frame. It is built once for each form, however many streams send it."""
        frame = self._frames.get(form)
        if frame is None and form.dialect is not None:
            frame = self._frames[form] = form.dialect.frame(self)
        elif frame is None:
            data = self._data_with_topic(form.shown(self.topic)) if form.with_topic else self.data
            # An `error` too: by its id a client is known to have had it. Without one it would get it again for ever.
            frame = self._frames[form] = encode(self.type if form.named else DEFAULT_TYPE, data, self.id)
        return frame

    def _data_with_topic(self, topic: str) -> str:
        rest = self.data[1:].lstrip()
        return '{"topic":' + json.dumps(topic) + ("" if rest.startswith("}") else ",") + rest


@lru_cache(maxsize=1024)
def _parse(data: str) -> Mapping[str, Any]:
    # Every filter of every stream asks for the value of the same new events.
    value: Mapping[str, Any] = json.loads(data)
    return value


def dump(data: Mapping[str, Any]) -> str:
    """Return `data` as JSON on one line: compact, and readable in any script."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate can reach us through JSON escapes; neither a database nor a client could take it.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def encode(type: str, data: str, id: int | None = None) -> bytes:
    """Return one frame. `id` None makes a control event, which moves no cursor.

    Raises InvalidEvent for a type that would break out of its line. Data may hold line ends: each line gets its own field.
    """
    _check_line("type", type)
    parts = [] if type in ("", DEFAULT_TYPE) else [f"event: {type}\n"]
    parts += [f"data: {line}\n" for line in _LINE_END.split(data)]
    if id is not None:
        parts.append(f"id: {id}\n")
    parts.append("\n")
    # `dump` leaves no lone surrogate, but data may come from elsewhere, and it must not stop the stream for everybody else.
    return "".join(parts).encode("utf-8", "replace")


def encode_control(type: str, data: Mapping[str, Any], form: Form = PLAIN) -> bytes:
    """Return the frame of a control event (`gap`, `goodbye`, `error`): it carries no id, so no client can resume from it.

    A client that wants no names finds the type in the data, as `event`: it must be able to tell a gap from an event.
    """
    if form.dialect is not None:
        return form.dialect.control(type, data)
    return encode(type, dump(data)) if form.named else encode(DEFAULT_TYPE, dump({"event": type, **data}))


def encode_comment(text: str) -> bytes:
    """Return a comment line. Raises InvalidEvent when `text` is not one line."""
    _check_line("comment", text)
    return f": {text}\n".encode("utf-8", "replace")


def encode_retry(retry_ms: int) -> bytes:
    """Return the line that tells a client how long to wait before it reconnects, in milliseconds."""
    return b"retry: %d\n" % retry_ms


def encode_start(retry_ms: int, form: Form = PLAIN) -> bytes:
    """Return what a stream begins with: how long to wait before a reconnection, and a comment."""
    return encode_retry(retry_ms) + encode_comment("open") if form.dialect is None else form.dialect.begin()


def _check_line(field: str, text: str) -> None:
    if _UNSAFE.search(text):
        raise InvalidEvent(field)
