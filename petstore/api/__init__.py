"""The API room: Flask blueprints for /v1. Each view is parse, one call, render; the shop and the core do the work.

Other rooms use `register`, and the Services that it needs.
"""

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from petstore.api import chat, health, inventory, metrics, orders, pets, recommendations, runs, streams
from petstore.api.cors import register_cors
from petstore.api.problem import register_error_handlers
from petstore.api.services import Services as Services

BLUEPRINTS = (
    health.blueprint,
    metrics.blueprint,
    inventory.blueprint,
    orders.blueprint,
    pets.blueprint,
    chat.blueprint,
    runs.blueprint,
    # The streams:
    recommendations.blueprint,
    streams.blueprint,
)


class _JsonInOrder(DefaultJSONProvider):
    """Flask's JSON, with members in the order in which they are rendered: a reader meets the id first."""

    sort_keys = False


def register(app: Flask) -> None:
    """Give `app`, which has its Services already, everything under /v1, its health, problems for errors, and CORS."""
    app.json = _JsonInOrder(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    register_error_handlers(app)
    register_cors(app)
