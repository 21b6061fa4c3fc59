"""Idempotency-Key: a POST that is sent again, because its answer was lost, gets that answer and creates nothing more.

A key is its caller's own: a signed-in user's wherever they are, a guest's from the same address. Guests share addresses, so a key
of theirs has to be one that nobody else comes up with. Must not know what is created.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Annotated, Literal

from flask import Response, request
from pydantic import Field

from petstore.ai import Run
from petstore.api.access import caller_key, current_caller
from petstore.api.body import Body
from petstore.api.error import InvalidRequest
from petstore.api.parameter import Header
from petstore.api.services import services
from petstore.api.tenant import requested_shop, together
from petstore.shop import Key, Shop
from petstore.shop import once as shop_once

_PATTERN = "^[!-~]{1,255}$"

_UUID = re.compile("[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")

IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    Annotated[str, Field(pattern=_PATTERN, examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"])],
    "Names this request, for 24 hours: sent again, it is answered as it was the first time; another one with this key is 422. "
    "Of who brings no bearer token it has to contain a UUID: nothing else tells two guests apart.",
)

REPLAYED = Header("Idempotency-Replayed", Literal["true"], "The answer was given before, to the same request.")

KEPT_HEADERS = ("Content-Type", "ETag", "Location")


def once(body: Body, act: Callable[[Shop], Response]) -> Response:
    """Return what `act` answers, or what it answered to this caller's request with the same Idempotency-Key.

    With a key, `act` runs in one transaction with it, with the shop that it's handed, and must use no other. Raises
    InvalidRequest, KeyReused.
    """
    given = _given()
    if given is None:
        return act(requested_shop())
    key = Key(caller_key(), given, _fingerprint(body))
    answer, replayed = together(lambda shop: shop_once(shop, key, lambda shop: _dump(act(shop))))
    response = _load(answer)
    if replayed:
        response.headers[REPLAYED.name] = "true"
    return response


def run_key() -> str | None:
    """Return what a run is found by when its request comes again, None when the client didn't ask for that.

    Not the key itself, which is the client's to choose: two callers with the same one must not meet. Raises InvalidRequest.
    """
    given = _given()
    if given is None:
        return None
    return hashlib.sha256("\n".join((requested_shop().tenant, caller_key(), given)).encode()).hexdigest()


def replay_headers(run: Run) -> dict[str, str]:
    """Return what tells that a run is the one that an earlier request with its key has started."""
    return {REPLAYED.name: "true"} if run.replayed else {}


def _given() -> str | None:
    given = request.headers.get(IDEMPOTENCY_KEY.name)
    if given is not None and not re.fullmatch(_PATTERN, given):
        raise InvalidRequest.parameter(IDEMPOTENCY_KEY.name, "must have 1 to 255 characters, all of them visible ASCII")
    if given is not None and current_caller().user_id is None and not _UUID.search(given):
        raise InvalidRequest.parameter(
            IDEMPOTENCY_KEY.name, "must contain a UUID, made for this request, where nobody is signed in"
        )
    return given


def _fingerprint(body: Body) -> str:
    """Return a digest of what is asked. Keyed, since a card's number could be guessed from a plain one."""
    asked = "\n".join((request.method, request.path, body.model_dump_json()))
    return hmac.new(services().settings.secret_key.encode(), asked.encode(), "sha256").hexdigest()


def _dump(response: Response) -> str:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return json.dumps([response.status_code, headers, response.get_data(as_text=True)])


def _load(answer: str) -> Response:
    status, headers, content = json.loads(answer)
    return Response(content, status, headers)
