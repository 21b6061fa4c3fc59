"""Runs: generations that outlive connections. Started, looked at, streamed, stopped. Parse, one call, render."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from flask import Blueprint, Response, request
from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from petstore.ai import DEFAULT_LIMIT, DELTA, PROGRESS, RECOMMENDATION, Question, Run, RunKind, RunStatus, request_for
from petstore.api.access import RUN_SCOPES, own_chat, own_recommendations, own_run, run_links
from petstore.api.body import Body, CustomerId
from petstore.api.chat import engine_of, text_of
from petstore.api.chat_body import DEFAULT_TOKENS, MAX_CHAT_BODY, Messages, Temperature, Tokens
from petstore.api.event_data import (
    ChatComplete,
    Delta,
    Engine,
    EventId,
    Failure,
    Progress,
    Recommendation,
    RunComplete,
    RunStopped,
)
from petstore.api.event_stream import (
    accept_event_stream,
    admit_stream,
    head_response,
    open_where_asked,
    requested_form,
    stream_answers,
    stream_response,
)
from petstore.api.idempotency import IDEMPOTENCY_KEY, REPLAYED, replay_headers, run_key
from petstore.api.identifier import EXAMPLE_ID, read_uuid
from petstore.api.operation import Answer, Events, Operation
from petstore.api.parameter import LOCATION, Path
from petstore.api.resume import LAST_EVENT_ID, StreamQuery
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.api.wire import Moment, Representation, Uri, no_content, respond
from petstore.shop import to_datetime
from petstore.sse import COMPLETE, ERROR, Event, Selection

blueprint = Blueprint("runs", __name__, url_prefix="/v1/runs")

MAX_LIMIT = 50

RUN_EVENTS: Events = {
    RECOMMENDATION: (Recommendation,),
    DELTA: (Delta,),
    PROGRESS: (Progress,),
    COMPLETE: (RunComplete, ChatComplete, RunStopped),
    ERROR: (Failure,),
}

_KINDS: list[Any] = [
    {
        "required": ["userId"],
        "properties": {
            "kind": {"const": "RECOMMENDATIONS"},
            "userId": {"type": "string"},
            **dict.fromkeys(("messages", "model", "maxTokens", "temperature"), False),
        },
    },
    {
        "required": ["messages"],
        "properties": {"kind": {"const": "CHAT"}, "messages": {"type": "array"}, **dict.fromkeys(("userId", "limit"), False)},
    },
]


class RunPath(Path):
    """Names a run."""

    run_id: Annotated[str, AfterValidator(read_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]


class NewRun(Body):
    """What a run is to make: recommendations for a user, or the answer to messages."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": _KINDS, "examples": [{"kind": "RECOMMENDATIONS", "userId": "user-456", "limit": 3}]},
    )

    max_bytes = MAX_CHAT_BODY

    kind: Literal["RECOMMENDATIONS", "CHAT"]
    user_id: CustomerId | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] | None = None
    messages: Messages | None = None
    model: Annotated[str, Field(max_length=100)] | None = None
    max_tokens: Tokens | None = None
    temperature: Temperature | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        chat = self.kind == "CHAT"
        if (self.messages is None) if chat else (self.user_id is None):
            raise PydanticCustomError("required_field", f"{self.kind} needs {'messages' if chat else 'userId'}")
        others = {"limit", "user_id"} if chat else {"messages", "model", "max_tokens", "temperature"}
        if others & self.model_fields_set:
            raise PydanticCustomError("unknown_field", f"{self.kind} takes none of the other kind's fields")
        return self

    def request(self) -> dict[str, Any]:
        """Return what the run keeps of it."""
        if self.messages is None:
            return {"limit": self.limit or DEFAULT_LIMIT}
        temperature = 1.0 if self.temperature is None else self.temperature
        messages = tuple(message.as_message() for message in self.messages)
        question = Question(messages, self.max_tokens or DEFAULT_TOKENS, temperature)
        return request_for(question, self.model or "pet-advisor-1")


class RunLinks(Representation):
    """Where a run is read, stopped and followed. What opens that for a while is in the link."""

    self: Annotated[Uri, Field(examples=["/v1/runs/" + EXAMPLE_ID])]
    stream: Annotated[Uri, Field(examples=["/v1/runs/" + EXAMPLE_ID + "/stream"])]


