"""The browser of `browser`, told what to do on a page over a pipe, in Chromium's own protocol. No library is needed for that.

Must not know what a page is about.
"""

import base64
import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.live.browser import QUIET, browser
from tests.live.server import wait_until


class Chromium:
    """A browser with one page, which runs while its `with` block does. `directory` is its profile."""

    def __init__(self, directory: Path) -> None:
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        profile = f"--user-data-dir={directory / 'profile'}"
        # It reads from 3 and writes to 4, whatever numbers the pipes have here.
        command = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        program = [str(browser()), *QUIET, profile, "--window-size=1280,900", "--remote-debugging-pipe"]
        self._process = subprocess.Popen(
            ["bash", "-c", command, "bash", *program],
            pass_fds=(to_read, to_write),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in (to_read, to_write):
            os.close(end)
        self._rest = b""
        self._count = 0
        self._session: str | None = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._to)  # At which it ends.
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._from)

    def open(self, url: str) -> None:
        """Go to a page, or load it anew."""
        self._call("Page.navigate", url=url)
        self.wait_for("document.readyState == 'complete'")

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript is worth on the page."""
        result = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Return what the expression is worth as soon as that is something."""
        return wait_until(lambda: self.evaluate(expression), expression)

    def take_picture(self, path: Path) -> None:
        """Write what the page looks like to a PNG file."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        call = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            call["sessionId"] = self._session
        os.write(self._to, json.dumps(call).encode() + b"\0")
        while (answer := self._read()).get("id") != self._count:
            pass  # It also tells what happens, unasked.
        assert "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._from, 65536)
            assert piece, "the browser has ended"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        return answer
