"""The pages in a real browser: what streams show on the front page, with a model that is slow and a server that is busy.

And that the documentation's page sends a photo, which no text field can hold.
"""

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.ai.model_server import Script, Silence, Step, Text, picks
from tests.api.test_image import png
from tests.live.chromium import Chromium
from tests.live.conftest import Behind, Start
from tests.live.measure import streams_open, wait_until_none_is_open
from tests.live.server import DEADLINE_S, Server, wait_until
from tests.live.shop import FLUFFY, STAFF, change, get, new_stock
from tests.live.shop import ask as send
from tests.live.test_runs import candidates

PETS = "document.querySelectorAll('#recommendations .pets li').length"
BAR = "document.querySelector('#recommendations .progress')"
STATE = "document.querySelector('#recommendations .state').textContent"
SAID = "document.querySelector('#chat .talk p:last-child')?.textContent"
LINES = "document.querySelectorAll('#chat .talk p').length"
READY = "!document.querySelector('#chat form button').disabled"
TOLD = "[...document.querySelectorAll('#inventory li')].map((line) => line.textContent)"
STOCK_STATE = "document.querySelector('#inventory .state').textContent"

SNAPSHOT = "/v1/inventory?"
STOCK = "/v1/inventory/stream?"
RECOMMENDATIONS = "/v1/pets/recommendations/stream?"

SOON = {"Retry-After": "1"}
AGAIN = "The shop is busy or away: it is asked again in 1 s."
REFUSED = "Refused: only the demo shows recommendations without a token."


