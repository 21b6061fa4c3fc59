"""Chat, as OpenAI's clients ask for it: `POST /v1/chat/completions`, streamed or whole, and the list of models.

A completion is a run; here it's only shown in another shape. Parse, one call, render.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, json, jsonify, url_for
from werkzeug.exceptions import NotFound

from petstore.ai import DELTA, EMBEDDED, Run, RunKind, request_for
from petstore.api.body import read_body
from petstore.api.caller import caller_id, idempotency_key
from petstore.api.chat_body import ChatBody
from petstore.api.chat_wire import Completion
from petstore.api.error import RunFailed
from petstore.api.event_stream import admit_stream, stream_response, wait_for_end
from petstore.api.problem import CONTENT_TYPE
from petstore.api.services import services
from petstore.sse import COMPLETE, Event, Form, Opening, Selection

blueprint = Blueprint("chat", __name__, url_prefix="/v1")

MODELS: Mapping[str, str | None] = {
    "pet-advisor-1": None,
    "pet-advisor-turbo": EMBEDDED,
    "PET_ADVISOR_1": None,
    "PET_ADVISOR_TURBO": EMBEDDED,
}
"""Their names, in both casings, and which engine answers: the one that is configured, or always the embedded one, at once."""

RELEASED = 1_767_225_600
"""When our models came into the world, since every model has to say that: 2026-01-01."""

TIMEOUT_S = 150.0
"""How long a client waits for a whole answer at the most."""


@blueprint.post("/chat/completions")
def create_completion() -> Response:
    """Answer what the messages ask, whole or as a stream of chunks."""
    body = read_body(ChatBody)
    engine, key = engine_of(body.model), idempotency_key()
    holders = admit_stream(caller_id(), says_goodbye=False) if body.stream else ()
    parts = services()
    run = parts.runs.start(
        RunKind.CHAT,
        request_for(body.question(), body.model),
        caller_id(),
        key=key,
        engine=engine,
        # Who can't come back to an answer isn't waited for.
        lease_s=None if key else 0.0,
        watched=True,
    )
    parts.runs.rejoin(run)
    completion = _completion(run, body)
    if body.stream:
        selection = Selection((run.topic,), Form(dialect=completion))
        response = stream_response(selection, Opening(run.beginning), lambda _: url_for("runs.get_one", run_id=run.id), holders)
    else:
        response = _whole(run, completion, wait_for_end(run.topic, TIMEOUT_S))
    response.headers["Link"] = f'<{url_for("runs.get_one", run_id=run.id)}>; rel="monitor"'
    return response


@blueprint.get("/models")
def list_models() -> Response:
    """List the models that can be asked, as OpenAI's clients want to know them."""
    return jsonify(object="list", data=[_render_model(name) for name in MODELS if name.islower()])


@blueprint.get("/models/<name>")
def get_model(name: str) -> Response:
    """Show one model."""
    engine_of(name)
    return jsonify(_render_model(name))


def engine_of(model: str) -> str | None:
    """Return the engine that a model stands for; None is the one that is configured. Raises NotFound."""
    if model not in MODELS:
        raise NotFound(f"there is no such model; there are {', '.join(MODELS)}")
    return MODELS[model]


def text_of(events: list[Event]) -> str:
    """Return what was said so far."""
    return "".join(event.value()["content"] for event in events if event.type == DELTA)


@blueprint.after_request
def _add_error(response: Response) -> Response:
    """Give problems the member by which OpenAI's clients tell what is wrong."""
    if response.mimetype == CONTENT_TYPE:
        problem: dict[str, Any] = json.loads(response.get_data())
        first = problem.get("errors", [{}])[0]
        code = "model_not_found" if problem["status"] == 404 else first.get("code")
        kind = "server_error" if problem["status"] >= 500 else "invalid_request_error"
        message = ": ".join(filter(None, (first.get("field"), first.get("message")))) or problem.get("detail", problem["title"])
        problem["error"] = {"message": message, "type": kind, "param": first.get("field"), "code": code}
        response.set_data(json.dumps(problem) + "\n")
    return response


def _completion(run: Run, body: ChatBody) -> Completion:
    pets_url = url_for("pets.get_one", pet_id="", _external=True)
    id = "chatcmpl_" + run.id.replace("-", "")
    return Completion(id, run.created_at // 1_000_000, body.model, pets_url, body.upstream, body.include_usage)


def _whole(run: Run, completion: Completion, events: list[Event]) -> Response:
    last = events[-1] if events else None
    if last is None or last.type != COMPLETE or "finishReason" not in last.value():
        raise RunFailed(run.id, retryable=last is None or last.type != COMPLETE)
    return jsonify(completion.render(text_of(events), last.value()))


def _render_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": RELEASED, "owned_by": "petstore"}
