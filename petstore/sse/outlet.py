"""A client's socket that is ours to write to, past the server's own code.

Waking a greenlet and passing a chunk through generator, server and socket layer costs five times as much as the system call
that sends it. So a stream that waits lets the pump write to the bare, non-blocking socket, by its number. And only whoever writes
can tell a client that takes little from one that takes nothing. That's right only where we know what the server would
have put on the wire: gunicorn's asynchronous workers, HTTP/1, and nothing wrapped around the body. Everywhere else
`find_outlet` returns None and the stream yields its bytes like any other WSGI body.

Must not decide who writes when: that is the subscription's.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from gevent.socket import wait_read, wait_write

from petstore.sse.error import Error

STEP_S = 0.5
"""How often a write that waits for its client asks again how long it may: less, from the moment on at which the server ends."""

RECORD = 16 * 1024
"""Bytes of a TLS record. One that was begun must be written again as it was, so no more than that is tried at once."""


class Gone(Error):
    """The client can't be written to any more; `stuck` when it was there but took nothing for too long."""

    def __init__(self, *, stuck: bool) -> None:
        super().__init__("the client took nothing for too long" if stuck else "the client is gone")
        self.stuck = stuck


class Outlet:
    """`send` takes what the socket takes now, as a non-blocking `socket.send` does; `write` waits until all is sent.

    `frame` makes of a piece of the body what stands on the wire, and `shared` says whether others may send, by `send` or to the
    `descriptor`, while we wait: what they send must be chunks, and in TLS a send that failed must be repeated as it was.
    `patience_s` is asked how long a client may take nothing.
    """

    __slots__ = ("_patience_s", "_socket", "descriptor", "frame", "send", "shared")

    def __init__(self, connection: Any, chunked: bool, patience_s: Callable[[], float]) -> None:
        self._socket = connection._sock
        self.descriptor: int = self._socket.fileno()
        self._patience_s = patience_s
        secured = isinstance(connection, ssl.SSLSocket)
        self.shared = chunked and not secured
        self.frame: Callable[[bytes], bytes] = chunk if chunked else bytes
        self.send: Callable[[bytes | memoryview], int] = partial(_send_secured, connection) if secured else self._socket.send

    def write(self, data: bytes | memoryview) -> None:
        """Send all of `data`, however long that takes as long as the client takes something. Raises Gone."""
        rest = memoryview(data)
        waited_s = 0.0
        while rest:
            try:
                rest = rest[self.send(rest) :]
                waited_s = 0.0
            except BlockingIOError:
                waited_s += self._wait(waited_s)
            except OSError as error:
                raise Gone(stuck=False) from error

    def hang_up(self) -> None:
        """Take no further request on this connection: a draining server would wait for one as long as keep-alive lasts.

        What is still written leaves with the end of the connection, in one packet: three would take most of a drain's time.
        """
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)
        if hasattr(socket, "TCP_CORK"):
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)

    def _wait(self, waited_s: float) -> float:
        """Wait until there may be room, but not for long. Returns the seconds that were waited in vain."""
        left_s = self._patience_s() - waited_s
        if left_s <= 0:
            # Whoever still writes to this connection, as the server does when the body ends, must fail and not wait.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            raise Gone(stuck=True)
        step_s = min(STEP_S, left_s)
        try:
            wait_write(self._socket.fileno(), timeout=step_s)
        except TimeoutError:
            return step_s
        return 0.0


def find_outlet(connection: Any, caller: FrameType | None, patience_s: Callable[[], float]) -> Outlet | None:
    """Return the outlet of a stream whose body `caller` begins to iterate, or None where the socket isn't ours to write to.

    A socket that isn't ours but can be seen is watched over by the kernel, which ends it when nothing of what the server writes is
    taken for too long.
    """
    bare = getattr(connection, "_sock", None)
    # A middleware that changes the body iterates it in gunicorn's place, and must then see every byte; and so must HTTP/2. A server
    # in C has no frame of its own.
    if bare is not None and caller is not None and _is_gunicorn(caller):
        # As gunicorn has told the client, which is its own business: HTTP/1.2 is chunked, and under uwsgi nothing is.
        return Outlet(connection, caller.f_locals["resp"].chunked, patience_s)
    watched = bare or connection  # Outside of gevent the one that's shown is the bare one.
    if hasattr(watched, "setsockopt") and hasattr(socket, "TCP_USER_TIMEOUT"):
        with contextlib.suppress(OSError):
            watched.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience_s() * 1000))
    return None


def _is_gunicorn(caller: FrameType) -> bool:
    return caller.f_code.co_name == "handle_request" and caller.f_globals.get("__name__") == "gunicorn.workers.base_async"


def chunk(data: bytes) -> bytes:
    """Return `data` as one chunk (RFC 9112 section 7.1)."""
    return b"%X\r\n%b\r\n" % (len(data), data)


def _send_secured(connection: Any, data: bytes | memoryview) -> int:
    try:
        sent: int = connection._sslobj.write(data[:RECORD])
    except ssl.SSLWantWriteError as error:
        raise BlockingIOError from error
    except ssl.SSLWantReadError:
        # The protocol has something to say first. A wait for that in vain fails with a TimeoutError, which is an OSError.
        wait_read(connection.fileno(), timeout=STEP_S)
        return 0
    return sent
