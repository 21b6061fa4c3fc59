"""The API room: Flask blueprints for /v1. Each view is parse, one call, render; the shop and the core do the work.

Other rooms use `Application` and `register`, and the Services that it needs.
"""

from flask import Flask

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
from petstore.api.access import register_links
from petstore.api.application import Application as Application
from petstore.api.cors import register_cors
from petstore.api.event_stream import register_goodbyes
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


def register(app: Flask) -> None:
    """Give `app`, which has its Services already, everything under /v1, its health, problems for errors, and CORS."""
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    register_error_handlers(app)
    register_goodbyes(app)  # After the problems: it takes some of them over.
    register_cors(app)
    register_tenant(app)
    register_links(app)
    register_rate_limits(app)
