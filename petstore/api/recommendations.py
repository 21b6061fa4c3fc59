"""Recommendations for a customer: streamed as they are made, or whole.

Both ask for a run and read its events; neither knows how a recommendation is made.
"""

from flask import Blueprint, Response, jsonify, request, url_for

from petstore.ai import RECOMMENDATION, Run, RunStatus
from petstore.api.error import RunFailed
from petstore.api.event_stream import (
    accept_event_stream,
    admit_stream,
    head_response,
    requested_form,
    stream_response,
    wait_for_end,
)
from petstore.api.parameter import customer_identifier
from petstore.api.resume import requested
from petstore.api.services import services
from petstore.sse import COMPLETE, Gap, Opening, Requested, Selection, open_at

blueprint = Blueprint("recommendations", __name__, url_prefix="/v1/pets/recommendations")

TIMEOUT_S = 30.0
"""How long a client waits for the whole list at the most."""


@blueprint.get("/stream")
def stream_recommendations() -> Response:
    """Stream the recommendations of a new run, or of the one that the client was cut off from."""
    accept_event_stream()
    customer_id, form = customer_identifier("userId"), requested_form()
    if request.method == "HEAD":
        return head_response()  # A run is for whoever reads it.
    holders = admit_stream(customer_id)
    run, opening = _find_run(customer_id, requested())
    snapshot = url_for("recommendations.get_recommendations", userId=customer_id)
    return stream_response(Selection((run.topic,), form), opening, lambda _: snapshot, holders)


@blueprint.get("")
def get_recommendations() -> Response:
    """Return all recommendations of a run at once, with the id after which its stream has nothing more."""
    run = services().runs.join(customer_identifier("userId"))
    events = wait_for_end(run.topic, TIMEOUT_S)
    if not events or events[-1].type != COMPLETE:
        raise RunFailed(run.id, retryable=True)
    picks = [event.value() for event in events if event.type == RECOMMENDATION]
    return jsonify(data=picks, **events[-1].value(), topic=run.topic, lastEventId=events[-1].id)


def _find_run(customer_id: str, asked: Requested | None) -> tuple[Run, Opening]:
    """Return the run that holds the id which the client has, and where to go on; otherwise a run to begin with."""
    log, runs, ring = services().log, services().runs, services().feed.ring
    if asked is None or not asked.held:
        run = runs.join(customer_id)
        return run, Opening(run.beginning)
    topic = None if asked.id is None else log.topic_of(asked.id)
    held = None if topic is None else runs.find(topic)
    # Of one that has failed nothing follows: who asks again wants another one.
    if held is not None and held.customer_id == customer_id and held.status is not RunStatus.FAILED:
        runs.rejoin(held)
        return held, open_at(log, (held.topic,), asked, 0, ring)
    run = runs.join(customer_id)
    gap = Gap(run.topic, asked.text if asked.id is None else asked.id, None)
    return run, Opening(run.beginning, (gap,))
