"""The server does what its description says: schemathesis, which isn't ours, makes the requests and judges the answers.

It generates what the document allows and what it forbids, follows its links, and holds each streamed event to its schema.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.live.server import ROOT, Server, make_environment
from tests.live.shop import ask, get

CONFIGURATION = ROOT / "tests/live/schemathesis.toml"

LEAST = 10
"""Requests: on a machine that has nothing else to do there are hundreds."""

LONGEST_S = 600

TENANT = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01"

SPARE_S = 60
"""How long it may go on after its time is over: it ends what it has begun."""

SEED = "20261123"
"""The same requests in each run, as far as the time allows; what else could be asked is for a long run by hand (see the README)."""

BUSY = {"PETSTORE_DEMO": 1, "PETSTORE_HEARTBEAT_S": 1, "PETSTORE_FULFILMENT_STEP_S": 0.1}
UNHURRIED = {"PETSTORE_RATE_LIMIT": 1_000_000, "PETSTORE_SIGN_IN_LIMIT": 100_000}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A demo, whose customers and clerk give the streams something to tell."""
    server = Server(tmp_path_factory.mktemp("demo"), workers=1, **BUSY, **UNHURRIED)  # type: ignore[arg-type]
    try:
        yield server.wait_until_ready()
    finally:
        server.close()


@pytest.mark.parametrize(("phases", "seconds"), [(("examples", "coverage", "fuzzing"), 35), (("stateful",), 20)])
def test_what_schemathesis_asks_is_answered_as_described(demo: Server, tmp_path: Path, phases: tuple[str, ...], seconds: int):
    described = get(demo, "/v1/openapi.json")["paths"]
    del described["/v1/openapi.json"]  # It doesn't test where it has its knowledge from.
    report = judge(demo, tmp_path, phases, seconds)
    while any(report["phases"][phase]["status"] == "skip" for phase in phases):
        # On a machine that is busy with something else the time was up before it came to a phase.
        seconds *= 3
        assert seconds < LONGEST_S, report["phases"]
        report = judge(demo, tmp_path, phases, seconds)
    assert report["failures"] == report["errors"] == []
    assert {report["phases"][phase]["status"] for phase in phases} == {"success"}
    assert report["operations"]["selected"] == sum(len(methods) for methods in described.values())
    assert report["test_cases"]["generated"] >= LEAST


def judge(server: Server, directory: Path, phases: Sequence[str], seconds: int) -> dict[str, Any]:
    """Return schemathesis's own report of so many seconds."""
    report = directory / "report.json"
    credentials = {"username": "keeper.jo", "password": "petstore-demo"}
    signed_in = ask(server, "POST", "/v1/auth/tokens", credentials, {"X-Tenant-ID": TENANT})
    assert signed_in.status == 200, signed_in.body
    known = {"SHOP_TENANT": TENANT, "SHOP_TOKEN": signed_in.json()["token"], "PYTHONPATH": ROOT}
    command = ["-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run", f"{server.url}/v1/openapi.json"]
    bounds = ["--phases", ",".join(phases), "--max-time", str(seconds), "--seed", SEED]
    reporting = ["--report", "json", "--report-json-path", str(report)]
    done = subprocess.run(
        [sys.executable, *command, *bounds, *reporting],
        cwd=directory,
        env=make_environment(directory, **known),
        capture_output=True,
        text=True,
        timeout=seconds + SPARE_S,
    )
    print(done.stdout[-2000:])
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    return found
