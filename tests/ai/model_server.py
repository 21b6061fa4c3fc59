"""A server with OpenAI's API in this process, real HTTP on a real socket, which answers as a test tells it to: badly, mostly.

It counts the calls, keeps what was asked, and notices when a client hangs up in the middle of an answer.
"""

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

DEADLINE_S = 30.0


@dataclass(frozen=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True)
class Call:
    """A tool that the model wants called."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Raw:
    """Bytes on the wire, as they are."""

    data: bytes


@dataclass(frozen=True)
class Refusal:
    """An answer with another status, instead of a stream."""

    status: int
    error: dict[str, Any]


@dataclass(frozen=True)
class End:
    """The answer ends here, for a reason of its own."""

    reason: str


class Cut:
    """The connection ends here, in the middle."""


class Silence:
    """Nothing more comes, for as long as the client stays."""


Step = Text | Call | Raw | Refusal | End | Cut | Silence | float
"""A number is a pause in seconds."""

Script = Callable[[dict[str, Any]], Iterator[Step]]


def say(*steps: Step | str) -> Script:
    """Return a script that says the same to everybody."""
    return lambda request: iter([Text(step) if isinstance(step, str) else step for step in steps])


def in_turn(*scripts: Script) -> Script:
    """Return a script that follows the next one of `scripts` at each call, and the last one for ever."""
    left = list(scripts)
    return lambda request: (left.pop(0) if len(left) > 1 else left[0])(request)


class ModelServer:
    """Runs while its `with` block does. `calls` are the requests' bodies; `hung_up` counts clients that left too early."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls: list[dict[str, Any]] = []
        self.hung_up = 0
        self._answering = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.handle_error = self._note  # type: ignore[method-assign, assignment]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """What OPENAI_BASE_URL is set to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def follow(self, script: Script) -> None:
        """Follow another script from now on, and forget what there was, once nobody is being answered any more."""
        self._wait(lambda: not self._answering, "nobody is being answered")
        self.script, self.calls, self.hung_up = script, [], 0

    def wait_for_calls(self, count: int) -> None:
        """Return when so many calls have come."""
        self._wait(lambda: len(self.calls) >= count, f"{count} calls")

    def wait_until_hung_up(self, count: int = 1) -> None:
        """Return when so many clients have hung up."""
        self._wait(lambda: self.hung_up >= count, f"{count} clients hang up")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End. May be called twice."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < until, f"not within {DEADLINE_S:g} s: {what}"
            time.sleep(0.005)

    def _note(self, request: Any, address: Any) -> None:
        """A client that resets its connection between two requests is nothing to print."""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.answer(self, body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        """Answer one call, and note it."""
        with self._lock:
            self.calls.append(body)
            self._answering += 1
        hung_up = 0
        try:
            self._play(handler, body)
        except (ConnectionError, TimeoutError):
            hung_up = 1
            handler.close_connection = True
        finally:
            with self._lock:
                self.hung_up += hung_up
                self._answering -= 1

    def _play(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        answer = Answer(handler, body)
        for step in self.script(body):
            if isinstance(step, Refusal):
                answer.refuse(step)
                return
            if isinstance(step, End):
                answer.end(step.reason)
                return
            if isinstance(step, Cut):
                answer.begin()
                handler.close_connection = True
                with contextlib.suppress(OSError):
                    handler.connection.shutdown(socket.SHUT_RDWR)
                return
            if isinstance(step, Silence | float | int):
                self._pause(handler, DEADLINE_S if isinstance(step, Silence) else step)
            else:
                answer.send(step)
        answer.end()

    def _pause(self, handler: BaseHTTPRequestHandler, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._stopping.is_set():
            readable = select.select([handler.connection], [], [], 0.01)[0]
            if readable and not handler.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionError


class Answer:
    """One streamed answer, in chunks, each as soon as it's made."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        self._handler = handler
        self._body = body
        self._begun = False
        self._written = 0
        self._calls = 0

    def begin(self) -> None:
        """Send the head, once."""
        if self._begun:
            return
        self._begun = True
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", "text/event-stream")
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error."""
        content = json.dumps({"error": refusal.error}).encode()
        self._handler.send_response(refusal.status)
        self._handler.send_header("Content-Type", "application/json")
        self._handler.send_header("Content-Length", str(len(content)))
        self._handler.end_headers()
        self._handler.wfile.write(content)

    def send(self, step: Text | Call | Raw) -> None:
        """Send one step."""
        self.begin()
        if isinstance(step, Raw):
            self._write(step.data)
        elif isinstance(step, Text):
            self._written += 1
            self._choice({"content": step.text})
        else:
            function = {"name": step.name, "arguments": step.arguments}
            call = {"index": self._calls, "id": f"call_{self._calls}", "type": "function", "function": function}
            self._calls += 1
            self._choice({"tool_calls": [call]})

    def end(self, reason: str | None = None) -> None:
        """End as the protocol wants it."""
        self.begin()
        self._choice({}, reason or ("tool_calls" if self._calls else "stop"))
        usage = {"prompt_tokens": 7, "completion_tokens": self._written, "total_tokens": 7 + self._written}
        self._chunk({"choices": [], "usage": usage})
        self._write(b"data: [DONE]\n\n")
        self._handler.wfile.write(b"0\r\n\r\n")

    def _choice(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        self._chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    def _chunk(self, members: dict[str, Any]) -> None:
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self._body["model"], **members}
        self._write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def _write(self, data: bytes) -> None:
        self._handler.wfile.write(b"%X\r\n%b\r\n" % (len(data), data))
        self._handler.wfile.flush()


def picks(pet_ids: Sequence[str], scores: Sequence[float] = (), reason: str = "It fits what you like") -> list[str]:
    """Return the lines of a ranking as a good model writes them."""
    scored = zip(pet_ids, scores or [0.99 - index / 100 for index in range(len(pet_ids))], strict=True)
    return [json.dumps({"petId": pet_id, "score": score, "reason": reason}) + "\n" for pet_id, score in scored]
