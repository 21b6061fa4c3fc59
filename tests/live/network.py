"""A network of its own for one client, which can be cut off without a word: a namespace, joined to ours by a pair of interfaces.

Needs root and Linux; `available` says whether that is so. Must leave nothing behind, and clears away what a process that was
killed has left. All names and addresses are of this process, so that several may have a network at once.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from contextlib import suppress
from ipaddress import IPv4Address, ip_network
from types import TracebackType
from typing import Self

_CLONE_NEWNET = 0x40000000

_PREFIX = "petstore-"

_SUBNETS = ip_network("198.18.0.0/15")
"""For tests of networks, by RFC 2544: nothing that is real has these addresses."""


def available() -> bool:
    """Say whether a network can be made here."""
    return (
        shutil.which("ip") is not None
        and os.geteuid() == 0
        and subprocess.run(["ip", "netns", "list"], capture_output=True, check=False).returncode == 0
    )


class Network:
    """A context manager: the network is there until it's left."""

    def __init__(self) -> None:
        pid = os.getpid()
        self._name = f"{_PREFIX}{pid}"
        self._outside, self._inside = f"pets-{pid}-a", f"pets-{pid}-b"  # No interface has a name of more than 15 characters.
        first = int(_SUBNETS.network_address) + 4 * (pid % (_SUBNETS.num_addresses // 4))
        self._host, self._client = str(IPv4Address(first + 1)), str(IPv4Address(first + 2))

    def __enter__(self) -> Self:
        _clear_away()
        _ip("netns", "add", self._name)
        try:
            _ip("link", "add", self._outside, "type", "veth", "peer", "name", self._inside, "netns", self._name)
            _ip("addr", "add", f"{self._host}/30", "dev", self._outside)
            _ip("link", "set", self._outside, "up")
            self._ip_inside("addr", "add", f"{self._client}/30", "dev", self._inside)
            self._ip_inside("link", "set", self._inside, "up")
        except BaseException:
            _remove(self._name)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _remove(self._name)

    def connect(self, port: int) -> socket.socket:
        """Return a connection from inside to a port of ours. A socket stays in the network in which it was made."""
        made: list[socket.socket] = []

        def make() -> None:
            with open(f"/run/netns/{self._name}") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_connection((self._host, port), 10))

        thread = threading.Thread(target=make)  # It ends with its thread: only that one is moved.
        thread.start()
        thread.join()
        return made[0]

    def cut_off(self) -> None:
        """Drop every packet from now on, in both directions, and tell nobody."""
        self._ip_inside("link", "set", self._inside, "down")

    def _ip_inside(self, *arguments: str) -> None:
        _ip("netns", "exec", self._name, "ip", *arguments)


def _clear_away() -> None:
    """Remove the networks whose processes are no more, one that had this one's number among them."""
    for line in _ip("netns", "list").splitlines():
        name = line.partition(" ")[0]
        pid = name.removeprefix(_PREFIX)
        if name != pid and pid.isdigit() and (int(pid) == os.getpid() or not os.path.exists(f"/proc/{pid}")):
            _remove(name)


def _remove(name: str) -> None:
    # By itself its interface would go with the namespace, but some time later. There may be none yet, or none any more.
    with suppress(subprocess.CalledProcessError):
        _ip("link", "del", f"pets-{name.removeprefix(_PREFIX)}-a")
    with suppress(subprocess.CalledProcessError):  # As two that clear away at once may both find it.
        _ip("netns", "del", name)


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
