"""Whether the process answers, and whether it takes new streams: two questions, because the cures differ.

A process that doesn't answer is replaced; one that takes no streams only gets no new ones, and keeps those it has.
"""

from typing import Literal

from flask import Blueprint
from werkzeug import Response

from petstore.api.error import StreamRefused
from petstore.api.operation import Operation
from petstore.api.problem import problem
from petstore.api.services import services
from petstore.api.wire import Representation, respond

blueprint = Blueprint("health", __name__)


class Health(Representation):
    """Nothing is wrong."""

    status: Literal["ok"] = "ok"


@blueprint.get("/healthz")
@Operation("getHealth", answers={200: Health})
def tell_health() -> Response:
    """Say that the process answers.

    Nothing else is touched, so that a slow database never gets a working process killed.
    """
    return respond(Health())


@blueprint.get("/readyz")
@Operation("getReadiness", answers={200: Health}, problems=[503])
def tell_readiness() -> Response:
    """Say whether this worker takes new streams.

    It doesn't while it ends, when it is full, and when the database does not answer.
    """
    # LogUnavailable becomes a 503 by itself.
    services().log.head()
    reason = services().refusal()
    if reason is None:
        return respond(Health())
    return problem(
        503, f"the server takes no new streams: it is {reason}", headers={"Retry-After": str(StreamRefused.retry_after_s)}
    )
