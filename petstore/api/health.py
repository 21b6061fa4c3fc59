"""Whether the process answers, and whether it takes new streams: two questions, because the cures differ.

A process that doesn't answer is replaced; one that takes no streams only gets no new ones, and keeps those it has.
"""

from flask import Blueprint, jsonify
from werkzeug import Response

from petstore.api.problem import problem
from petstore.api.services import services

blueprint = Blueprint("health", __name__)

RETRY_AFTER_S = 2


@blueprint.get("/healthz")
def tell_health() -> Response:
    """Answer. Nothing else is touched, so that a slow database never gets a working process killed."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def tell_readiness() -> Response:
    """Say whether this worker takes new streams; LogUnavailable becomes a 503 by itself."""
    services().log.head()
    reason = services().refusal()
    if reason is None:
        return jsonify(status="ok")
    return problem(503, f"the server takes no new streams: it is {reason}", headers={"Retry-After": str(RETRY_AFTER_S)})
