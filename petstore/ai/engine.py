"""The boundary between an engine that answers in a chat and the run that streams its answer.

Two engines implement it: the embedded advisor, and a language model behind OpenAI's API. Must not know HTTP or runs.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from petstore.shop import Shop

EMBEDDED, MODEL = "embedded", "model"
"""The names of the two engines, as clients are told them."""

_TOKEN = re.compile(r"\w+|[^\w\s]")


class Role(StrEnum):
    """Who said something."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """A conversation so far, oldest message first, which wants an answer of up to `max_tokens`."""

    messages: tuple[Message, ...]
    max_tokens: int = 1024
    temperature: float = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """A pet that an answer speaks of."""

    pet_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that were read and written."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Ending:
    """The last item of every answer. `length` says that `max_tokens` cut it off."""

    finish_reason: Literal["stop", "length"]
    usage: Usage
    sources: tuple[Source, ...] = ()


class Halt:
    """Tells whoever works that nobody wants the result any more, from any thread or greenlet.

    It also tells whoever waits that the work goes on: `heard_at` is when it last gave a sign of life, `tokens` what it has cost.
    """

    def __init__(self) -> None:
        self.requested = False
        self.heard_at = time.monotonic()
        self.tokens = 0
        self._lock = threading.Lock()
        self._closers: list[Callable[[], object]] = []

    def hear(self, tokens: int = 0) -> None:
        """Note a sign of life, which has cost so many tokens."""
        self.heard_at = time.monotonic()
        self.tokens += tokens

    def request(self) -> None:
        """Stop the work: what `closing` was given is called here and now."""
        with self._lock:
            self.requested = True
            closers, self._closers = self._closers, []
        for close in closers:
            close()

    @contextmanager
    def closing(self, close: Callable[[], object]) -> Iterator[None]:
        """Inside, a request to halt calls `close`, which ends a wait that would otherwise last. It's always called in the end."""
        with self._lock:
            late = self.requested
            if not late:
                self._closers.append(close)
        try:
            if late:
                close()
            yield
        finally:
            with self._lock:
                if close in self._closers:
                    self._closers.remove(close)
            close()


class Engine(Protocol):
    """Answers what customers ask. `name` is EMBEDDED or MODEL."""

    name: str

    def answer(self, shop: Shop, question: Question, halt: Halt) -> Iterator[str | Ending]:
        """Yield the answer's text in pieces, each as soon as it's made and final, and in the end one Ending.

        Called in a greenlet: it may wait for the database and the network, but never computes for long. It returns soon after
        `halt` is requested, in whatever way. Raises EngineFailed, LogUnavailable.
        """


def count_tokens(text: str) -> int:
    """Return how many words and marks there are: what the embedded advisor calls a token."""
    return sum(1 for _ in _TOKEN.finditer(text))


def cut_tokens(text: str, limit: int) -> str:
    """Return `text` up to its token number `limit`."""
    for count, match in enumerate(_TOKEN.finditer(text)):
        if count == limit:
            return text[: match.start()]
    return text


def count_prompt(messages: Sequence[Message]) -> int:
    """Return how many tokens a conversation has."""
    return sum(count_tokens(message.content) for message in messages)
