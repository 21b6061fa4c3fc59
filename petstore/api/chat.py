"""Chat, as OpenAI's clients ask for it: `POST /v1/chat/completions`, streamed or whole, and the list of models.

A completion is a run; here it's only shown in another shape. Parse, one call, render.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from flask import Blueprint, Response, json, jsonify, request, url_for
from pydantic import Field

from petstore.ai import DELTA, EMBEDDED, Run, RunKind, request_for
from petstore.api.access import own_chat, run_links
from petstore.api.bearer import Scope
from petstore.api.chat_body import ChatRequest
from petstore.api.chat_data import ChatChunk, ChatCompletion, ChatError, ModelInfo, ModelList
from petstore.api.chat_wire import Completion
from petstore.api.error import ModelNotFound, RunFailed, RunStopped
from petstore.api.event_stream import admit_stream, stream_response
from petstore.api.idempotency import IDEMPOTENCY_KEY, REPLAYED, replay_headers, run_key
from petstore.api.operation import Answer, Chunks, Operation
from petstore.api.parameter import Header, Path
from petstore.api.problem import CONTENT_TYPE
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.api.whole_answer import place_to_wait, wait_for_end
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

_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
"""What OpenAI calls these."""

_PATHS = ("/v1/chat/", "/v1/models")
"""Where OpenAI's clients go."""

TIMEOUT_S = 150.0
"""How long a client waits for a whole answer at the most."""


MONITOR = Header(
    "Link", Annotated[str, Field(examples=['</v1/runs/019b4127-e295-7be4-976e-b77988a8b015>; rel="monitor"'])], "The answer's run."
)


class ModelPath(Path):
    """Names a model."""

    name: Annotated[str, Field(examples=["pet-advisor-1"])]


@blueprint.post("/chat/completions")
@Operation(
    "createChatCompletion",
    body=ChatRequest,
    headers=[IDEMPOTENCY_KEY],
    answers={200: Answer(ChatCompletion, [MONITOR, REPLAYED], chunks=Chunks((ChatChunk, ChatError), ("[DONE]",)))},
    problems=[404, 409],
    scopes=[Scope.CHAT_WRITE],
    guests=True,
)
def create_completion(body: ChatRequest) -> Response:
    """Ask the shop's advisor.

    As OpenAI's clients do: whole, or with `stream` in chunks, whose last one is `[DONE]`. A bearer token goes where they have
    their API key; only the demo also answers those who bring none. Whoever comes back with the same `Idempotency-Key` gets the same
    answer, and nothing is generated twice; only one that failed or was stopped is tried anew.
    """
    customer_id = own_chat()
    engine, key = engine_of(body.model), run_key()
    if body.stream:
        holders = admit_stream(customer_id)
        run = _start(body, customer_id, engine, key)
        selection = Selection((run.topic,), Form(dialect=_completion(run, body)))
        response = stream_response(selection, Opening(run.beginning), lambda _: run_links(run)["self"], holders)
    else:
        with place_to_wait(customer_id):
            run = _start(body, customer_id, engine, key)
            events = wait_for_end(run.topic, TIMEOUT_S)
        response = _whole(run, _completion(run, body), events)
    response.headers.update({"Link": f'<{run_links(run)["self"]}>; rel="monitor"'} | replay_headers(run))
    return response


@blueprint.get("/models")
@Operation("listModels", answers={200: ModelList})
def list_models() -> Response:
    """List the models that can be asked.

    As OpenAI's clients want to know them.
    """
    return jsonify(object="list", data=[_render_model(name) for name in MODELS if name.islower()])


@blueprint.get("/models/<name>")
@Operation("getModel", path=ModelPath, answers={200: ModelInfo}, problems=[404])
def get_model(name: str) -> Response:
    """Show one model."""
    engine_of(name)
    return jsonify(_render_model(name))


def engine_of(model: str) -> str | None:
    """Return the engine that a model stands for; None is the one that is configured. Raises ModelNotFound."""
    if model not in MODELS:
        raise ModelNotFound(tuple(MODELS))
    return MODELS[model]


def text_of(events: list[Event]) -> str:
    """Return what was said so far."""
    return "".join(event.value()["content"] for event in events if event.type == DELTA)


@blueprint.after_app_request
def _add_error(response: Response) -> Response:
    """Give problems the member `error`, by which OpenAI's clients tell what is wrong.

    Of the whole application, by their paths: what no view has taken, such as another method, is of no blueprint.
    """
    if response.status_code >= 400 and request.path.startswith(_PATHS) and response.mimetype == CONTENT_TYPE:
        problem: dict[str, Any] = json.loads(response.get_data())
        first = problem.get("errors", [{}])[0]
        code = _CODES.get(problem["status"], first.get("code"))
        kind = "server_error" if problem["status"] >= 500 else "invalid_request_error"
        message = ": ".join(filter(None, (first.get("field"), first.get("message")))) or problem.get("detail", problem["title"])
        problem["error"] = {"message": message, "type": kind, "param": first.get("field"), "code": code}
        response.set_data(json.dumps(problem) + "\n")
    return response


def _start(body: ChatRequest, customer_id: str | None, engine: str | None, key: str | None) -> Run:
    return services().runs.start(
        requested_shop(),
        RunKind.CHAT,
        request_for(body.question(), body.model),
        customer_id,
        key=key,
        engine=engine,
        # A client that can't come back to an answer isn't waited for.
        lease_s=None if key else 0.0,
        watched=True,
    )


def _completion(run: Run, body: ChatRequest) -> Completion:
    pet_url = url_for("pets.get_one", pet_id="PET_ID", _external=True)
    id = "chatcmpl_" + run.id.replace("-", "")
    return Completion(id, run.created_at // 1_000_000, body.model, pet_url, body.upstream, body.include_usage)


def _whole(run: Run, completion: Completion, events: list[Event]) -> Response:
    last = events[-1] if events else None
    if last is None or last.type != COMPLETE:
        raise RunFailed(run.id)
    end = last.value()
    if "finishReason" not in end:
        raise RunStopped(run.id, end["reason"])
    return jsonify(completion.render(text_of(events), end))


def _render_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": RELEASED, "owned_by": "petstore"}
