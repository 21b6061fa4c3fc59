"""The application and one address more: what its worker holds in memory, which only the worker itself can tell.

For tests alone. What was there when the worker began isn't counted: it's frozen (see `Background.watch`). Must not change how
anything else is answered: gunicorn is handed the very same bodies.
"""

# ruff: noqa: I001
from wsgi import app  # First, because it patches.

import gc
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from greenlet import greenlet

from petstore.sse import Stream
from petstore.sse.heartbeat import Heartbeat
from petstore.sse.subscription import Subscription
from tests.live.measure import COUNTS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

COUNTED = {"greenlets": greenlet, "streams": Stream, "subscriptions": Subscription, "heartbeats": Heartbeat}

answer = app.wsgi_app


def answer_or_count(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    if environ["PATH_INFO"] != COUNTS:
        return answer(environ, start_response)
    gc.collect()
    alive = [thing for thing in gc.get_objects() if not (isinstance(thing, greenlet) and thing.dead)]
    counts = {name: sum(isinstance(thing, kind) for thing in alive) for name, kind in COUNTED.items()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(counts).encode()]


app.wsgi_app = answer_or_count  # type: ignore[method-assign]
