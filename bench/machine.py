"""What the numbers were measured on: the machine, and the versions of everything that took part."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.servers import OURS, PEERS, ROOT


def machine() -> dict[str, str | int]:
    """Return what kind of machine this is."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[1]) / 2**20) if memory else 0,
        "kernel": platform.release(),
    }


def versions() -> dict[str, str]:
    """Return the versions of what was measured; what isn't here is left out."""
    found = {"python": platform.python_version(), "petstore": _output(["git", "describe", "--always", "--dirty"])}
    found |= _packages(OURS / "python", ("gunicorn", "gevent", "flask", "sqlalchemy"))
    found |= _packages(PEERS / "python/bin/python", ("sse-starlette", "uvicorn", "uvloop"))
    found["node"] = _output(["node", "--version"])
    found["better-sse"] = _output(["node", "-p", f"require('{PEERS}/node/package.json').dependencies['better-sse']"])
    found["nginx"] = _output([str(PEERS / "nchan/usr/sbin/nginx"), "-v"]).rpartition("/")[2]
    module = _output(["sh", "-c", f"zcat {PEERS}/nchan/usr/share/doc/libnginx-mod-nchan/changelog.Debian.gz | head -1"])
    found["nchan"] = "".join(re.findall(r"\((?:\d+:)?([^)]*)\)", module)[:1])
    return {name: version for name, version in found.items() if version}


def _packages(python: Path, names: Sequence[str]) -> dict[str, str]:
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    return dict(zip(names, _output([str(python), "-c", code, *names]).split(), strict=False))


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else ""
