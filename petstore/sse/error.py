"""The root of the one error tree, and the errors of the streaming core.

An error carries facts as attributes and renders its message here, in one place. Nothing in this module knows HTTP:
the API has one table from these classes to status codes.
"""


class Error(Exception):
    """Everything that this package, and what is built on it, raises on purpose."""


class InvalidEvent(Error):
    """An event that can't be put on the wire without breaking out of its frame.

    `field` is the offending field's name.
    """

    def __init__(self, field: str) -> None:
        super().__init__(f"the {field} of an event must be one line of text without NUL")
        self.field = field


class InvalidCursor(Error):
    """A cursor, or a `since`, that a person wrote and that can't be read.

    `parameter` names where it stood, `reason` says what is allowed.
    """

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"{parameter} {reason}")
        self.parameter = parameter
        self.reason = reason


class LogUnavailable(Error):
    """The database behind the event log did not answer: locked for too long, full, or gone.

    Nothing of the unit of work was kept; it may be tried again after `retry_after_s` seconds.
    """

    def __init__(self, cause: str, retry_after_s: int = 1) -> None:
        super().__init__(f"the event log did not answer: {cause}")
        self.cause = cause
        self.retry_after_s = retry_after_s


class Overtaken(LogUnavailable):
    """Retention has removed events that were still to be taken: what follows them has a gap before it, which is yet to be told."""

    def __init__(self) -> None:
        super().__init__("retention was faster")
