"""Who asks for a run, and under which Idempotency-Key: the one place where the views of runs and chat learn it.

Nobody signs in yet, so everybody is a guest, and who knows a run's id may see it. Must not look anything up.
"""

import hashlib

from flask import request

from petstore.ai import Run
from petstore.api.error import InvalidRequest

MAX_KEY = 255


def caller_id() -> str | None:
    """Return the customer who is signed in, if anybody is."""
    return None


def idempotency_key() -> str | None:
    """Return what a run is found by when its request comes again, or None when the client didn't ask for that.

    Not the key itself, which is the client's to choose: two callers with the same one must not meet.
    """
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return None
    if not 0 < len(text) <= MAX_KEY or not text.isprintable():
        raise InvalidRequest.parameter("Idempotency-Key", f"must be 1 to {MAX_KEY} printable characters")
    return hashlib.sha256(f"{caller_id() or ''}\n{text}".encode()).hexdigest()


def check_may_see(run: Run) -> None:
    """Raise RunNotFound when the caller may not see the run."""
