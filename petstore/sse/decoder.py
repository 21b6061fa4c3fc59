"""The other direction: bytes from a stream into events, as WHATWG HTML section 9.2.6 says a client must read them.

Pure, and incremental: bytes may be cut anywhere, even inside a UTF-8 sequence or between CR and LF. Must not do I/O.
Lines and events are two machines: `_Lines` knows only line ends, `Decoder` only fields.
"""

import codecs
import re
from dataclasses import dataclass, field

from petstore.sse.event import DEFAULT_TYPE

_RETRY = re.compile("[0-9]{1,15}")
"""More digits are nobody's waiting time, and Python refuses to read some thousands of them as a number."""


@dataclass(frozen=True, slots=True)
class Received:
    """One event as a client sees it: `last_event_id` is the latest id on the stream, which need not be this event's own."""

    type: str
    data: str
    last_event_id: str


class _Lines:
    """Cuts decoded text into lines that end with LF, CR or CRLF."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest: list[str] = []
        self._first = True
        self._after_return = False

    def feed(self, chunk: bytes) -> list[str]:
        text = self._decode(chunk)
        if not text:
            return []
        if self._first:
            self._first = False
            text = text.removeprefix("\ufeff")
        if self._after_return and text.startswith("\n"):
            text = text[1:]
            self._after_return = False
        if text:
            self._after_return = text.endswith("\r")
        # A loop of str.splitlines would also cut at U+2028 and its like, which are data here.
        first, *others = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        # In pieces until its end is there: joining a line of megabytes again with every chunk would take minutes.
        self._rest.append(first)
        if not others:
            return []
        lines = ["".join(self._rest), *others]
        self._rest = [lines.pop()]
        return lines


@dataclass
class Decoder:
    """Give it bytes, it returns the events that they complete.

    `last_event_id`, `retry_ms` and `comments` (how many) tell what the stream has said so far besides events.
    """

    last_event_id: str = ""
    retry_ms: int | None = None
    comments: int = 0
    _lines: _Lines = field(default_factory=_Lines, repr=False)
    _type: str = ""
    _data: list[str] = field(default_factory=list, repr=False)
    _id: str | None = None

    def feed(self, chunk: bytes) -> list[Received]:
        """Take the next bytes and return the events that are complete now, oldest first."""
        events = []
        for line in self._lines.feed(chunk):
            if line:
                self._take(line)
            else:
                event = self._dispatch()
                if event is not None:
                    events.append(event)
        return events

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "":
            self.comments += 1
        elif name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and _RETRY.fullmatch(value):
            self.retry_ms = int(value)

    def _dispatch(self) -> Received | None:
        if self._id is not None:
            self.last_event_id = self._id
        event = None
        if self._data:
            event = Received(self._type or DEFAULT_TYPE, "\n".join(self._data), self.last_event_id)
        self._type, self._data, self._id = "", [], None
        return event
