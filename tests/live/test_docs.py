"""The documentation page in a browser that reaches nothing but this machine."""

import html
import re
from pathlib import Path
from urllib.parse import urlsplit

from tests.live.browser import load
from tests.live.server import Server
from tests.live.shop import get


def test_the_page_shows_every_operation_and_every_event_and_asks_nobody_but_us(shop: Server, tmp_path: Path):
    description = get(shop, "/v1/openapi.json")
    page = load(f"{shop.url}/docs", tmp_path)
    articles = dict(re.findall(r'<article id="(\w+)">(.*?)</article>', page.html, re.DOTALL))
    operations = {
        operation["operationId"]: (path, operation) for path, item in description["paths"].items() for operation in item.values()
    }
    assert set(articles) == set(operations)
    assert "The description could not be" not in page.html
    for name, (path, operation) in operations.items():
        text = html.unescape(articles[name])
        assert path in text, name
        assert operation["summary"] in text, name
        assert all(f">{status}<" in text for status in operation["responses"] if status < "400"), name
        for content in operation["responses"].get("200", {}).get("content", {}).values():
            named = {event["title"] for event in content.get("itemSchema", {}).get("anyOf", ())} - {"message"}
            assert all(f">{event}<" in text for event in named), name
    assert ">no name<" in articles["streamOrder"]
    assert "data: [DONE]" in articles["createChatCompletion"]
    assert f"{shop.url}/v1/openapi.json" in page.asked
    assert {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in page.asked} == {shop.url}
