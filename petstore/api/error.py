"""What the API itself refuses: who may not, who asks too often, for whom there is no place, what breaks the rules, versions that
are no more, models that don't exist, and runs that can't be shown.

Must not know status codes: `problem` has the one table from errors to HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from petstore.sse import Error

Code = Literal["required_field", "invalid_format", "invalid_type", "out_of_range", "unknown_field", "model_not_found"]


REFUSALS = {
    "draining": "this server is about to end; another one takes new streams",
    "full": "this server has no place for another stream, nor for another client that waits for an answer",
    "too-many": "this client has as many streams, and answers that it waits for, as it may",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One rule that was broken.

    `field` names a parameter, or is a path into the body, such as `changes.3.stock`; empty means the whole body.
    """

    field: str
    message: str
    code: Code


class InvalidRequest(Error):
    """The request can't be read: a parameter breaks its rules, or the body isn't JSON."""

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)

    @classmethod
    def parameter(cls, name: str, message: str) -> Self:
        """Return the error of one parameter; `message` goes on from its name: "must be a UUID"."""
        return cls(f"{name} {message}", [FieldError(name, message, "invalid_format")])


class InvalidBody(Error):
    """The body is JSON, but not what this request takes."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("the body breaks the rules of this request; errors says which")
        self.errors = tuple(errors)


class Unauthorized(Error):
    """The request doesn't say, in a way that we believe, who asks. `code` is RFC 6750's, where a token was brought at all."""

    def __init__(self, detail: str, code: str | None = None) -> None:
        super().__init__(detail)
        self.code = code


class Forbidden(Error):
    """The caller's token doesn't allow this: `scopes` are what it lacks."""

    def __init__(self, scopes: Sequence[str]) -> None:
        super().__init__(f"this needs a token with the scope {' and '.join(scopes)}")
        self.scopes = tuple(scopes)


class StreamRefused(Error):
    """There is no place for another stream, or for another client that waits for an answer, for this `reason`.

    There may be one after `retry_after_s` seconds, on another worker or on this one.
    """

    retry_after_s = 2

    def __init__(self, reason: str) -> None:
        super().__init__(REFUSALS[reason])
        self.reason = reason


class RateLimited(Error):
    """There were more requests than the `limit` of a minute; there may be others after `retry_after_s` seconds."""

    def __init__(self, limit: int, retry_after_s: int) -> None:
        super().__init__(f"there were more than {limit} requests in this minute")
        self.limit = limit
        self.retry_after_s = retry_after_s


class PreconditionFailed(Error):
    """The resource isn't of the version that the request wants to change: it has the entity tag `etag` by now."""

    def __init__(self, etag: str) -> None:
        super().__init__(f"the resource has changed: its ETag is {etag}")
        self.etag = etag


class ModelNotFound(Error):
    """There is no model of that name to chat with. `models` are the names that there are."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(f"there is no such model; there are {', '.join(models)}")
        self.models = tuple(models)


class RunFailed(Error):
    """A run ended without a result, or took too long. Another one may do better."""

    retry_after_s = 1

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} came to no result")
        self.run_id = run_id


class RunStopped(Error):
    """A run was ended before it had a result, for this `reason`."""

    def __init__(self, run_id: str, reason: str) -> None:
        super().__init__(f"run {run_id} was stopped: {reason}")
        self.run_id = run_id
        self.reason = reason
