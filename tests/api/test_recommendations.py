"""Where a stream of recommendations begins, and the answer when nothing can follow."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from petstore.ai import EMBEDDED, Run, RunKind, RunStatus
from petstore.api.recommendations import _find_run
from petstore.api.services import Services
from petstore.sse import Draft, read_since
from tests.api.conftest import signed_in

CUSTOMER = "user-456"


@pytest.mark.parametrize(("since", "kept"), [("1h", 0), ("5s", 1)])
def test_from_a_moment_on_a_run_that_goes_on_tells_what_came_since(
    app: Flask, parts: Services, monkeypatch: pytest.MonkeyPatch, since: str, kept: int
):
    parts.log.write(lambda transaction: transaction.append([Draft("tests", "news", {})]))  # The log goes on, too.
    now = datetime.now(UTC)
    begun = int((now - timedelta(seconds=10)).timestamp() * 1e6)
    going_on = (EMBEDDED, RunStatus.RUNNING, 0, 60_000_000, begun + 120_000_000, begun)
    run = Run("019b4127-0000-7000-8000-000000000000", "", RunKind.RECOMMENDATIONS, CUSTOMER, {"limit": 10}, *going_on)
    monkeypatch.setattr(type(parts.runs), "join", lambda *_: run)
    asked = read_since(since, now)
    with app.test_request_context():
        _, opening = _find_run(CUSTOMER, asked)
    assert opening.gaps == ()
    assert opening.cursor == (begun - 1, asked.id)[kept]


def test_when_nothing_can_follow_there_is_no_body_and_no_word_about_one(app: Flask, parts: Services):
    client = signed_in(app, CUSTOMER)
    try:
        complete = client.get(f"/v1/pets/recommendations?userId={CUSTOMER}").get_json()["lastEventId"]
        answer = client.get(
            f"/v1/pets/recommendations/stream?userId={CUSTOMER}",
            headers={"Last-Event-ID": str(complete), "Accept": "text/event-stream"},
        )
        assert (answer.status_code, answer.data) == (204, b"")
        assert "Content-Type" not in answer.headers
    finally:
        parts.feed.stop()
