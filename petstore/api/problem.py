"""Problems (RFC 9457): what every refusal and failure looks like, and the one table from our errors to HTTP.

Must not tell more than the client may know: nothing of an unexpected error, and no query string: it may hold a token.
"""

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

from flask import Flask, Response, request
from pydantic import BaseModel, ConfigDict, Field
from werkzeug import Response as AnyResponse
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from petstore.ai import RunEnded, RunNotFound
from petstore.api.error import (
    Code,
    FieldError,
    Forbidden,
    InvalidBody,
    InvalidRequest,
    ModelNotFound,
    PreconditionFailed,
    RateLimited,
    RunFailed,
    RunStopped,
    StreamRefused,
    Unauthorized,
)
from petstore.api.wire import Representation
from petstore.shop import (
    CustomerNotFound,
    KeyReused,
    OrderNotFound,
    OutOfStock,
    PaymentNotFound,
    PetNotFound,
    SharedAccount,
    SignInBusy,
    TooManyLikes,
    TooManyPhotos,
    TooManyTenants,
    UsernameTaken,
    WrongAmount,
    WrongState,
)
from petstore.sse import Error, InvalidCursor, LogUnavailable

CONTENT_TYPE = "application/problem+json"

REALM = "petstore"
"""What a bearer token is for, in a challenge (RFC 6750 section 3)."""

TYPES = "https://petstoreapi.com/errors/"

UPSTREAM = {
    400: ("bad-request", "Bad Request"),
    401: ("unauthorized", "Unauthorized"),
    403: ("forbidden", "Forbidden"),
    404: ("not-found", "Not Found"),
    405: ("method-not-allowed", "Method Not Allowed"),
    422: ("validation-error", "Validation Error"),
    429: ("rate-limit-exceeded", "Too Many Requests"),
    500: ("internal-server-error", "Internal Server Error"),
}
"""The types and titles that the Modern PetstoreAPI publishes. Other statuses are named in the same way."""

_RENAMED = {413: "Content Too Large"}  # RFC 9110's name; werkzeug has the one before.

_DETAILS = {
    404: "there is nothing at this path",
    405: "this path does not take this method; Allow says which it takes",
    413: "the body is larger than this server accepts",
}
"""Instead of werkzeug's, which speak to somebody with a browser."""

logger = logging.getLogger(__name__)


class WrongField(Representation):
    """One rule that was broken.

    `field` names a parameter, or is a path into the body, such as `changes.3.stock`; empty means the whole body.
    """

    field: str
    message: str
    code: Code


class OpenAIError(Representation):
    """What went wrong, as OpenAI's clients want to be told."""

    message: Annotated[str, Field(examples=["messages: is required"])]
    type: Literal["invalid_request_error", "server_error"]
    param: Annotated[str | None, Field(examples=["messages"])]
    code: Annotated[str | None, Field(examples=["required_field"])]


class Problem(BaseModel):
    """What every refusal and failure looks like (RFC 9457), sent as application/problem+json."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(json_schema_extra={"format": "uri"}, examples=[TYPES + "not-found"])]
    title: Annotated[str, Field(examples=["Not Found"])]
    status: Annotated[int, Field(ge=400, le=599, examples=[404])]
    detail: Annotated[str, Field(examples=["there is nothing at this path"])] = ""
    instance: Annotated[str, Field(description="The path that was asked for.", examples=["/v1/nothing"])] = ""
    errors: list[WrongField] = []
    error: Annotated[OpenAIError | None, Field(description="The same for OpenAI's clients: of chat and models alone.")] = None


def describe(
    status: int, detail: str | None = None, errors: Sequence[FieldError] = (), instance: str | None = None
) -> dict[str, Any]:
    """Return the members of a problem; those that are not given are left out."""
    title = _RENAMED.get(status) or HTTP_STATUS_CODES.get(status, "Unknown Error")
    slug, title = UPSTREAM.get(status) or (title.lower().replace(" ", "-"), title)
    members: dict[str, Any] = {"type": TYPES + slug, "title": title, "status": status}
    if detail is not None:
        members["detail"] = detail
    if instance is not None:
        members["instance"] = instance
    if errors:
        members["errors"] = [dataclasses.asdict(error) for error in errors]
    return members


def problem(
    status: int,
    detail: str | None = None,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem as the answer to the current request."""
    body = json.dumps(describe(status, detail, errors, instance=quote(request.path)))
    return Response(body + "\n", status, headers, content_type=CONTENT_TYPE)


