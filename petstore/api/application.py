"""Flask as this API uses it: JSON members in their order, path variables that never match another route's word, and neither cookie
sessions nor asynchronous views, which every request would pay for.

Must not know any route.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from flask.json.provider import DefaultJSONProvider
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import BaseConverter


class _Variable(BaseConverter):
    """A variable of a path, which is never one of the words that stand in the same place in another route.

    Otherwise PATCH /v1/inventory/stream would be a change of the pet called stream, and not a wrong method.
    """

    regex = "(?!(?:stream|recommendations)$)[^/]+"
    part_isolating = True


class _JsonInOrder(DefaultJSONProvider):
    """Flask's JSON, with members in the order in which they are rendered: a reader meets the id first."""

    sort_keys = False


class _NoSessions(SessionInterface):
    """Gives every request the same session, which holds nothing and refuses to."""

    def __init__(self) -> None:
        self._none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none


class Application(Flask):
    """The application, to be filled by `petstore.api.register`."""

    json_provider_class = _JsonInOrder
    session_interface = _NoSessions()

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.url_map.converters["default"] = _Variable

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, without the look whether it's asynchronous that Flask takes at each of them in each request."""
        return func
