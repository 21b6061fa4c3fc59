"""A language model behind OpenAI's API, reached through the official `openai` package: one streamed call at a time.

Every wait is bounded, and a call ends at once when it's halted: each has a client of its own, whose connection is then closed.
Must not know what a model is asked, and never repeats a call: whoever asked has the embedded engine.
"""

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import openai

from petstore.ai.engine import MODEL, Halt, Usage, count_tokens
from petstore.ai.error import EngineFailed
from petstore.ai.model_bytes import ModelBytes

CONNECT_S = 5.0
"""How long a server may take to answer the telephone."""

CALL_S = 120.0
"""How long a call may take in all. A model that talks on for ever must not be paid for ever."""

MAX_ARGUMENTS = 10_000
"""Characters of the arguments of one tool call."""

MAX_CALLS = 8
"""Tools that a model may call at once."""

MAX_TOKENS = 10_000_000
"""More than any call reads or writes."""

CHARACTERS_A_TOKEN = 8
BYTES_A_TOKEN = 2_000
"""More than a token ever has on average, and than its event has on the wire. A server that knows no limit is cut off there."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ToolCall:
    """A tool that the model wants called, with arguments in JSON, which may be anything."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Reply:
    """How a call ended: what it cost, and which tools the model wants called before it goes on."""

    usage: Usage = field(default_factory=lambda: Usage(0, 0))
    finish_reason: Literal["stop", "length"] = "stop"
    calls: list[ToolCall] = field(default_factory=list)


class Model:
    """The model called `name`. A `base_url` of None is OpenAI's own; `silence_s` bounds how long nothing may come."""

    def __init__(self, name: str, base_url: str | None, api_key: str | None, silence_s: float) -> None:
        self._name = name
        self._base_url = base_url
        self._api_key = api_key or "none"  # Servers of one's own ask for none, and the package insists on one.
        self.silence_s = silence_s
        # Made once: to read all certificates takes 20 ms, during which no stream of this worker would move.
        self._tls = ssl.create_default_context()
        self._limit = "max_tokens"
        # The first client costs as much again, and what it's made of is imported only when it's first asked for.
        with self._client(0) as client:
            client.chat.completions  # noqa: B018

    def stream(
        self,
        messages: Sequence[dict[str, Any]],
        halt: Halt,
        max_tokens: int,
        temperature: float = 1.0,
        tools: Sequence[dict[str, Any]] = (),
    ) -> Generator[str, None, Reply]:
        """Yield the text as it comes, and return how it ended. Raises EngineFailed."""
        call = _Call(self._client(max_tokens))
        with halt.closing(call.close):
            try:
                call.stream = self._open(call.client, messages, max_tokens, temperature, tools)
                return (yield from _follow(call.stream, halt, max_tokens))
            except (openai.OpenAIError, ValueError, LookupError, AttributeError, TypeError, OSError, RuntimeError) as error:
                # Not only its own: of what a server may say that isn't the protocol, the package lets much through.
                # What a server says may hold anything, and some quote the key.
                said = str(error).replace(self._api_key, "***")
                raise EngineFailed(MODEL, f"{type(error).__name__}: {said[:300]!r}") from error

    def _client(self, max_tokens: int) -> openai.OpenAI:
        def bound(response: Any) -> None:
            response.stream = ModelBytes(response, BYTES_A_TOKEN * max_tokens + 1_000_000)

        timeout = openai.Timeout(self.silence_s, connect=min(CONNECT_S, self.silence_s))
        http = openai.DefaultHttpxClient(
            verify=self._tls, timeout=timeout, headers={"Accept-Encoding": "identity"}, event_hooks={"response": [bound]}
        )
        return openai.OpenAI(api_key=self._api_key, base_url=self._base_url, http_client=http, max_retries=0, timeout=timeout)

    def _open(
        self,
        client: openai.OpenAI,
        messages: Sequence[dict[str, Any]],
        max_tokens: int,
        temperature: float,
        tools: Sequence[dict[str, Any]],
    ) -> Any:
        wanted: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}, "model": self._name}
        if temperature != 1.0:
            wanted["temperature"] = temperature  # Some models take no other than the default, not even by name.
        if tools:
            wanted["tools"] = list(tools)
        create: Any = client.chat.completions.create
        limit = self._limit  # Another call may learn its name meanwhile.
        try:
            return create(messages=list(messages), **wanted, **{limit: max_tokens})
        except openai.BadRequestError as error:
            if error.param != "max_tokens" or limit != "max_tokens":
                raise
            # OpenAI's newer models refuse the name that all other servers know. Remembered, so that it costs one call.
            self._limit = "max_completion_tokens"
            return create(messages=list(messages), **wanted, **{self._limit: max_tokens})


