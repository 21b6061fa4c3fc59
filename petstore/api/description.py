"""The OpenAPI document, served as JSON and as YAML: what it says is what the server does.

Made once in each worker, when it's first asked for.
"""

import json
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from gevent import get_hub

from petstore.api.openapi import describe_api, to_yaml
from petstore.api.operation import Answer, Operation
from petstore.sse import close_own_loop

blueprint = Blueprint("openapi", __name__, url_prefix="/v1")

YAML = "application/yaml"


@blueprint.get("/openapi.json")
@Operation("getOpenapiJson", answers={200: Answer("application/json", description="An OpenAPI document.")})
def get_json() -> Response:
    """Return this description as JSON."""
    return Response(_texts()[0], content_type="application/json")


@blueprint.get("/openapi.yaml")
@Operation("getOpenapiYaml", answers={200: Answer(YAML, description="An OpenAPI document.")})
def get_yaml() -> Response:
    """Return this description as YAML."""
    return Response(_texts()[1], content_type=YAML)


def _texts() -> tuple[str, str]:
    app: Any = current_app
    if "petstore.openapi" not in app.extensions:
        try:
            # Some 50 ms of work, which must not stop the event loop.
            app.extensions["petstore.openapi"] = get_hub().threadpool.apply(_write, (app._get_current_object(),))
        finally:
            close_own_loop()
    texts: tuple[str, str] = app.extensions["petstore.openapi"]
    return texts


def _write(app: Flask) -> tuple[str, str]:
    document = describe_api(app)
    return json.dumps(document, ensure_ascii=False) + "\n", to_yaml(document)
