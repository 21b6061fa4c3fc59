"""A browser without a window, which can reach this machine alone: it loads a page, runs its scripts, and says what it asked for.

Needs Chromium or a browser that is made of it.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.live.server import DEADLINE_S, make_environment

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

QUIET = (
    "--headless=new",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    # In a container, where tests run as root, there is nothing to make its sandbox of.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    # What isn't here isn't anywhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page when its scripts have nothing more to do: its document as HTML, and the URLs that it asked for."""

    html: str
    asked: list[str]


def browser() -> str | None:
    """Return where the browser is, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def load(url: str, directory: Path) -> Page:
    """Return what a fresh browser makes of a page."""
    program, requests = browser(), directory / "requests.json"
    assert program is not None
    files = (f"--user-data-dir={directory}", f"--log-net-log={requests}")
    done = subprocess.run(
        [program, *QUIET, *files, "--virtual-time-budget=10000", "--dump-dom", url],
        env=make_environment(directory),
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=True,
    )
    return Page(done.stdout, _asked(requests))


def _asked(path: Path) -> list[str]:
    """Return what pages asked for. What the browser wants for itself, such as its updates, belongs to no page."""
    log = json.loads(path.read_text())
    begun = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    started = [event["params"] for event in log["events"] if event["type"] == begun and "url" in event.get("params", {})]
    return [request["url"] for request in started if request.get("initiator") not in (None, "not an origin")]
