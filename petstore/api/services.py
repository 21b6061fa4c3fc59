"""The parts that the views work with, made by the composition root and reached through the Flask application.

Must not make or start anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import current_app

from petstore.ai import Audience, Runs
from petstore.api.caller import Trust
from petstore.api.windows import Windows
from petstore.settings import Settings
from petstore.shop import Passwords
from petstore.sse import Admission, EventLog, Feed, Terms


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a view may call."""

    settings: Settings
    log: EventLog
    feed: Feed
    admission: Admission
    terms: Terms
    runs: Runs
    audience: Audience
    trust: Trust
    passwords: Passwords
    windows: Windows

    def refusal(self, holders: Sequence[str] = ()) -> str | None:
        """Return why no new stream is taken just now: `draining`, `full` or `too-many`; None when one is."""
        return "draining" if self.feed.draining else self.admission.refusal(holders)


def services() -> Services:
    """Return the services of the application that handles the current request."""
    # Asked for several times in each request: the object itself costs a third of what its proxy does.
    found: Services = current_app._get_current_object().extensions["petstore"]  # type: ignore[attr-defined]
    return found
