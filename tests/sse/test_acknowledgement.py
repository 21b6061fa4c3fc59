"""Acknowledgements that are missing: told from those that come late, and from a connection that has nothing on its way."""

import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from petstore.sse.acknowledgement import Acknowledgements


class Connection:
    """A TCP connection as Linux describes it: bytes that are on their way, and how many were acknowledged so far."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.on_their_way = 0
        self.acknowledged = 0
        self.length = 232

    def getsockopt(self, level: int, option: int, length: int) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        info = bytearray(self.length)
        struct.pack_into("I", info, 24, self.on_their_way)
        if self.length >= 128:
            struct.pack_into("Q", info, 120, self.acknowledged)
        return bytes(info[:length])


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return both ends of a real connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server = listener.accept()[0]
    with client, server:
        yield client, server


def test_they_are_missing_from_the_first_look_on_at_which_something_is_on_its_way():
    connection = Connection()
    acknowledgements = Acknowledgements(connection)
    assert acknowledgements.missing_s(10) == 0
    connection.on_their_way = 1
    assert acknowledgements.missing_s(20) == 0
    assert acknowledgements.missing_s(21.5) == 1.5


def test_each_one_that_comes_starts_the_time_anew():
    connection = Connection()
    acknowledgements = Acknowledgements(connection)
    connection.on_their_way = 9
    for now in range(10):
        connection.acknowledged += 1
        assert acknowledgements.missing_s(now) == 0
    connection.on_their_way = 0
    assert acknowledgements.missing_s(100) == 0, "all have come"


@pytest.mark.parametrize("changed", ["no socket", "a Unix socket", "an older system", "a closed socket"])
def test_where_it_can_t_be_told_none_is_missing(changed: str):
    connection: Any = Connection()
    connection.on_their_way = 1
    if changed == "no socket":
        connection = None
    elif changed == "a Unix socket":
        connection.family = socket.AF_UNIX
    elif changed == "an older system":
        connection.length = 104
    else:
        connection = socket.socket()
        connection.close()
    acknowledgements = Acknowledgements(connection)
    assert [acknowledgements.missing_s(now) for now in (0, 1000)] == [0, 0]


def test_a_client_that_reads_nothing_acknowledges_all_the_same(pair: tuple[socket.socket, socket.socket]):
    _, server = pair
    acknowledgements = Acknowledgements(server)
    server.sendall(b"x")
    assert acknowledgements.missing_s(0) == 0
    server.sendall(b"x")
    assert acknowledgements.missing_s(1000) == 0


def test_the_kernel_s_numbers_are_where_we_look_for_them(pair: tuple[socket.socket, socket.socket]):
    client, server = pair
    server.sendall(b"x" * 1000)
    client.recv(1000)
    info = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
    # A TCP connection's beginning counts as one byte.
    assert struct.unpack_from("Q", info, 120)[0] in (1000, 1001)
