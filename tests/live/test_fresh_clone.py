"""What a newcomer does: a fresh clone, an empty home directory, `make run` and the lines that it prints, `make test`."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.server import ROOT, make_environment, wait_until

INSTALL_S = 300.0
"""To make .venv and to fill it, from an index that may be far away."""

PYTHON = [f"PYTHON={path}" for path in [Path(sys.base_prefix, "bin/python3")] if path.exists()]
"""The Python that runs these tests: the first one on the PATH may be another, and too old."""

PATIENCE_S = 60.0
"""Far longer than any stream of the demo takes to say something. How long each took is printed."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this checkout, with what isn't committed yet and without what a clone wouldn't have.

    Where this isn't a checkout, as when it came in an archive, what is committed is nothing.
    """
    clone = tmp_path_factory.mktemp("fresh") / "petstore"
    if (ROOT / ".git").exists():
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone], check=True)
    else:
        subprocess.run(["git", "init", "--quiet", clone], check=True)
    command = ["git", f"--git-dir={clone / '.git'}", f"--work-tree={ROOT}", "ls-files", "-coz", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, clone / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        elif not source.exists():
            target.unlink(missing_ok=True)
    return clone


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An empty home. Only how this machine reaches its package index stays as it is: that's no part of a home that we ask for.

    So do the packages that pip has downloaded before; and it compiles nothing that isn't run, which takes most of its time.
    """
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if re.match("(?i)PIP_|SSL_|REQUESTS_|https?_proxy$|no_proxy$", name)}
    for configured in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        if configured.exists():
            kept.setdefault("PIP_CONFIG_FILE", str(configured))
    kept.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache/pip"))
    return make_environment(
        home, **kept, PIP_NO_COMPILE=1, PETSTORE_VAR=None, PETSTORE_SECRET_KEY=None, PETSTORE_BIND="127.0.0.1:0", VIRTUAL_ENV=None
    )


class Make:
    """`make run` in a terminal of its own."""

    def __init__(self, clone: Path, environment: dict[str, str]) -> None:
        self.path = clone.parent / "make.log"
        with self.path.open("wb") as log:
            self.process = subprocess.Popen(
                ["make", "run", *PYTHON],
                cwd=clone,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.path.read_text()

    def lines_to_paste(self) -> list[str]:
        """Return the three lines that it prints when the shop is open."""
        assert self.process.poll() is None, self.said
        return re.findall(r"^  (curl -N .*)$", self.said, re.MULTILINE)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def make(clone: Path, environment: dict[str, str]) -> Iterator[Make]:
    make = Make(clone, environment)
    yield make
    make.close()


def test_make_run_prints_three_lines_that_work_as_they_stand_and_ends_on_ctrl_c(
    clone: Path, environment: dict[str, str], make: Make
):
    lines = wait_until(lambda: found if len(found := make.lines_to_paste()) == 3 else None, "the shop is open", INSTALL_S)
    asked_at = time.monotonic()
    curls = {line: paste(line, environment) for line in lines}
    assert re.findall(r"/v1/(pets|orders|inventory)/", " ".join(lines)) == ["pets", "orders", "inventory"]
    for line, curl in curls.items():
        assert says_something(curl), f"{line}\n{make.said}"
        print(f"{time.monotonic() - asked_at:.2f} s: {line}")
    os.killpg(make.process.pid, signal.SIGINT)
    make.process.wait(30)
    for curl in curls.values():
        assert curl.wait(30) == 0, "it didn't end as it should"
        curl.stdout.close()  # type: ignore[union-attr]
    assert "Traceback" not in make.said
    assert "Shutting down: Master" in make.said
    assert (clone / "var" / "petstore.db").exists()
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=clone, stdout=subprocess.PIPE, check=True, text=True).stdout
    assert not [line for line in changed.splitlines() if ".venv" in line or "var/" in line], "what is made is ignored"


def test_make_test_makes_what_it_needs_by_itself(clone: Path, environment: dict[str, str]):
    command = ["make", "test", *PYTHON, "ARGS=tests/test_settings.py"]
    unset = {name: value for name, value in environment.items() if not name.startswith("PETSTORE_")}
    done = subprocess.run(
        command, cwd=clone, env=unset, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=INSTALL_S, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def paste(line: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Run a line as a shell runs what is pasted into it, but not for ever."""
    return subprocess.Popen(
        f"{line} --silent --show-error --max-time {PATIENCE_S:g}",
        shell=True,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def says_something(curl: subprocess.Popen[str]) -> bool:
    """Say whether an event comes before curl gives up. Reads no further than that."""
    assert curl.stdout is not None
    return any(line.startswith("data: {") for line in curl.stdout)
