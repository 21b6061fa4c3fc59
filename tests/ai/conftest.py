"""Models behind real servers, and halts that end with the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from petstore.ai.model import Model
from tests.ai.model_server import ModelServer, Script

Serve = Callable[..., tuple[ModelServer, Model]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that follows a script, and returns it with a model behind it."""
    with ExitStack() as servers:

        def start(script: Script, silence_s: float = 5.0) -> tuple[ModelServer, Model]:
            server = servers.enter_context(ModelServer(script))
            return server, Model("test-model", server.url, "secret", silence_s)

        yield start