@dataclass(frozen=True)
class Refusal:
    """What the doorman answers in the server's place."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


class Doorman:
    """Stands before a server while its `with` block does, and passes requests on, but for those that `refuse` has an answer to.

    `asked` are the method and the target of all of them.
    """

    def __init__(self, server: Server) -> None:
        self.asked: list[tuple[str, str]] = []
        self.refuse: Callable[[str, str], Refusal | None] = lambda method, target: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(server))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """What a browser opens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def count(self, start: str) -> int:
        """Return how many targets of GET began so."""
        return len([target for method, target in list(self.asked) if method == "GET" and target.startswith(start)])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self, server: Server) -> type[BaseHTTPRequestHandler]:
        doorman = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                doorman.asked.append((self.command, self.path))
                refusal = doorman.refuse(self.command, self.path)
                with suppress(OSError):  # The browser has left, as it may.
                    if refusal is None:
                        self.pass_on(body)
                    else:
                        self.answer(refusal)

            do_GET = do_HEAD = do_POST = do_DELETE = handle_one

            def pass_on(self, body: bytes) -> None:
                kept = [f"{name}: {value}" for name, value in self.headers.items() if name.lower() != "connection"]
                head = [f"{self.command} {self.path} HTTP/1.1", *kept, "Connection: close", "", ""]
                with socket.create_connection(server.address) as there:
                    there.sendall("\r\n".join(head).encode("latin-1") + body)
                    while piece := there.recv(65536):
                        self.connection.sendall(piece)

            def answer(self, refusal: Refusal) -> None:
                self.send_response(refusal.status)
                for name, value in {"Content-Type": "application/problem+json", **refusal.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(refusal.body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def refusing(start: str, refusal: Refusal, times: int | None = None) -> Callable[[str, str], Refusal | None]:
    """Return what answers requests whose target begins so, the first ones or, where no number is given, all."""
    left = [refusal] * (times or 0)

    def refuse(method: str, target: str) -> Refusal | None:
        if not target.startswith(start):
            return None
        return refusal if times is None else left.pop() if left else None

    return refuse


def talking(*answers: str) -> Script:
    """Return a script that ranks pets, and gives these answers to questions, one after the other."""
    left = list(answers)

    def answer(request: dict[str, Any]) -> Iterator[Step]:
        if is_chat(request):
            yield Text(left.pop(0))
        else:
            yield from map(Text, picks(candidates(request)[:10]))

    return answer


def is_chat(call: dict[str, Any]) -> bool:
    return "candidates" not in str(call["messages"][1]["content"])


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path) as browser:
        yield browser


def test_a_slow_run_shows_a_bar_that_grows_and_goes(behind: Behind, browser: Chromium):
    go_on = threading.Event()

    def rank(request: dict[str, Any]) -> Iterator[Step]:
        lines = picks(candidates(request)[:10])
        yield Text("".join(lines[:3]))
        assert go_on.wait(DEADLINE_S)
        yield from map(Text, lines[3:])

    server, model = behind(rank, PETSTORE_DEMO=1, workers=1)
    browser.open(server.url)
    browser.wait_for(f"{PETS} == 3 && !{BAR}.hidden")
    assert browser.evaluate(f"[{BAR}.querySelector('progress').value, {BAR}.querySelector('progress').max]") == [3, 10]
    assert browser.evaluate(f"{BAR}.textContent.trim()") == "asking the model: 3 of 10"
    go_on.set()
    browser.wait_for(f"{PETS} == 10 && {BAR}.hidden")
    assert "by a language model" in browser.evaluate("document.querySelector('#recommendations .state').textContent")
    assert len(model.calls) == 1


def test_a_chat_goes_on_where_it_was_when_the_page_is_loaded_anew_and_is_paid_for_once(behind: Behind, browser: Chromium):
    go_on = threading.Event()

    def answer(request: dict[str, Any]) -> Iterator[Step]:
        if not is_chat(request):
            yield from map(Text, picks(candidates(request)[:10]))
            return
        yield Text("Half an answer")
        assert go_on.wait(DEADLINE_S)
        yield Text(", the rest <b>of it</b>, [Nimbus](/v1/pets/1) and [no](https://example.com).")

    server, model = behind(answer, PETSTORE_DEMO=1, workers=1)
    browser.open(server.url)
    browser.wait_for(f"{PETS} == 10")
    ask(browser, "a quiet cat")
    browser.wait_for(f"{SAID} == 'Half an answer'")
    calls = len(model.calls)
    browser.open(f"{server.url}/?again")
    browser.wait_for(f"{SAID} == 'Half an answer'")
    go_on.set()
    browser.wait_for(f"{SAID} == 'Half an answer, the rest <b>of it</b>, Nimbus and [no](https://example.com).'")
    assert browser.evaluate("[...document.querySelectorAll('#chat .talk a')].map((a) => a.pathname)") == ["/v1/pets/1"]
    browser.wait_for(f"{PETS} == 10")
    assert len(list(filter(is_chat, model.calls))) == 1
    assert len(model.calls) - calls <= 1, "the page asks for recommendations anew, and for nothing else"


def test_an_answer_is_stopped_up_to_the_call_of_the_model_and_the_shop_is_seen_to_change(behind: Behind, browser: Chromium):
    server, model = behind(lambda request: iter([Text("One moment"), Silence()]), PETSTORE_DEMO=1, workers=1)
    browser.open(server.url)
    ask(browser, "a quiet cat")
    browser.wait_for(f"{SAID} == 'One moment'")
    browser.evaluate("document.querySelector('#chat [type=button]').click()")
    browser.wait_for(f"{SAID} == 'One moment Stopped: it was deleted.'")
    model.wait_until_hung_up()
    stock = new_stock()
    change(server, FLUFFY, stock=stock)
    browser.wait_for(f"document.querySelector('#inventory ul').textContent.includes(' → {stock} in stock')")


def test_earlier_answers_have_their_links_when_the_page_is_loaded_anew(behind: Behind, browser: Chromium):
    first, second = "See [Opal](/v1/pets/1), <b>quiet</b>, or [no](https://example.com).", "Or [Rex](/v1/pets/2)."
    server, _ = behind(talking(first, second), PETSTORE_DEMO=1, workers=1)
    browser.open(server.url)
    ask(browser, "a quiet cat")
    browser.wait_for(f"{SAID} == 'See Opal, <b>quiet</b>, or [no](https://example.com).' && {READY}")
    ask(browser, "and a [dog](/v1/pets/3)")
    browser.wait_for(f"{SAID} == 'Or Rex.' && {READY}")
    browser.open(f"{server.url}/?again")
    browser.wait_for(f"{SAID} == 'Or Rex.' && {READY}")
    assert browser.evaluate("[...document.querySelectorAll('#chat .talk p')].map((line) => line.textContent)") == [
        "a quiet cat",
        "See Opal, <b>quiet</b>, or [no](https://example.com).",
        "and a [dog](/v1/pets/3)",
        "Or Rex.",
    ]
    assert browser.evaluate("[...document.querySelectorAll('#chat .talk a')].map((a) => a.pathname)") == [
        "/v1/pets/1",
        "/v1/pets/2",
    ]
    assert browser.evaluate("document.querySelectorAll('#chat .talk b').length") == 0


def test_after_long_answers_questions_are_still_taken_with_the_newest_of_what_was_said(behind: Behind, browser: Chromium):
    answers = [letter * 8_000 for letter in "abcde"]
    server, model = behind(talking(*answers), PETSTORE_DEMO=1, workers=1)
    browser.open(server.url)
    browser.wait_for(f"{PETS} == 10")
    for number, answer in enumerate(answers, 1):
        ask(browser, f"question {number}")
        browser.wait_for(f"{LINES} == {2 * number} && {READY}")
        assert browser.evaluate(SAID) == answer
    chats = list(filter(is_chat, model.calls))
    assert len(chats) == len(answers)
    sent = [(message["role"], message["content"]) for message in chats[-1]["messages"] if message["role"] != "system"]
    assert sent == [
        ("user", "question 2"),
        ("assistant", answers[1]),
        ("user", "question 3"),
        ("assistant", answers[2]),
        ("user", "question 4"),
        ("assistant", answers[3]),
        ("user", "question 5"),
    ]


def test_a_problem_without_a_detail_is_told_by_its_title_and_the_next_question_is_taken(start: Start, browser: Chromium):
    problem = json.dumps({"type": "about:blank", "title": "Internal Server Error", "status": 500}).encode()
    with Doorman(start(workers=1, PETSTORE_DEMO=1)) as doorman:
        doorman.refuse = refusing("/v1/runs", Refusal(500, body=problem), times=1)
        browser.open(doorman.url)
        ask(browser, "a quiet cat")
        browser.wait_for(f"{SAID} == 'Internal Server Error' && {READY}")
        ask(browser, "a quiet cat")
        browser.wait_for(f"{LINES} == 3 && {READY} && {SAID}.includes('cat')")


def test_prices_are_shown_in_the_currency_of_their_pet(start: Start, browser: Chromium):
    server = start(workers=1)
    answer = send(server, "PATCH", f"/v1/pets/{FLUFFY}", {"currency": "EUR", "price": "20.00"})
    assert answer.status == 200, answer.body
    follow_stock(browser, server, server.url)
    change(server, FLUFFY, price="1250.50")
    browser.wait_for(f"{TOLD}.length == 1")
    assert browser.evaluate(TOLD) == ["Fluffy€20.00 → €1,250.50"]


def test_a_stock_that_can_not_be_read_at_first_is_said_and_read_later(start: Start, browser: Chromium):
    server = start(workers=1)
    with Doorman(server) as doorman:
        doorman.refuse = refusing(SNAPSHOT, Refusal(503, SOON))
        browser.open(doorman.url)
        browser.wait_for(f"{STOCK_STATE} == '{AGAIN}'")
        wait_until(lambda: doorman.count(SNAPSHOT) > 1, "it is asked again")
        doorman.refuse = lambda method, target: None
        wait_until(lambda: doorman.count(STOCK), "the stream is opened")
        browser.wait_for(f"{STOCK_STATE} == ''")
        stock = new_stock()
        change(server, FLUFFY, stock=stock)
        browser.wait_for(f"{TOLD}.some((line) => line.includes('→ {stock} in stock'))")


def test_a_stock_stream_that_was_refused_is_opened_anew_where_it_was(start: Start, browser: Chromium):
    server = start(workers=1)
    with Doorman(server) as doorman:
        doorman.refuse = refusing(STOCK, Refusal(503), times=1)
        browser.open(doorman.url)
        browser.wait_for(f"{STOCK_STATE}.startsWith('The shop is busy or away')")
        stock = new_stock()
        change(server, FLUFFY, stock=stock)  # Nobody follows now.
        browser.wait_for(f"{TOLD}.some((line) => line.includes('→ {stock} in stock'))")
        assert browser.evaluate(STOCK_STATE) == ""
        assert (doorman.count(SNAPSHOT), doorman.count(STOCK)) == (1, 2)


def test_after_a_gap_the_stock_is_read_anew(start: Start, browser: Chromium):
    server = start(workers=1)
    gap = b'event: gap\ndata: {"requestedId":1,"oldestId":2,"snapshot":"/v1/inventory"}\n\n'
    with Doorman(server) as doorman:
        doorman.refuse = refusing(STOCK, Refusal(200, {"Content-Type": "text/event-stream"}, gap), times=1)
        browser.open(doorman.url)
        wait_until(lambda: doorman.count(STOCK) == 2, "it is followed again")
        assert doorman.count(SNAPSHOT) == 2
        stock = new_stock()
        change(server, FLUFFY, stock=stock)
        browser.wait_for(f"{TOLD}.some((line) => line.includes('→ {stock} in stock'))")


def test_a_page_that_nobody_sees_gives_its_connection_back_and_goes_on_where_it_was(start: Start, browser: Chromium):
    server, (before, seen, missed) = start(workers=1, PETSTORE_HEARTBEAT_S=15), (new_stock(), new_stock(), new_stock())
    change(server, FLUFFY, stock=before)
    follow_stock(browser, server, server.url)
    change(server, FLUFFY, stock=seen)
    browser.wait_for(f"{TOLD}.length == 1")
    show(browser, False)
    wait_until_none_is_open(server)
    change(server, FLUFFY, stock=missed)
    assert browser.evaluate(f"{TOLD}.length") == 1
    show(browser, True)
    browser.wait_for(f"{TOLD}.length == 2")
    assert browser.evaluate(TOLD) == [f"Fluffy{seen} → {missed} in stock", f"Fluffy{before} → {seen} in stock"]
    assert streams_open(server) == 1


def test_recommendations_that_are_refused_are_told_so(start: Start, browser: Chromium):
    browser.open(start(workers=1).url)
    browser.wait_for(f"{STATE} == '{REFUSED}'")


def test_recommendations_that_can_not_be_had_now_are_asked_for_later_and_not_called_refused(start: Start, browser: Chromium):
    with Doorman(start(workers=1, PETSTORE_DEMO=1)) as doorman:
        doorman.refuse = refusing(RECOMMENDATIONS, Refusal(503, SOON))
        browser.open(doorman.url)
        browser.wait_for(f"{STATE} == '{AGAIN}'")
        wait_until(lambda: doorman.count(RECOMMENDATIONS) > 1, "they are asked for again")
        assert browser.evaluate(STATE) != REFUSED
        doorman.refuse = lambda method, target: None
        browser.wait_for(f"{PETS} == 10")


def test_the_page_of_the_documentation_sends_a_photo(start: Start, browser: Chromium):
    server = start(workers=1)
    browser.open(f"{server.url}/docs")
    browser.wait_for("document.querySelector('#uploadPetImage form') !== null")
    token = STAFF["Authorization"].removeprefix("Bearer ")
    browser.evaluate(
        f"""
        sessionStorage.setItem('petstore.token', '{token}');
        {{
          const form = document.querySelector('#uploadPetImage form');
          const content = Uint8Array.from(atob('{base64.b64encode(png()).decode()}'), (character) => character.charCodeAt(0));
          const files = new DataTransfer();
          files.items.add(new File([content], 'photo.png', {{ type: 'image/png' }}));
          form.petId.value = '{FLUFFY}';
          form.file.files = files.files;
          form.additionalMetadata.value = 'from the garden';
          form.file.dispatchEvent(new Event('input', {{ bubbles: true }}));
          form.requestSubmit();
        }}
        """
    )
    browser.wait_for("document.querySelector('#uploadPetImage .output pre') !== null")
    assert browser.evaluate("document.querySelector('#uploadPetImage .output p').textContent").startswith("201")
    line = browser.evaluate("document.querySelector('#uploadPetImage .try > div > pre').textContent")
    assert """ -F 'file=@"photo.png"' --form-string 'additionalMetadata=from the garden'""" in line
    (photo,) = get(server, f"/v1/pets/{FLUFFY}")["photos"]
    shown = send(server, "GET", photo)
    assert (shown.status, shown.body) == (200, png())


def follow_stock(browser: Chromium, server: Server, url: str) -> None:
    """Open the front page, and return when it follows the stock. Without the demo it has no other stream."""
    browser.open(url)
    wait_until(lambda: streams_open(server) == 1, "the stock is followed")


def show(browser: Chromium, seen: bool) -> None:
    """Have the page believe that its tab was brought to the front, or that another one was."""
    hidden = json.dumps(not seen)
    browser.evaluate(f"Object.defineProperty(document, 'hidden', {{ configurable: true, value: {hidden} }})")
    browser.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def ask(browser: Chromium, question: str) -> None:
    browser.evaluate(f"document.querySelector('#chat form').question.value = '{question}'")
    browser.evaluate("document.querySelector('#chat form').requestSubmit()")
