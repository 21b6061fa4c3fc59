"""What the events of our streams say: one model for the data of each type of event, for the description.

The shop, the runs and the streaming core write these events; tests hold what they write to these models. Must not be used to
write them: an event is stored as it was told.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from petstore.api.problem import TYPES
from petstore.api.wire import Representation

EventId = Annotated[int, Field(description="An event's id: microseconds since 1970.", ge=0, examples=[1795377599860484])]
PetName = Annotated[str, Field(examples=["Fluffy"])]
Stock = Annotated[int, Field(ge=0, examples=[4])]
Price = Annotated[float, Field(ge=0, examples=[299.99])]
Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"}, examples=["019b4127-e295-7be4-976e-b77988a8b015"])]
SecondText = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-13T10:30:00Z"])]


class Recommendation(Representation):
    """A pet that may suit the customer; the higher the score, the better."""

    pet_id: Uuid
    name: PetName
    score: Annotated[float, Field(ge=0, le=1, examples=[0.89])]
    reason: Annotated[str, Field(examples=["Matches your preference for cats"])]


Engine = Annotated[Literal["embedded", "model"], Field(description="Which engine did it, at last.")]
ProcessingTime = Annotated[int, Field(ge=0, description="Milliseconds.", examples=[16])]
TokenCount = Annotated[int, Field(ge=0, examples=[42])]


class RunComplete(Representation):
    """The run is complete: how many recommendations it made, and in how many milliseconds."""

    total: Annotated[int, Field(ge=0, examples=[10])]
    processing_time: ProcessingTime
    engine: Engine


class RunStopped(Representation):
    """The run was stopped before its end, after so many picks or tokens, because somebody deleted it or nobody was there."""

    total: Annotated[int, Field(ge=0, examples=[10])]
    processing_time: ProcessingTime
    status: Literal["stopped"]
    reason: Annotated[str, Field(examples=["it was deleted"])]
    engine: Engine


class Progress(Representation):
    """How far a run is that takes longer than a second: `total` is null where nobody knows it."""

    done: Annotated[int, Field(ge=0, examples=[2])]
    total: Annotated[int | None, Field(ge=0, examples=[10])]
    phase: Annotated[str, Field(examples=["asking the model"])]


class Delta(Representation):
    """A piece of a chat's answer."""

    content: Annotated[str, Field(examples=["Whiskers is a quiet cat."])]


class TokenUsage(Representation):
    """The tokens that a chat's answer cost."""

    prompt_tokens: TokenCount
    completion_tokens: TokenCount
    total_tokens: TokenCount


class ChatSource(Representation):
    """A pet that an answer speaks of."""

    pet_id: Uuid
    name: PetName


class ChatComplete(Representation):
    """The answer is complete: why it ends here, what it cost, and which pets it speaks of."""

    processing_time: ProcessingTime
    finish_reason: Literal["STOP", "LENGTH"]
    usage: TokenUsage
    sources: list[ChatSource]
    engine: Engine


class OrderProgress(Representation):
    """What is being done with the order, since when."""

    status: Literal["payment_processing", "payment_confirmed", "preparing_shipment"]
    timestamp: SecondText


class OrderShipped(Representation):
    """The order is on its way: nothing more will be told."""

    status: Literal["shipped"]
    tracking_number: Annotated[str, Field(examples=["1ZA5BHZF4855975763"])]


class OrderEnded(Representation):
    """The order ended without a shipment: nothing more will be told."""

    status: Literal["cancelled", "payment_failed"]
    reason: Annotated[str, Field(examples=["cancelled by the customer"])]


class StockChange(Representation):
    """The stock of a pet has changed."""

    pet_id: Uuid
    old_stock: Stock
    new_stock: Stock


class PriceChange(Representation):
    """The price of a pet has changed. Numbers, where the rest of the API has decimal text."""

    pet_id: Uuid
    old_price: Price
    new_price: Price


class Gap(Representation):
    """Events that the client still needed are gone, or what it holds isn't one of our ids.

    Fetch `snapshot`, and stream on from its `lastEventId`. `oldestId` is the oldest event that there still is.
    """

    requested_id: EventId | str
    oldest_id: EventId | None
    snapshot: Annotated[str, Field(json_schema_extra={"format": "uri-reference"}, examples=["/v1/inventory"])]


class Goodbye(Representation):
    """The server can't serve this stream now. The stream ends here; come back after the time that `retry` says.

    `behind`: the client took its events so slowly that some of them are gone; when it comes back, `gap` says so. `unavailable`: the
    database did not answer.
    """

    reason: Literal["behind", "draining", "full", "too-many", "unavailable"]


class Failure(Representation):
    """The stream, or its topic, failed on our side: a problem, as everywhere. Come back later.

    A run that failed says by `retryable` whether another one may do better.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    type: Annotated[str, Field(examples=[TYPES + "internal-server-error"])]
    title: Annotated[str, Field(examples=["Internal Server Error"])]
    status: Annotated[int, Field(ge=500, le=599, examples=[500])]
    retryable: bool = False
