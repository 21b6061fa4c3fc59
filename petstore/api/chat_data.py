"""What chat answers, as OpenAI's clients know it and as the Modern PetstoreAPI's do, for the description.

`chat_wire` writes it; tests hold what it writes to these models. Must not be used to write anything.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from petstore.api.event_data import TokenCount, TokenUsage
from petstore.api.problem import OpenAIError
from petstore.api.wire import Representation, Uri

CompletionId = Annotated[str, Field(examples=["chatcmpl_019b4127e2957be4976eb77988a8b015"])]
Created = Annotated[int, Field(description="Seconds since 1970.", examples=[1795377599])]
ModelName = Annotated[str, Field(examples=["pet-advisor-1"])]
Answered = Annotated[str, Field(examples=["Whiskers is a quiet cat."])]
Index = Annotated[int, Field(ge=0, examples=[0])]


class ChatData(Representation):
    """The base: names as they are, and members that aren't always there."""

    model_config = ConfigDict(alias_generator=None, json_schema_serialization_defaults_required=False)


class Citation(ChatData):
    """A pet that the answer speaks of, and where in the text it does."""

    title: Annotated[str, Field(examples=["Whiskers"])]
    url: Uri
    start_index: int = 0
    end_index: int = 0


class Annotation(ChatData):
    """A source of the answer."""

    type: Literal["url_citation"]
    url_citation: Citation


class CompletionMessage(ChatData):
    """What was answered. The Modern PetstoreAPI's clients get no more than its role and content."""

    role: Literal["assistant"]
    content: Answered
    refusal: None = None
    annotations: tuple[Annotation, ...] = ()


class CompletionChoice(ChatData):
    """The one answer that there is. Why it ends is `finish_reason`, or `finishReason` for the Modern PetstoreAPI's clients."""

    index: Index
    message: CompletionMessage
    finish_reason: Literal["stop", "length"] = "stop"
    finish_reason_upstream: Annotated[Literal["STOP", "LENGTH"], Field(alias="finishReason")] = "STOP"
    logprobs: None = None


class CompletionUsage(ChatData):
    """What an answer cost."""

    prompt_tokens: TokenCount
    completion_tokens: TokenCount
    total_tokens: TokenCount


class ChatCompletion(ChatData):
    """A whole answer."""

    id: CompletionId
    object: Literal["chat.completion"]
    created: Created
    model: ModelName
    choices: list[CompletionChoice]
    usage: CompletionUsage | TokenUsage


class ChunkDelta(ChatData):
    """What is added to the answer."""

    role: Literal["assistant"] = "assistant"
    content: Answered = ""
    annotations: tuple[Annotation, ...] = ()


class ChunkChoice(ChatData):
    """A piece of the one answer that there is."""

    index: Index
    delta: ChunkDelta
    finish_reason: Literal["stop", "length"] | None
    finish_reason_upstream: Annotated[Literal["STOP", "LENGTH"], Field(alias="finishReason")] = "STOP"


class ChatChunk(ChatData):
    """A piece of an answer. With `include_usage` the last one has no choices, and tells what the answer cost."""

    id: CompletionId
    object: Literal["chat.completion.chunk"]
    created: Created
    model: ModelName
    choices: list[ChunkChoice]
    usage: CompletionUsage | TokenUsage | None = None


class ChatError(ChatData):
    """The answer came to nothing: what was told of it is not the whole, and `[DONE]` doesn't follow."""

    error: OpenAIError


class ModelInfo(ChatData):
    """A model that can be asked."""

    id: ModelName
    object: Literal["model"]
    created: Created
    owned_by: Literal["petstore"]


class ModelList(ChatData):
    """The models that can be asked."""

    object: Literal["list"]
    data: list[ModelInfo]