def answer(error: Error) -> Response:
    """Return the answer to the current request that an error of ours makes, by the table."""
    return next(_ANSWERS[kind] for kind in type(error).__mro__ if kind in _ANSWERS)(error)


def register_error_handlers(app: Flask) -> None:
    """Make every error that leaves a view a problem: ours by the table, HTTP's by their status, all others as a 500."""
    for kind, make in _ANSWERS.items():
        app.register_error_handler(kind, make)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_unexpected)


def _with_status(status: int) -> Callable[[Error], Response]:
    return lambda error: problem(status, str(error))


def _answer_request(error: InvalidRequest) -> Response:
    return problem(400, str(error), error.errors)


def _answer_body(error: InvalidBody) -> Response:
    return problem(422, str(error), error.errors)


def _answer_amount(error: WrongAmount) -> Response:
    return problem(409, str(error), [FieldError("amount", f"must be {error.total}", "invalid_format")])


def _answer_model(error: ModelNotFound) -> Response:
    return problem(404, str(error), [FieldError("model", f"must be one of {', '.join(error.models)}", "model_not_found")])


def _answer_unauthorized(error: Unauthorized) -> Response:
    parts = [f'Bearer realm="{REALM}"']
    if error.code is not None:
        parts += [f'error="{error.code}"', f'error_description="{error}"']
    return problem(401, str(error), headers={"WWW-Authenticate": ", ".join(parts)})


def _answer_forbidden(error: Forbidden) -> Response:
    challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{" ".join(error.scopes)}"'
    return problem(403, str(error), headers={"WWW-Authenticate": challenge})


def _answer_later(status: int) -> Callable[[Any], Response]:
    return lambda error: problem(status, str(error), headers={"Retry-After": str(error.retry_after_s)})


def _answer_cursor(error: InvalidCursor) -> Response:
    return problem(400, str(error), [FieldError(error.parameter, error.reason, "invalid_format")])


def _answer_log_unavailable(error: LogUnavailable) -> Response:
    # The cause is a driver's text: it's for the log, where an operator needs it.
    logger.error("%s %r was not served: %s", request.method, request.path, error)
    retry = {"Retry-After": str(error.retry_after_s)}
    return problem(503, "the database did not answer; nothing was changed", headers=retry)


def _answer_run_stopped(error: RunStopped) -> Response:
    # OpenAI's clients try again after a 409 by themselves, which would begin what somebody has just stopped.
    return problem(409, str(error), headers={"X-Should-Retry": "false"})


def _answer_http(error: HTTPException) -> AnyResponse:
    if error.response is not None or error.code is None:
        # A view has aborted with a whole answer of its own.
        return error.get_response(request.environ)
    headers = {name: value for name, value in error.get_headers(request.environ) if name != "Content-Type"}
    return problem(error.code, _DETAILS.get(error.code, error.description), headers=headers)


def _answer_unexpected(error: Exception) -> Response:
    # %r: a path may hold line breaks, and must not be able to forge a line of the log.
    logger.error("%s %r failed", request.method, request.path, exc_info=error)
    return problem(500)


_ANSWERS: dict[type[Error], Callable[[Any], Response]] = {
    InvalidRequest: _answer_request,
    InvalidBody: _answer_body,
    InvalidCursor: _answer_cursor,
    Unauthorized: _answer_unauthorized,
    Forbidden: _answer_forbidden,
    RateLimited: _answer_later(429),
    StreamRefused: _answer_later(503),
    SignInBusy: _answer_later(503),
    LogUnavailable: _answer_log_unavailable,
    PetNotFound: _with_status(404),
    OrderNotFound: _with_status(404),
    PaymentNotFound: _with_status(404),
    CustomerNotFound: _with_status(404),
    RunNotFound: _with_status(404),
    RunEnded: _with_status(409),
    ModelNotFound: _answer_model,
    KeyReused: _with_status(422),
    OutOfStock: _with_status(409),
    UsernameTaken: _with_status(409),
    SharedAccount: _with_status(409),
    TooManyLikes: _with_status(409),
    TooManyPhotos: _with_status(409),
    WrongState: _with_status(409),
    TooManyTenants: _with_status(403),
    PreconditionFailed: _with_status(412),
    WrongAmount: _answer_amount,
    RunFailed: _answer_later(503),
    RunStopped: _answer_run_stopped,
}
