"""Behind nginx with deploy/nginx.conf, everything is as it is without: streams come at once, changes and photos are taken."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.ai.model_server import ModelServer, Step, Text
from tests.api.test_image import jpeg
from tests.api.test_images import encode
from tests.live.client import Cut, Exchange
from tests.live.conftest import Start, full_shop, with_model
from tests.live.measure import MEBIBYTE
from tests.live.nginx import Nginx
from tests.live.server import DEADLINE_S, Server, wait_until
from tests.live.shop import BUDDY, CUSTOMER, FLUFFY, INVENTORY, JSON, STAFF, authorization, change, data, get, new_stock, pay, place

BROWSER = {"Accept": "text/event-stream", "Accept-Encoding": "gzip, deflate, br"}
GZIP = {"Accept-Encoding": "gzip"}


class Proxied(NamedTuple):
    """A server, the model that it asks, and nginx in front of it."""

    nginx: Nginx
    server: Server
    model: ModelServer

    def ask(self, method: str, target: str, headers: dict[str, str], content: bytes = b"") -> Exchange:
        """Send a request through nginx, read the whole answer and return it."""
        with Exchange(self.nginx.address, target, headers, method=method, content=content) as exchange:
            return exchange.read_to_end()


@pytest.fixture(scope="module")
def proxied(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    directory = tmp_path_factory.mktemp("nginx")
    with ModelServer(lambda request: iter(())) as model:
        settings = {**with_model(model), "PETSTORE_PROXIES": 1, "PETSTORE_HEARTBEAT_S": 300, "PETSTORE_FULFILMENT_STEP_S": 0.1}
        with full_shop(seeded, directory / "server", **settings) as server, Nginx(directory, server.address) as nginx:
            yield Proxied(nginx, server, model)


@pytest.mark.parametrize("headers", [{}, BROWSER], ids=["curl", "browser"])
@pytest.mark.parametrize("target", [INVENTORY, "/v1/stream?topics=inventory"])
def test_each_event_comes_at_once_and_uncompressed_whatever_the_client_takes(
    proxied: Proxied, target: str, headers: dict[str, str]
):
    with Exchange(proxied.nginx.address, target, headers) as stream:
        assert stream.header("Content-Encoding") is None
        assert stream.header("Content-Type") == "text/event-stream; charset=utf-8"
        stream.read_until(lambda: b": open\n" in stream.body)
        for number in range(1, 6):
            change(proxied.server, BUDDY, stock=(stock := new_stock()))
            # No other follows, and no heartbeat, that would push it out.
            assert data(stream.read_events(number)[-1])["newStock"] == stock


def test_an_order_is_followed_to_its_end(proxied: Proxied):
    order = place(proxied.server)
    pay(proxied.server, order)
    with Exchange(proxied.nginx.address, order["links"]["statusStream"], BROWSER) as stream:
        events = stream.read_to_end().events
    assert [event.type for event in events] == ["message"] * 3 + ["complete"]
    last = {**BROWSER, "Last-Event-ID": events[-1].last_event_id}
    assert proxied.ask("GET", order["links"]["statusStream"], last).status == 204


def test_what_a_model_says_comes_word_by_word(proxied: Proxied):
    heard = threading.Event()

    def speak(request: dict[str, Any]) -> Iterator[Step]:
        yield Text("Half ")
        assert heard.wait(DEADLINE_S)
        yield Text("an answer")

    proxied.model.follow(speak)
    body = json.dumps({"messages": [{"role": "user", "content": "a quiet cat"}], "stream": True}).encode()
    headers = authorization(CUSTOMER) | JSON | GZIP
    with Exchange(proxied.nginx.address, "/v1/chat/completions", headers, method="POST", content=body) as chat:
        chat.read_until(lambda: b"Half " in chat.body)
        heard.set()
        assert chat.read_to_end().body.endswith(b"data: [DONE]\n\n")
    assert len(proxied.model.calls) == 1


@pytest.mark.parametrize(
    "cut",
    [
        lambda proxied: proxied.nginx.kill_workers(),
        lambda proxied: [*map(proxied.server.kill_worker, proxied.server.worker_pids())],
    ],
    ids=["nginx", "gunicorn"],
)
def test_a_client_whose_connection_is_cut_misses_nothing(proxied: Proxied, cut: Callable[[Proxied], object]):
    with Exchange(proxied.nginx.address, INVENTORY, BROWSER) as stream:
        stream.read_until(lambda: b": open\n" in stream.body)
        change(proxied.server, BUDDY, stock=new_stock())
        (seen,) = stream.read_events(1)
        cut(proxied)
        with pytest.raises((Cut, ConnectionResetError)):
            stream.read_to_end()
    missed = [new_stock() for _ in range(3)]
    for stock in missed:
        change(proxied.server, BUDDY, stock=stock)
    with Exchange(proxied.nginx.address, INVENTORY, {**BROWSER, "Last-Event-ID": seen.last_event_id}) as stream:
        assert [data(event)["newStock"] for event in stream.read_events(3)] == missed


def test_who_takes_gzip_can_change_the_version_that_he_saw_and_no_other(proxied: Proxied):
    seen = proxied.ask("GET", f"/v1/pets/{FLUFFY}", STAFF | GZIP)
    assert seen.header("Content-Encoding") is None
    version = seen.header("ETag")
    assert version is not None
    assert re.fullmatch(r'"[^"]+"', version), "a weak one never matches"
    change_it = {**STAFF, **GZIP, "Content-Type": "application/merge-patch+json", "If-Match": version}
    first, second = (proxied.ask("PATCH", f"/v1/pets/{FLUFFY}", change_it, b'{"name":"%s"}' % name) for name in (b"Ada", b"Bob"))
    assert (first.status, second.status) == (200, 412)
    assert get(proxied.server, f"/v1/pets/{FLUFFY}")["name"] == "Ada"


@pytest.mark.parametrize(("size", "status"), [(4.9, 201), (5.1, 413), (5.9, 413)])
def test_a_photo_is_taken_up_to_our_limit_and_what_is_over_it_is_refused_by_us(proxied: Proxied, size: float, status: int):
    photo = jpeg()[:-2] + bytes(int(size * MEBIBYTE) - len(jpeg())) + jpeg()[-2:]
    content, content_type = encode({"file": (photo, "photo.jpg")})
    answer = proxied.ask("POST", f"/v1/pets/{FLUFFY}/images", STAFF | {"Content-Type": content_type}, content)
    assert answer.status == status, answer.body
    if status == 201:
        shown = proxied.ask("GET", answer.header("Location") or "", GZIP)
        assert (shown.status, shown.body) == (200, photo)
    else:
        assert answer.header("Content-Type") == "application/problem+json"
        assert answer.json()["status"] == status


@pytest.mark.parametrize("claimed", [None, "192.0.2.1", '"192.0.2.1, 192.0.2.2'])
def test_a_client_s_address_is_its_own_whatever_it_says(proxied: Proxied, claimed: str | None):
    opened = re.compile(r"stream opened .*address=(\S+)")
    before = len(opened.findall(proxied.server.log))
    own = socket.create_connection(proxied.nginx.address, DEADLINE_S, ("127.0.0.2", 0))
    headers = {"X-Forwarded-For": claimed} if claimed else {}
    with Exchange(proxied.nginx.address, INVENTORY, headers, connection=own) as stream:
        stream.read_until(lambda: b": open\n" in stream.body)
        assert wait_until(lambda: opened.findall(proxied.server.log)[before:], "it's noted") == ["127.0.0.2"]


def test_while_the_server_is_away_who_names_event_streams_gets_a_goodbye_and_others_get_503(start: Start, tmp_path: Path):
    server = start(workers=1)
    with Nginx(tmp_path, server.address) as nginx:
        with Exchange(nginx.address, INVENTORY, BROWSER) as stream:
            stream.read_until(lambda: b": open\n" in stream.body)
            assert server.terminate() == 0
            assert [event.type for event in stream.read_to_end().events] == ["goodbye"], "the server's own came through, whole"
        for _ in range(2):  # The second one finds a server that is known to be away.
            with Exchange(nginx.address, INVENTORY, BROWSER) as stream:
                assert stream.status == 200
                assert stream.header("Content-Type") == "text/event-stream; charset=utf-8"
                assert stream.header("Cache-Control") == "no-cache, no-transform"
                (goodbye,) = stream.read_to_end().events
                assert re.match(rb"retry: [2-5]000\n", stream.body)
                assert (goodbye.type, data(goodbye)) == ("goodbye", {"reason": "unavailable"})
            for accepted in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
                with Exchange(nginx.address, INVENTORY, accepted) as refused:
                    assert (refused.status, refused.header("Retry-After")) == (503, "5")
