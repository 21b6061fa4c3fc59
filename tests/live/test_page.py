"""The front page in a real browser: what streams show there, with a model that is slow."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ai.model_server import Silence, Step, Text, picks
from tests.live.chromium import Chromium
from tests.live.conftest import Behind
from tests.live.server import DEADLINE_S
from tests.live.shop import FLUFFY, change, new_stock
from tests.live.test_runs import candidates

PETS = "document.querySelectorAll('#recommendations .pets li').length"
BAR = "document.querySelector('#recommendations .progress')"
SAID = "document.querySelector('#chat .talk p:last-child')?.textContent"


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
        if "candidates" in request["messages"][1]["content"]:
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
    assert len([call for call in model.calls if "candidates" not in str(call["messages"][1]["content"])]) == 1
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


def ask(browser: Chromium, question: str) -> None:
    browser.evaluate(f"document.querySelector('#chat form').question.value = '{question}'")
    browser.evaluate("document.querySelector('#chat form').requestSubmit()")
