"""The documentation page: whole without the internet, and unable to ask anybody but us."""

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from petstore.settings import Settings

STATIC = Path(__file__).resolve().parents[2] / "petstore/web/static"
ELSEWHERE = re.compile(
    r"https?://(?!www\.w3\.org/2000/svg)|\burl\(|@import|\beval\b|innerHTML|outerHTML|insertAdjacentHTML|document\.write"
)


@pytest.fixture
def client(empty_path: Path) -> FlaskClient:
    app: Flask = create_app(
        Settings(secret_key="correct horse battery", database_url=f"sqlite:///{empty_path}", var_directory=empty_path.parent)
    )
    app.extensions["petstore.background"].started = True
    return app.test_client()


def test_everything_that_the_page_asks_for_is_served_by_us(client: FlaskClient):
    page = client.get("/docs")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    asked = set(re.findall(r'(?:src|href|data-document)="([^"#]+)"', page.text))
    assert {"/v1/openapi.json", "/v1/openapi.yaml"} < asked
    imported = {f"/assets/{name}" for path in STATIC.glob("*.js") for name in re.findall(r"from '\./([^']+)'", path.read_text())}
    for url in asked | imported:
        assert url.startswith("/")
        with client.get(url) as answer:
            assert answer.status_code == 200, url
    assert {f"/assets/{path.name}" for path in STATIC.iterdir()} == {url for url in asked | imported if url.startswith("/assets/")}


def test_nothing_in_it_asks_elsewhere_or_makes_markup_of_text(client: FlaskClient):
    texts = {path.name: path.read_text() for path in STATIC.iterdir()} | {"docs": client.get("/docs").text}
    assert [(name, found[0]) for name, text in texts.items() if (found := ELSEWHERE.search(text))] == []


def test_a_browser_is_told_to_load_and_ask_nothing_but_ours(client: FlaskClient):
    policy = client.get("/docs").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert set(re.findall(r"'[a-z-]+'|https?:\S*|\*", policy)) == {"'none'", "'self'"}
