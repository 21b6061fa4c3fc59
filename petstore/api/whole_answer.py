"""Clients that wait for a whole answer, which a run makes for them: a place for each, and the events of the run when it's over.

Must not know what is made of the events, nor how runs are begun.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import request

from petstore.api.address import CONNECTION
from petstore.api.error import StreamRefused
from petstore.api.event_stream import holders_of
from petstore.api.services import services
from petstore.sse import Event


@contextmanager
def place_to_wait(customer_id: str | None) -> Iterator[None]:
    """Hold a place among the streams while a client waits. Raises StreamRefused where there is none.

    Such a client holds a connection for as long as a stream's does, so it's counted like one. Taken before the answer is begun:
    what nobody could wait for isn't made.
    """
    admission, holders = services().admission, holders_of(customer_id)
    reason = admission.refusal(holders)
    if reason is not None:
        raise StreamRefused(reason)
    admission.take(holders)
    try:
        yield
    finally:
        admission.give_back(holders)


def wait_for_end(topic: str, timeout_s: float) -> list[Event]:
    """Return all events of a run; not the last one, if it takes too long or the client leaves.

    Called within `place_to_wait`. A server that is about to end waits for nobody either.
    """
    parts, connection = services(), request.environ.get(CONNECTION)
    return parts.audience.collect(parts.feed, topic, timeout_s, lambda: not parts.feed.draining and _is_there(connection))


def _is_there(connection: Any) -> bool:
    """Say whether the client has not hung up, as far as its socket tells."""
    if connection is None or isinstance(connection, ssl.SSLSocket):
        return True  # TLS may make a socket readable without a client's word.
    connection = getattr(connection, "_sock", connection)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
    except OSError:
        return False
