"""A network of its own for one client, which can be cut off without a word: a namespace, joined to ours by a pair of interfaces.

Needs root and Linux; `available` says whether that is so. Must leave nothing behind.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from types import TracebackType
from typing import Self

_CLONE_NEWNET = 0x40000000

HOST, CLIENT = "10.213.77.1", "10.213.77.2"


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
        self._name = f"petstore-{os.getpid()}"

    def __enter__(self) -> Self:
        inside = ("netns", "exec", self._name, "ip")
        _ip("netns", "add", self._name)
        try:
            _ip("link", "add", "petstore-a", "type", "veth", "peer", "name", "petstore-b", "netns", self._name)
            _ip("addr", "add", f"{HOST}/30", "dev", "petstore-a")
            _ip("link", "set", "petstore-a", "up")
            _ip(*inside, "addr", "add", f"{CLIENT}/30", "dev", "petstore-b")
            _ip(*inside, "link", "set", "petstore-b", "up")
        except BaseException:
            _ip("netns", "del", self._name)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _ip("link", "del", "petstore-a")  # By itself it would go with the namespace, but some time later.
        _ip("netns", "del", self._name)

    def connect(self, port: int) -> socket.socket:
        """Return a connection from inside to a port of ours. A socket stays in the network in which it was made."""
        made: list[socket.socket] = []

        def make() -> None:
            with open(f"/run/netns/{self._name}") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_connection((HOST, port), 10))

        thread = threading.Thread(target=make)  # It ends with its thread: only that one is moved.
        thread.start()
        thread.join()
        return made[0]

    def cut_off(self) -> None:
        """Drop every packet from now on, in both directions, and tell nobody."""
        _ip("netns", "exec", self._name, "ip", "link", "set", "petstore-b", "down")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
