"""What the API itself refuses: parameters and bodies that break its rules, and runs that came to nothing.

Must not know status codes: `problem` has the one table from errors to HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from petstore.sse import Error

Code = Literal["required_field", "invalid_format", "invalid_type", "out_of_range", "unknown_field"]


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
    def parameter(cls, name: str, message: str, code: Code = "invalid_format") -> Self:
        """Return the error of one parameter; `message` goes on from its name: "must be a UUID"."""
        return cls(f"{name} {message}", [FieldError(name, message, code)])


class InvalidBody(Error):
    """The body is JSON, but not what this request takes."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("the body breaks the rules of this request; errors says which")
        self.errors = tuple(errors)


class RunFailed(Error):
    """A run ended without a result, or took too long. `retryable` says that another one may do better."""

    def __init__(self, run_id: str, *, retryable: bool = False) -> None:
        super().__init__(f"run {run_id} came to no result")
        self.run_id = run_id
        self.retryable = retryable