class RunRepresentation(Representation):
    """A run, with all that it has made so far, and the id after which its stream goes on."""

    id: str
    kind: RunKind
    status: RunStatus
    engine: Engine
    user_id: Annotated[str | None, Field(description="Null for a guest's.", examples=["user-456"])]
    created_at: Moment
    data: Annotated[list[Recommendation] | None, Field(description="Of a run of recommendations.")]
    content: Annotated[str | None, Field(description="What a run of chat has said.")]
    result: Annotated[RunComplete | ChatComplete | RunStopped | Failure | None, Field(description="Null as long as it goes on.")]
    topic: Annotated[str, Field(description="For `GET /v1/stream`.", examples=["recommendations/" + EXAMPLE_ID])]
    last_event_id: EventId | None
    links: RunLinks

    @classmethod
    def of(cls, run: Run, events: list[Event]) -> Self:
        """Return a run with what these events, its own, tell."""
        last = events[-1] if events else None
        chat = run.kind is RunKind.CHAT
        picks = [event.value() for event in events if event.type == RECOMMENDATION]
        moment: datetime = to_datetime(run.created_at)
        return cls.model_validate(
            {
                "id": run.id,
                "kind": run.kind,
                "status": run.status,
                "engine": run.engine,
                "userId": run.customer_id,
                "createdAt": moment,
                "data": None if chat else picks,
                "content": text_of(events) if chat else None,
                "result": last.value() if last is not None and last.ends else None,
                "topic": run.topic,
                "lastEventId": None if last is None else last.id,
                "links": run_links(run),
            }
        )


@blueprint.post("")
@Operation(
    "createRun",
    body=NewRun,
    headers=[IDEMPOTENCY_KEY],
    answers={201: Answer(RunRepresentation, headers=[LOCATION, REPLAYED])},
    problems=[404],
    guests=True,
    either=RUN_SCOPES,
)
def start(body: NewRun) -> Response:
    """Start a run.

    Or find the one that the same `Idempotency-Key` has started, unless that one has failed, or is an answer that was stopped. One
    for a customer needs that one's bearer token, one of chat any with the scope `chat:write`; in the demo, its own customers'
    recommendations and chat need none.
    """
    engine = engine_of(body.model) if body.model is not None else None
    customer_id = own_chat() if body.user_id is None else own_recommendations(body.user_id)
    run = services().runs.start(requested_shop(), RunKind(body.kind), body.request(), customer_id, key=run_key(), engine=engine)
    shown = _show(run)
    return respond(shown, 201, {"Location": shown.links.self} | replay_headers(run))


@blueprint.get("/<run_id>")
@Operation("getRun", path=RunPath, answers={200: RunRepresentation}, problems=[404], guests=True, linked=True, either=RUN_SCOPES)
def get_one(run_id: str) -> Response:
    """Show a run with all that it has made so far."""
    run = _find(run_id)
    services().runs.presence.look(run)
    return respond(_show(run))


@blueprint.get("/<run_id>/stream")
@Operation(
    "streamRun",
    path=RunPath,
    query=StreamQuery,
    headers=[LAST_EVENT_ID],
    answers=stream_answers(RUN_EVENTS),
    problems=[404, 406],
    guests=True,
    linked=True,
    either=RUN_SCOPES,
)
def stream(run_id: str, query: StreamQuery) -> Response:
    """Stream a run.

    From its beginning, or from where the client was cut off. The run's `links.stream` opens it without a bearer token.
    """
    accept_event_stream()
    run = _find(run_id)
    if request.method == "HEAD":
        return head_response()
    holders = admit_stream(run.customer_id)
    opening = open_where_asked((run.topic,), query, 0)
    services().runs.presence.rejoin(run)
    snapshot = run_links(run)["self"]
    return stream_response(Selection((run.topic,), requested_form(query)), opening, lambda _: snapshot, holders)


@blueprint.delete("/<run_id>")
@Operation("stopRun", path=RunPath, answers={204: None}, problems=[404, 409], guests=True, linked=True, either=RUN_SCOPES)
def stop(run_id: str) -> Response:
    """Stop a run.

    At once. It stays readable, with what it has made until then. One that has ended can't be stopped.
    """
    services().runs.stop(_find(run_id, change=True).id)
    return no_content()


def _show(run: Run) -> RunRepresentation:
    events = services().runs.events(run)
    if run.status is RunStatus.RUNNING and events and events[-1].ends:
        run = services().runs.get(run.id)  # It has ended since it was read.
    return RunRepresentation.of(run, events)


def _find(run_id: str, *, change: bool = False) -> Run:
    return own_run(services().runs.get(run_id), change=change)
