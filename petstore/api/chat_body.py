"""What a chat completion is asked with: OpenAI's body, and the Modern PetstoreAPI's, which is the same in another casing.

Who writes a role or the model in capitals, or `maxTokens`, is a client of the latter, and is answered in its casing; everybody
else is OpenAI's. Must not know what answers.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from petstore.ai import Message, Question, Role
from petstore.api.body import Body

MAX_PROMPT = 32_000
"""Characters of all messages together. More is no question about pets, and a model is paid by the word."""

MAX_MESSAGES = 200

MAX_PARTS = 500
"""Parts of all messages together: each costs some microseconds in which no stream of this worker moves."""

MAX_CHAT_BODY = 512 * 1024
"""Bytes of a body: more than MAX_PROMPT characters can take, however they are escaped."""

MAX_TOKENS = 4096
DEFAULT_TOKENS = 1024

_ROLES = {"system": Role.SYSTEM, "developer": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT}
_WRITTEN = (*_ROLES, *map(str.upper, _ROLES))

Tokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]


class TextPart(Body):
    """A part of a message. Other kinds, such as images, are not for us."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text"]
    text: str


def _check_content(content: Any) -> Any:
    # Said once and in our words: a union of text and parts would complain of both.
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise PydanticCustomError("invalid_type", "must be text, or a list of parts of text")
    if not all(isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str) for part in content):
        raise PydanticCustomError("invalid_format", "takes parts of type text only: no images, no sound, no files")
    return "".join(part["text"] for part in content)


def _check_role(role: str) -> str:
    if role not in _WRITTEN:
        raise ValueError(f"must be one of {', '.join(_ROLES)}, in small letters or capitals")
    return role


class ChatMessage(Body):
    """One message. Clients send back whole messages that they got, so whatever else is in one is let pass."""

    model_config = ConfigDict(extra="ignore")

    role: Annotated[str, AfterValidator(_check_role), WithJsonSchema({"type": "string", "enum": list(_WRITTEN)})]
    content: Annotated[
        str | list[TextPart] | None,
        BeforeValidator(_check_content),
        AfterValidator(lambda text: text or ""),
    ]

    def as_message(self) -> Message:
        """Return the message as engines take it."""
        return Message(_ROLES[self.role.lower()], str(self.content))


def _check_parts(given: Any) -> Any:
    if isinstance(given, list):
        contents = (message.get("content") for message in given if isinstance(message, dict))
        if sum(len(content) for content in contents if isinstance(content, list)) > MAX_PARTS:
            raise PydanticCustomError("too_long", f"All messages together must not have more than {MAX_PARTS} parts")
    return given


def _check_length(messages: list[ChatMessage]) -> list[ChatMessage]:
    if sum(len(str(message.content)) for message in messages) > MAX_PROMPT:
        raise PydanticCustomError("too_long", f"All messages together must not have more than {MAX_PROMPT} characters")
    return messages


Messages = Annotated[
    list[ChatMessage],
    Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True),
    AfterValidator(_check_length),
    BeforeValidator(_check_parts),
]
"""Only the first one that is wrong is named: to find them all in a body that is nothing else takes half a second."""

Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]


class StreamOptions(Body):
    """What else a stream should tell."""

    include_usage: Annotated[bool, Field(alias="include_usage")] = False
    include_obfuscation: Annotated[bool, Field(alias="include_obfuscation")] = False


class TextFormat(Body):
    """The form of an answer: there is no other than text."""

    type: Literal["text"]


def _refuse(given: Any) -> None:
    if given is not None and given is not False:
        raise PydanticCustomError("unknown_field", "is not supported here")


Unsupported = Annotated[None, BeforeValidator(_refuse), WithJsonSchema({"enum": [None, False]})]
"""What would change the answer, and what no engine of ours does. Null and false say that it isn't wanted."""


_STREAM_OPTIONS: list[Any] = [
    {"required": ["stream"], "properties": {"stream": {"const": True}}},
    {"properties": {"stream_options": {"type": "null"}}},
]
"""They are for streams alone."""

_EXAMPLE: dict[str, Any] = {
    "model": "pet-advisor-1",
    "messages": [{"role": "user", "content": "a quiet cat for a flat with a child"}],
}


class ChatRequest(Body):
    """A request for a completion. What OpenAI has besides, and would change the answer's form, is refused."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _STREAM_OPTIONS, "examples": [_EXAMPLE]})

    max_bytes = MAX_CHAT_BODY

    messages: Messages
    model: Annotated[str, Field(max_length=100)] = "pet-advisor-1"
    stream: bool | None = None
    stream_options: Annotated[StreamOptions | None, Field(alias="stream_options")] = None
    max_tokens: Annotated[Tokens | None, Field(alias="max_tokens")] = None
    max_completion_tokens: Annotated[Tokens | None, Field(alias="max_completion_tokens")] = None
    max_tokens_upstream: Annotated[Tokens | None, Field(alias="maxTokens")] = None
    temperature: Temperature | None = None
    n: Literal[1] | None = None
    response_format: Annotated[TextFormat | None, Field(alias="response_format")] = None

    # Named, so that a client is told plainly. The advisor's own tools are the shop's.
    tools: Unsupported = None
    tool_choice: Annotated[Unsupported, Field(alias="tool_choice")] = None
    functions: Unsupported = None
    stop: Unsupported = None
    logprobs: Unsupported = None
    logit_bias: Annotated[Unsupported, Field(alias="logit_bias")] = None
    top_logprobs: Annotated[Unsupported, Field(alias="top_logprobs")] = None
    function_call: Annotated[Unsupported, Field(alias="function_call")] = None
    audio: Unsupported = None
    prediction: Unsupported = None
    web_search_options: Annotated[Unsupported, Field(alias="web_search_options")] = None
    modalities: Annotated[list[Literal["text"]] | None, Field(max_length=1)] = None

    # Taken, so that no client has to be changed, and without effect: an answer is one of many anyway.
    top_p: Annotated[Any, Field(alias="top_p")] = None
    presence_penalty: Annotated[Any, Field(alias="presence_penalty")] = None
    frequency_penalty: Annotated[Any, Field(alias="frequency_penalty")] = None
    parallel_tool_calls: Annotated[Any, Field(alias="parallel_tool_calls")] = None
    seed: Any = None
    user: Any = None
    metadata: Any = None
    store: Any = None
    safety_identifier: Annotated[Any, Field(alias="safety_identifier")] = None
    service_tier: Annotated[Any, Field(alias="service_tier")] = None
    reasoning_effort: Annotated[Any, Field(alias="reasoning_effort")] = None
    verbosity: Any = None
    prompt_cache_key: Annotated[Any, Field(alias="prompt_cache_key")] = None

    @property
    def upstream(self) -> bool:
        """Whether the client is one of the Modern PetstoreAPI, by how it writes."""
        capitals = self.model.isupper() or any(message.role.isupper() for message in self.messages)
        return capitals or self.max_tokens_upstream is not None

    @property
    def include_usage(self) -> bool:
        """Whether a stream should tell at its end what it cost."""
        return self.stream_options is not None and self.stream_options.include_usage

    @model_validator(mode="after")
    def _check_stream_options(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("unknown_field", "stream_options is only for streams")
        return self

    def question(self) -> Question:
        """Return what engines are asked."""
        limit = self.max_tokens or self.max_completion_tokens or self.max_tokens_upstream or DEFAULT_TOKENS
        temperature = 1.0 if self.temperature is None else self.temperature
        return Question(tuple(message.as_message() for message in self.messages), limit, temperature)
