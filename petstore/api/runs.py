"""Runs: generations that outlive connections. Started, looked at, streamed, stopped. Parse, one call, render."""

from typing import Annotated, Any, Literal, Self

from flask import Blueprint, Response, jsonify, request, url_for
from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from petstore.ai import RECOMMENDATION, Question, Run, RunKind, request_for
from petstore.api.body import Body, CustomerId, read_body
from petstore.api.caller import caller_id, check_may_see, idempotency_key
from petstore.api.chat import engine_of, text_of
from petstore.api.chat_body import DEFAULT_TOKENS, Messages, Temperature, Tokens
from petstore.api.event_stream import (
    accept_event_stream,
    admit_stream,
    head_response,
    open_where_asked,
    requested_form,
    stream_response,
)
from petstore.api.parameter import identifier
from petstore.api.services import services
from petstore.api.wire import render_moment
from petstore.shop import to_datetime
from petstore.sse import Event, Selection

blueprint = Blueprint("runs", __name__, url_prefix="/v1/runs")

MAX_LIMIT = 50
DEFAULT_LIMIT = 10

PAGE = 10_000
"""Events of a run, more than any has."""


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class RunBody(Body):
    """What a run is to make: recommendations for a user, or the answer to messages."""

    kind: Annotated[Literal["RECOMMENDATIONS", "CHAT"], BeforeValidator(_upper)]
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
        messages = tuple(message.read() for message in self.messages)
        question = Question(messages, self.max_tokens or DEFAULT_TOKENS, temperature)
        return request_for(question, self.model or "pet-advisor-1")


@blueprint.post("")
def start() -> Response:
    """Start a run, or show the one that the same Idempotency-Key has started."""
    body, key = read_body(RunBody), idempotency_key()
    engine = engine_of(body.model) if body.model is not None else None
    customer_id = body.user_id if body.kind == "RECOMMENDATIONS" else caller_id()
    run = services().runs.start(RunKind(body.kind), body.request(), customer_id, key=key, engine=engine)
    response = jsonify(render_run(run, []))
    response.status_code = 201
    response.headers["Location"] = url_for("runs.get_one", run_id=run.id)
    return response


@blueprint.get("/<run_id>")
def get_one(run_id: str) -> Response:
    """Show a run with all that it has made so far, and the id after which its stream goes on."""
    run = _find(run_id)
    return jsonify(render_run(run, services().log.read([run.topic], 0, PAGE)))


@blueprint.get("/<run_id>/stream")
def stream(run_id: str) -> Response:
    """Stream a run from its beginning, or from where the client was cut off."""
    accept_event_stream()
    run = _find(run_id)
    if request.method == "HEAD":
        return head_response()
    holders = admit_stream(run.customer_id)
    opening = open_where_asked((run.topic,), 0)
    services().runs.rejoin(run)
    snapshot = url_for("runs.get_one", run_id=run.id)
    return stream_response(Selection((run.topic,), requested_form()), opening, lambda _: snapshot, holders)


@blueprint.delete("/<run_id>")
def stop(run_id: str) -> Response:
    """Stop a run at once. One that has ended stays as it is."""
    services().runs.stop(_find(run_id).id)
    return Response(status=204)


def render_run(run: Run, events: list[Event]) -> dict[str, Any]:
    """Return a run as the wire has it, with what these events, its own, tell."""
    last = events[-1] if events else None
    made: dict[str, Any] = (
        {"content": text_of(events)}
        if run.kind is RunKind.CHAT
        else {"data": [event.value() for event in events if event.type == RECOMMENDATION]}
    )
    return {
        "id": run.id,
        "kind": run.kind,
        "status": run.status,
        "engine": run.engine,
        "userId": run.customer_id,
        "createdAt": render_moment(to_datetime(run.created_at)),
        **made,
        "result": last.value() if last is not None and last.ends else None,
        "topic": run.topic,
        "lastEventId": None if last is None else last.id,
        "links": {
            "self": url_for("runs.get_one", run_id=run.id),
            "stream": url_for("runs.stream", run_id=run.id),
        },
    }


def _find(run_id: str) -> Run:
    run = services().runs.get(identifier("runId", run_id))
    check_may_see(run)
    return run
