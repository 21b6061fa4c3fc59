"""The pages: whole without the internet, and unable to ask anybody but us."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

STATIC = Path(__file__).resolve().parents[2] / "petstore/web/static"
PAGES = ("/", "/docs")
ELSEWHERE = re.compile(
    r"https?://(?!www\.w3\.org/2000/svg)|\burl\(|@import|\beval\b|innerHTML|outerHTML|insertAdjacentHTML|document\.write"
)


def assets_of(client: FlaskClient, page: str) -> set[str]:
    """Return what a page asks for when it's opened."""
    answer = client.get(page)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    asked = set(re.findall(r'(?:src|href|data-document)="([^"#]+)"', answer.text))
    imported = {f"/assets/{name}" for path in STATIC.glob("*.js") for name in re.findall(r"from '\./([^']+)'", path.read_text())}
    return asked | imported


@pytest.mark.parametrize("page", PAGES)
def test_everything_that_a_page_asks_for_is_served_by_us(client: FlaskClient, page: str):
    for url in assets_of(client, page):
        assert url.startswith("/")
        with client.get(url) as answer:
            assert answer.status_code == 200, url


def test_there_is_no_asset_that_no_page_asks_for(client: FlaskClient):
    asked = set().union(*(assets_of(client, page) for page in PAGES))
    assert {"/v1/openapi.json", "/v1/openapi.yaml", "/docs"} < asked
    assert {f"/assets/{path.name}" for path in STATIC.iterdir()} == {url for url in asked if url.startswith("/assets/")}


def test_nothing_in_them_asks_elsewhere_or_makes_markup_of_text(client: FlaskClient):
    texts = {path.name: path.read_text() for path in STATIC.iterdir()} | {page: client.get(page).text for page in PAGES}
    assert [(name, found[0]) for name, text in texts.items() if (found := ELSEWHERE.search(text))] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_browser_is_told_to_load_and_ask_nothing_but_ours(client: FlaskClient, page: str):
    policy = client.get(page).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert set(re.findall(r"'[a-z-]+'|https?:\S*|\*", policy)) == {"'none'", "'self'"}
