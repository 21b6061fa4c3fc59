"""What a server keeps to on all its streams, and the goodbye that it says when it can't serve one now.

Must not know a single stream.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from petstore.sse.event import PLAIN, Form, encode_comment, encode_control, encode_retry

FAILURE = {"type": "about:blank", "title": "Internal Server Error", "status": 500}
"""A problem (RFC 9457) that tells no more than that."""


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
    failure: Mapping[str, Any] = field(default_factory=lambda: dict(FAILURE))


def goodbye(terms: Terms, reason: str, form: Form = PLAIN) -> bytes:
    """Return the end of a stream that the server can't serve now: when to come back, jittered, and why (`full`, `draining` ...).

    A browser's EventSource gives up for good on any status but 200, so this is how one is refused.
    """
    retry_ms = terms.retry_ms + random.randint(0, int(terms.drain_spread_s * 1000))
    start = encode_retry(retry_ms) if form.dialect is None else b""
    return start + _goodbye(reason, form)


@lru_cache(maxsize=64)
def _goodbye(reason: str, form: Form) -> bytes:
    # Thousands of streams are told the same at once.
    start = encode_comment("goodbye") if form.dialect is None else b""
    return start + encode_control("goodbye", {"reason": reason}, form)
