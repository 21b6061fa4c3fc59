"""Recommendations for a customer: streamed as they are made, or whole.

Both ask for a run and read its events; neither knows how a recommendation is made.
"""

from typing import Annotated

from flask import Blueprint, Response, request, url_for
from pydantic import Field

from petstore.ai import PROGRESS, RECOMMENDATION, Run, RunKind, RunStatus
from petstore.api.access import brought_token, own_recommendations
from petstore.api.bearer import Scope
from petstore.api.error import RunFailed
from petstore.api.event_data import Engine, EventId, Failure, Progress, Recommendation, RunComplete, RunStopped
from petstore.api.event_stream import (
    accept_event_stream,
    admit_stream,
    head_response,
    requested_form,
    stream_answers,
    stream_response,
)
from petstore.api.identifier import EXAMPLE_ID, CustomerId
from petstore.api.operation import Operation
from petstore.api.parameter import Query
from petstore.api.resume import LAST_EVENT_ID, StreamQuery, requested
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.api.whole_answer import place_to_wait, wait_for_end
from petstore.api.wire import Representation, respond
from petstore.sse import COMPLETE, ERROR, Gap, Opening, Requested, Selection, not_ahead, open_at

blueprint = Blueprint("recommendations", __name__, url_prefix="/v1/pets/recommendations")

TIMEOUT_S = 30.0
"""How long a client waits for the whole list at the most."""


class RecommendationsQuery(Query):
    """Whose recommendations are wanted."""

    user_id: CustomerId


class RecommendationsStreamQuery(StreamQuery, RecommendationsQuery):
    """Whose recommendations are wanted as a stream."""


class Recommendations(Representation):
    """All recommendations of a run, the best first, and the id after which its stream has nothing more."""

    data: list[Recommendation]
    total: int
    processing_time: Annotated[int, Field(description="Milliseconds that the run took.")]
    engine: Engine
    topic: Annotated[str, Field(description="For `GET /v1/stream`.", examples=["recommendations/" + EXAMPLE_ID])]
    last_event_id: EventId


@blueprint.get("/stream")
@Operation(
    "streamRecommendations",
    query=RecommendationsStreamQuery,
    headers=[LAST_EVENT_ID],
    answers=stream_answers(
        {RECOMMENDATION: (Recommendation,), PROGRESS: (Progress,), COMPLETE: (RunComplete, RunStopped), ERROR: (Failure,)},
    ),
    problems=[404, 406],
    scopes=[Scope.READ_USER],
    guests=True,
    linked=True,
)
def stream_recommendations(query: RecommendationsStreamQuery) -> Response:
    """Stream recommendations as they are made.

    Those of a new run, or of the one that the client was cut off from, or of one that goes on for this customer. The customer's
    `links.recommendationStream` opens it without a bearer token; in the demo, its own customers' need neither.
    """
    own_recommendations(query.user_id)
    accept_event_stream()
    if request.method == "HEAD":
        return head_response()  # A run is for whoever reads it.
    holders = admit_stream(query.user_id)
    run, opening = _find_run(query.user_id, requested(query))
    snapshot = url_for("recommendations.get_recommendations", userId=query.user_id, token=brought_token(f"users/{query.user_id}"))
    return stream_response(Selection((run.topic,), requested_form(query)), opening, lambda _: snapshot, holders)


@blueprint.get("")
@Operation(
    "listRecommendations",
    query=RecommendationsQuery,
    answers={200: Recommendations},
    problems=[404],
    scopes=[Scope.READ_USER],
    guests=True,
    linked=True,
)
def get_recommendations(query: RecommendationsQuery) -> Response:
    """List recommendations, all at once."""
    own_recommendations(query.user_id)
    with place_to_wait(query.user_id):
        run = services().runs.join(requested_shop(), query.user_id)
        events = wait_for_end(run.topic, TIMEOUT_S)
    end = events[-1].value() if events and events[-1].type == COMPLETE else None
    if end is None or "status" in end:
        raise RunFailed(run.id)
    picks = [event.value() for event in events if event.type == RECOMMENDATION]
    return respond(Recommendations.model_validate({"data": picks, **end, "topic": run.topic, "lastEventId": events[-1].id}))


def _find_run(customer_id: str, asked: Requested | None) -> tuple[Run, Opening]:
    """Return the run that holds the id which the client has, and where to go on; otherwise a run to begin with."""
    log, runs, ring = services().log, services().runs, services().feed.ring
    shop = requested_shop()
    if asked is None or not asked.held:
        run = runs.join(shop, customer_id)
        # From a moment on: of a run that goes on, what came since.
        return run, Opening(run.beginning if asked is None or asked.id is None else max(not_ahead(log, asked.id), run.beginning))
    topic = None if asked.id is None else log.topic_of(asked.id)
    held = None if topic is None else runs.find(topic)
    # Of one that has failed nothing follows: whoever asks again wants another one.
    if (
        held is not None
        and (held.tenant, held.customer_id, held.kind) == (shop.tenant, customer_id, RunKind.RECOMMENDATIONS)
        and held.status is not RunStatus.FAILED
    ):
        runs.presence.rejoin(held)
        return held, open_at(log, (held.topic,), asked, 0, ring)
    run = runs.join(shop, customer_id)
    gap = Gap(run.topic, asked.text if asked.id is None else asked.id, None)
    # Not from 0: there the ring can't tell whether something came before, and the log would have to be asked.
    return run, Opening(run.beginning, (gap,))
