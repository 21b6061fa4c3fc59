"""gunicorn's gevent worker, except that it ends at once: it stops accepting, and exits with its last connection.

gunicorn's own looks once a second whether it should end, takes connections until then, and once a second again whether the last
one has gone. In a reload that would refuse streams which the other workers take, and cost two of the seconds that the streams have
to say goodbye. And on Ctrl-C it would be gone in a tenth of a second, whoever it was talking to.

Must not know what the connections are for.
"""

import contextlib
import fcntl
import os
import resource
import signal
import ssl
import sys
import time
from functools import partial
from queue import SimpleQueue
from typing import Any

import gevent
from gevent.event import Event as Flag
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

END_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""What tells a worker to end. Ctrl-C reaches every process of a terminal, and gunicorn hands it on as QUIT: all three are one."""

LAST_S = 3.0
"""What is left of the time that gunicorn gives us, after which it kills: to end what would not, and to hand over what we hold."""

HANDSHAKE_S = 5.0
"""How long we wait for each word of a client that sets up TLS."""

TICK_S = 1.0
"""How often the worker tells gunicorn that it lives, and sees whether gunicorn still does."""


class DrainingWorker(GeventWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Calls `drain`, which whoever holds connections open may set, when it has begun to end."""

    SIGNALS = tuple(number for number in GeventWorker.SIGNALS if number not in END_SIGNALS)
    """What gunicorn sets back to what the system does, before it sets its own handlers. Not ours, which would kill in between."""

    def __init__(self, *arguments: Any) -> None:
        self._ending = Flag()
        super().__init__(*arguments)

    @property
    def alive(self) -> bool:
        """Whether it goes on; set to False by gunicorn, on a signal and after `max_requests`."""
        return not self._ending.is_set()

    @alive.setter
    def alive(self, alive: bool) -> None:
        if not alive:
            self._ending.set()

    def drain(self) -> None:
        pass

    def heed(self, told: SimpleQueue[Any]) -> None:
        """Listen from now on to whoever ends us. `told` are the signals that came before, which gunicorn took for its own.

        It listens when it has patched and imported much. What comes until then would be lost, and we'd be killed ten seconds later.
        """
        for number in END_SIGNALS:
            signal.signal(number, self.handle_exit)
        while not told.empty():
            if told.get_nowait() in END_SIGNALS:
                self.alive = False

    def handle_quit(self, number: int, frame: Any) -> None:
        """End as on TERM; gunicorn itself would leave the process a tenth of a second later, wherever that is then."""
        self.handle_exit(number, frame)

    def init_process(self) -> None:
        """Do all that a worker does. Once it has ended, it can't be told to any more."""
        try:
            super().init_process()
        finally:
            for number in END_SIGNALS:
                signal.signal(number, signal.SIG_IGN)  # Else Python's own end would give it back its power to kill.

    def load_wsgi(self) -> None:
        if not self.alive:
            sys.exit()  # It would take most of the start, for nothing.
        super().load_wsgi()

    def run(self) -> None:
        """Serve until the end, then wait for the connections that are left, as long as `graceful_timeout` allows, less LAST_S."""
        for number in END_SIGNALS:
            # A handler of gevent's wakes a loop that waits; Python's own would be called when something else has.
            gevent.signal_handler(number, self.handle_exit, int(number), None)
        _make_room(self.sockets[0].fileno(), self.worker_connections)
        # Not at once: gevent would wait for a client's first word without an end. See `handle`.
        secured = {"ssl_context": ssl_context(self.cfg), "do_handshake_on_connect": False} if self.cfg.is_ssl else {}
        servers = [self._serve(listener, secured) for listener in self.sockets]
        while not self._ending.wait(TICK_S):
            self.notify()
        # First of all, so that whoever asks in between is told; then the other workers take what comes.
        self.drain()
        for server in servers:
            handle = server.handle
            server.close()
            server.handle = handle  # Which a connection asks for only after its TLS is set up.
        self._leave([server.pool for server in servers])

    def handle(self, listener: Any, client: Any, address: Any) -> None:
        """Serve a connection. A TLS client that doesn't say its first words is sent away like one that asks for nothing."""
        if isinstance(client, ssl.SSLSocket):
            client.settimeout(HANDSHAKE_S)
            try:
                client.do_handshake()
            except OSError as error:
                self.log.debug("no TLS with %s: %s", address, error)
                client.close()
                return
        super().handle(listener, client, address)

    def _serve(self, listener: Any, secured: dict[str, Any]) -> StreamServer:
        listener.setblocking(True)
        server = StreamServer(listener, partial(self.handle, _Name(listener)), spawn=Pool(self.worker_connections), **secured)
        if self.cfg.workers > 1:
            server.max_accept = 1  # What one doesn't take is left to the others.
        server.start()
        return server

    def _leave(self, pools: list[Pool]) -> None:
        patience_s = self.cfg.graceful_timeout
        until = time.monotonic() + patience_s - min(LAST_S, patience_s / 2)
        while not all(pool.join(TICK_S / 2) for pool in pools):
            self.notify()
            if time.monotonic() > until:
                self.log.warning("%s connections would not end", sum(map(len, pools)))
                for pool in pools:
                    pool.kill(timeout=TICK_S)
                return


def _make_room(descriptor: int, count: int) -> None:
    """Have the table of our open files be large enough for `count` of them, by opening `descriptor` once more under a high number.

    Left to itself it grows with the 256th, the 512th and so on, and in a process with threads Linux waits each time for all
    processors: 10,000 clients that connect would have everybody wait five times, for 10 to 50 ms.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError):  # It's only slower without.
        os.close(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, min(count, most - 1)))


class _Name:
    """The name of a listening socket, which its connections ask for: some are accepted just before it's closed."""

    def __init__(self, listener: Any) -> None:
        self._name = listener.getsockname()

    def getsockname(self) -> Any:
        return self._name
