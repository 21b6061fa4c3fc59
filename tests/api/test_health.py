"""Health: the process answers whatever else is wrong; readiness says what keeps new streams out."""

from pathlib import Path

from flask.testing import FlaskClient

from petstore.api.services import Services


def assert_not_ready(client: FlaskClient, because: str) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.mimetype == "application/problem+json"
    assert response.get_json()["type"] == "https://petstoreapi.com/errors/service-unavailable"
    assert because in response.get_json()["detail"]
    assert int(response.headers["Retry-After"]) > 0
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_a_worker_that_takes_streams_is_healthy_and_ready(client: FlaskClient):
    for path in ("/healthz", "/readyz"):
        response = client.get(path)
        assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


def test_a_draining_worker_is_not_ready(client: FlaskClient, parts: Services):
    parts.feed.drain()
    assert_not_ready(client, "draining")


def test_a_full_worker_is_not_ready_until_a_stream_ends(client: FlaskClient, parts: Services):
    for _ in range(parts.admission.max_streams):
        parts.admission.take()
    assert_not_ready(client, "full")
    parts.admission.give_back()
    assert client.get("/readyz").status_code == 200


def test_a_worker_without_its_database_is_not_ready_and_tells_nobody_why(client: FlaskClient, parts: Services):
    path = Path(parts.settings.database_url.removeprefix("sqlite:///"))
    path.rename(path.with_suffix(".gone"))
    assert_not_ready(client, "database did not answer")
    assert str(path) not in client.get("/readyz").text
    assert client.get("/v1/pets").status_code == 503
