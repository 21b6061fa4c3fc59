"""The API room: Flask blueprints for /v1. Each view is parse, one call, render; the shop and the core do the work.

Other rooms use `register`, and the Services that it needs.
"""

from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider
from werkzeug.routing import BaseConverter

from petstore.api import (
    chat,
    description,
    health,
    images,
    inventory,
    metrics,
    orders,
    payments,
    pets,
    recommendations,
    runs,
    streams,
    tokens,
    users,
)
from petstore.api.cors import register_cors
from petstore.api.problem import register_error_handlers
from petstore.api.rate_limit import register_rate_limits
from petstore.api.services import Services as Services
from petstore.api.tenant import register_tenant

BLUEPRINTS = (
    health.blueprint,
    metrics.blueprint,
    description.blueprint,
    inventory.blueprint,
    orders.blueprint,
    payments.blueprint,
    pets.blueprint,
    images.blueprint,
    tokens.blueprint,
    users.blueprint,
    chat.blueprint,
    runs.blueprint,
    # The streams:
    recommendations.blueprint,
    streams.blueprint,
)


class _Variable(BaseConverter):
    """A variable of a path, which is never one of the words that stand in the same place in another route.

    Otherwise PATCH /v1/inventory/stream would be a change of the pet called stream, and not a wrong method.
    """

    regex = "(?!(?:stream|recommendations)$)[^/]+"
    part_isolating = True


class _JsonInOrder(DefaultJSONProvider):
    """Flask's JSON, with members in the order in which they are rendered: a reader meets the id first."""

    sort_keys = False


def register(app: Flask) -> None:
    """Give `app`, which has its Services already, everything under /v1, its health, problems for errors, and CORS."""
    app.json = _JsonInOrder(app)
    app.url_map.converters["default"] = _Variable
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    register_error_handlers(app)
    register_cors(app)
    register_tenant(app)
    register_rate_limits(app)
    app.after_request(_describe_no_body)


def _describe_no_body(response: Response) -> Response:
    """Take off what Flask says of a body where there is none."""
    if response.status_code == 204:
        response.headers.pop("Content-Type", None)
    return response
