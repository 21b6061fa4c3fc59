"""A client's socket that is ours to write to, past the server's own code.

Waking a greenlet and passing a chunk through generator, server and socket layer costs five times as much as the system call
that sends it. So a stream that waits lets the pump call `send` on the bare, non-blocking socket. That's right only where we
know what the server would have put on the wire: gunicorn's asynchronous workers, HTTP/1.1, chunked, no TLS, and nothing wrapped
around the body. Everywhere else `find_outlet` returns None and the stream yields its bytes like any other WSGI body.

Must not decide who writes when: that is the subscription's.
"""

import contextlib
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

from gevent.socket import wait_write

from petstore.sse.error import Error


class Gone(Error):
    """The client can't be written to any more; `stuck` when it was there but took nothing for too long."""

    def __init__(self, *, stuck: bool) -> None:
        super().__init__("the client took nothing for too long" if stuck else "the client is gone")
        self.stuck = stuck


class Outlet:
    """`send` takes what the socket takes now, as a non-blocking `socket.send` does; `write` waits until all is sent."""

    __slots__ = ("_connection", "_stuck_s", "send")

    def __init__(self, connection: Any, stuck_s: float) -> None:
        self._connection = connection
        self._stuck_s = stuck_s
        self.send: Callable[[bytes | memoryview], int] = connection._sock.send

    def write(self, data: bytes | memoryview) -> None:
        """Send all of `data`, however long that takes as long as the client takes something. Raises Gone."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.send(rest) :]
            except BlockingIOError:
                self._wait()
            except OSError as error:
                raise Gone(stuck=False) from error

    def hang_up(self) -> None:
        """Take no further request on this connection: an ending server would wait for one as long as keep-alive lasts.

        What is still written leaves with the end of the connection, in one packet: three would take most of a drain's time.
        """
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)
        if hasattr(socket, "TCP_CORK"):
            with contextlib.suppress(OSError):
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)

    def _wait(self) -> None:
        try:
            wait_write(self._connection.fileno(), timeout=self._stuck_s)
        except TimeoutError:
            # Whoever still writes to this connection, as the server does when the body ends, must fail and not wait.
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            raise Gone(stuck=True) from None


def find_outlet(connection: Any, chunked: bool, caller: FrameType | None, stuck_s: float) -> Outlet | None:
    """Return the outlet of a stream whose body `caller` begins to iterate, or None where the socket isn't ours to write to.

    `chunked` says that the response is HTTP/1.1 and chunked.
    """
    if not chunked or caller is None or not hasattr(connection, "_sock"):
        return None
    # A middleware that changes the body iterates it in gunicorn's place, and must then see every byte.
    by_gunicorn = caller.f_code.co_name == "handle_request" and caller.f_globals.get("__name__") == "gunicorn.workers.base_async"
    return Outlet(connection, stuck_s) if by_gunicorn else None


def chunk(data: bytes) -> bytes:
    """Return `data` as one chunk (RFC 9112 section 7.1)."""
    return b"%X\r\n%b\r\n" % (len(data), data)
