"""What a server keeps to on all its streams, and the goodbye that it says when it can't serve one now.

Must not know a single stream.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from petstore.sse.event import PLAIN, Form, encode_control, encode_start


@dataclass(frozen=True, slots=True)
class Terms:
    """What a server keeps to on all its streams.

    `retry_ms` is what clients are told to wait before they come back, `drain_spread_s` over how many seconds more they are
    spread when many must come back at once, `stuck_s` how long a client may take nothing while we have something for it, and
    `failure` the data of the `error` event when a stream fails on our side.
    """

    heartbeat_s: float = 15.0
    retry_ms: int = 2000
    drain_spread_s: float = 5.0
    stuck_s: float = 60.0
    failure: Mapping[str, Any] = field(default_factory=lambda: {"title": "Internal Server Error", "status": 500})


def goodbye(terms: Terms, reason: str, form: Form = PLAIN) -> bytes:
    """Return the end of a stream that the server can't serve now: when to come back, jittered, and why (`full`, `draining`).

    A browser's EventSource gives up for good on any status but 200, so this is how one is refused.
    """
    retry_ms = terms.retry_ms + random.randint(0, int(terms.drain_spread_s * 1000))
    start = encode_start(retry_ms, "goodbye", form) if form.dialect is None else b""
    return start + encode_control("goodbye", {"reason": reason}, form)
