"""CORS: which other origins' pages may call us, by PETSTORE_CORS_ORIGINS: none by default, and then no header is sent.

Must not allow credentials: tokens travel in headers and links, never in cookies.
"""

from collections.abc import Sequence
from functools import partial

from flask import Flask, request
from werkzeug import Response

from petstore.api.services import Services

ALLOWED_HEADERS = (
    "Authorization, Cache-Control, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Tenant-ID, *"
)
"""Those that we read; and whatever else a client library adds, such as the dozen of OpenAI's. The star doesn't stand for the first,
nor is it understood by old browsers."""

EXPOSED_HEADERS = (
    "ETag, Idempotency-Replayed, Link, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, "
    "WWW-Authenticate, X-Should-Retry"
)

MAX_AGE_S = 600
"""How long a browser may remember a preflight's answer."""


def register_cors(app: Flask) -> None:
    """Add the headers to every response, problems and streams included, where any origin may call."""
    services: Services = app.extensions["petstore"]
    origins = services.settings.cors_origins
    if origins:
        app.after_request(partial(_allow, origins))


def _allow(origins: Sequence[str], response: Response) -> Response:
    origin = request.headers.get("Origin")
    anyone = origins == ("*",)
    if not anyone:
        # Without it a cache would give one origin's answer to another.
        response.headers.add("Vary", "Origin")
    if origin is None or not (anyone or origin in origins):
        return response
    response.headers["Access-Control-Allow-Origin"] = "*" if anyone else origin
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = str(MAX_AGE_S)
    return response