@dataclass(slots=True)
class _Call:
    """One call, with its own client, and its answer once that has begun."""

    client: openai.OpenAI
    stream: Any = None

    def close(self) -> None:
        """Hang up. To close a socket in which a thread waits doesn't wake that; to shut it down does."""
        if self.stream is not None:
            connection = self.stream.response.extensions["network_stream"].get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.client.close()


def _follow(stream: Any, halt: Halt, max_tokens: int) -> Generator[str, None, Reply]:
    reply, open_calls, written = Reply(), dict[int | None, ToolCall](), 0
    prompt_tokens, completion_tokens = None, None
    until = time.monotonic() + CALL_S
    room = CHARACTERS_A_TOKEN * max_tokens + 1_000
    ended = False
    for chunk in stream:
        if halt.requested or time.monotonic() > until:
            raise EngineFailed(MODEL, "it was halted" if halt.requested else f"it talked for more than {CALL_S:g} s")
        halt.hear()
        if chunk.usage is not None:
            prompt_tokens, completion_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        if not chunk.choices:
            continue
        choice = chunk.choices[0]
        tokens = _collect(reply.calls, open_calls, choice.delta.tool_calls or ())
        text = (choice.delta.content or "")[:room]
        room -= len(choice.delta.content or "")
        tokens += count_tokens(text)
        written += tokens
        halt.hear(tokens)
        if text:
            yield text
        if room <= 0:
            reply.finish_reason, ended = "length", True
            break
        if choice.finish_reason == "content_filter":
            raise EngineFailed(MODEL, "its server filtered what it said")
        if choice.finish_reason is not None:
            reply.finish_reason, ended = "length" if choice.finish_reason == "length" else "stop", True
    if not ended:
        raise EngineFailed(MODEL, "its answer was cut off")
    # Some say that they don't know by two zeros.
    told = prompt_tokens or completion_tokens
    reply.usage = Usage(_believed(prompt_tokens, 0), _believed(completion_tokens, written) if told else written)
    # What it has thought and not said, for one.
    halt.hear(max(0, reply.usage.completion_tokens - written))
    return reply


def _believed(tokens: Any, otherwise: int) -> int:
    """Return a count that a server reports, which may be anything, if it can be one."""
    return tokens if isinstance(tokens, int) and 0 <= tokens <= MAX_TOKENS else otherwise


def _collect(calls: list[ToolCall], open_calls: dict[int | None, ToolCall], deltas: Sequence[Any]) -> int:
    """Note what belongs to calls of tools, and return how many tokens it is. `open_calls` are the last ones by their index."""
    tokens = 0
    for delta in deltas:
        name, arguments = (delta.function.name or "", delta.function.arguments or "") if delta.function is not None else ("", "")
        call = open_calls.get(delta.index)
        # Some servers give all calls the same index, or none; and some give each piece of a call an id of its own.
        if call is None or (name and delta.id and call.id and delta.id != call.id):
            if len(calls) >= MAX_CALLS:
                raise EngineFailed(MODEL, f"it wants more than {MAX_CALLS} tools called at once")
            call = open_calls[delta.index] = ToolCall()
            calls.append(call)
        call.id = call.id or delta.id or ""
        call.name += name
        call.arguments += arguments
        tokens += count_tokens(name + arguments)
        if len(call.arguments) > MAX_ARGUMENTS:
            raise EngineFailed(MODEL, "it calls a tool with too much to say")
    return tokens
