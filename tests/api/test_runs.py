"""Runs over HTTP: started, looked at, streamed and stopped; by the embedded engines, and by a model's with all its faults."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from petstore.api.bearer import Scope
from petstore.shop import Change, Shop, all_pets, change_inventory, get_customer, like_pet
from petstore.sse import Decoder, EventLog, Received
from tests.ai.model_server import Cut, ModelServer, Raw, Refusal, Script, Silence, picks, say
from tests.api.conftest import BUDDY, CUSTOMER, STAFF, authorization, signed_in

RUNS = "/v1/runs"
OTHER = "019b402b-c12c-7d04-905c-4b5f32bfd572"
RECOMMENDATIONS = {"kind": "RECOMMENDATIONS", "userId": "user-456"}
KEY = {"Idempotency-Key": "5b0a51f6-7c3c-4ad8-9a43-0c5a3ad8d9a7"}
CHAT = {"kind": "CHAT", "messages": [{"role": "user", "content": "a quiet cat"}]}

State = Callable[[], object]


@pytest.fixture
def client(customer: FlaskClient) -> FlaskClient:
    """Signed in: only the demo answers everybody."""
    return customer


def stream(client: FlaskClient, run: dict[str, Any], **headers: str) -> list[Received]:
    """Return the events of a run's stream, read to its end."""
    response = client.get(run["links"]["stream"], headers=headers)
    assert response.status_code == 200
    return Decoder().feed(response.data)


def start(client: FlaskClient, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    response = client.post(RUNS, json=body, headers=headers)
    assert response.status_code == 201, response.text
    run: dict[str, Any] = response.get_json()
    assert response.headers["Location"] == run["links"]["self"]
    return run


def test_a_run_of_recommendations_is_shown_and_streamed(client: FlaskClient):
    run = start(client, RECOMMENDATIONS | {"limit": 3})
    events = stream(client, run)
    assert [event.type for event in events] == ["recommendation"] * 3 + ["complete"]
    end = json.loads(events[-1].data)
    assert end["total"] == 3
    assert end["engine"] == "embedded"
    shown = client.get(run["links"]["self"]).get_json()
    assert shown["status"] == "COMPLETE"
    assert shown["data"] == [json.loads(event.data) for event in events[:-1]]
    assert shown["result"] == end
    assert str(shown["lastEventId"]) == events[-1].last_event_id


def test_a_run_of_chat_is_shown_and_streamed(client: FlaskClient):
    run = start(client, CHAT)
    events = stream(client, run)
    shown = client.get(run["links"]["self"]).get_json()
    assert "".join(json.loads(event.data)["content"] for event in events if event.type == "delta") == shown["content"]
    assert events[-1].type == "complete"
    assert shown["result"]["finishReason"] == "STOP"
    assert shown["result"]["sources"]


@pytest.mark.parametrize("body", [CHAT, RECOMMENDATIONS])
def test_what_starts_a_run_shows_it_as_it_is_at_once_and_by_its_key(client: FlaskClient, body: dict[str, Any]):
    run = start(client, body, **{"Idempotency-Key": "abc"})
    assert run["status"] == "COMPLETE"
    assert run["content"] or run["data"]
    assert run["result"]["engine"] == "embedded"
    links = run.pop("links")
    for again in (start(client, body, **{"Idempotency-Key": "abc"}), client.get(links["self"]).get_json()):
        assert {name: value for name, value in again.items() if name != "links"} == run


def test_a_finished_run_replays_from_any_cursor_and_then_says_that_there_is_no_more(client: FlaskClient):
    run = start(client, RECOMMENDATIONS)
    events = stream(client, run)
    for at, event in enumerate(events[:-1], start=1):
        assert stream(client, run, **{"Last-Event-ID": event.last_event_id}) == events[at:]
    assert client.get(run["links"]["stream"], headers={"Last-Event-ID": events[-1].last_event_id}).status_code == 204


@pytest.mark.parametrize("body", [CHAT, RECOMMENDATIONS])
def test_the_same_idempotency_key_never_starts_a_second_one(client: FlaskClient, state: State, body: dict[str, Any]):
    first = client.post(RUNS, json=body, headers=KEY)
    run = first.get_json()
    stream(client, run)  # To its end: on a busy machine it may still go on.
    before = state()
    again = client.post(RUNS, json=body, headers=KEY)
    assert run["links"]["self"] == again.get_json()["links"]["self"]
    shown = client.get(run["links"]["self"]).get_json()
    assert shown | {"links": None} == again.get_json() | {"links": None}  # These have a fresh signature each.
    assert (first.headers.get("Idempotency-Replayed"), again.headers.get("Idempotency-Replayed")) == (None, "true")
    other = RECOMMENDATIONS if body is CHAT else CHAT
    assert client.post(RUNS, json=other, headers=KEY).status_code == 422
    assert client.post(RUNS, json=body | {"kind": "POETRY"}, headers=KEY).status_code == 422
    assert state() == before


def test_a_key_is_its_caller_s_own_and_its_tenant_s(make_app: Callable[..., Flask]):
    app = make_app(demo=True)
    tenant = {"X-Tenant-ID": "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01"}
    clients = [app.test_client(), signed_in(app, CUSTOMER), signed_in(app, STAFF)]
    started = [start(client, CHAT, **KEY)["id"] for client in clients]
    started.append(start(app.test_client(), CHAT, **KEY, **tenant)["id"])
    assert len(set(started)) == 4


def test_of_equal_requests_at_once_at_two_workers_one_starts_a_run(make_app: Callable[..., Flask]):
    with ModelServer(say("One moment", Silence())) as server:
        first = make_app(llm_model="test", llm_base_url=server.url, llm_silence_s=30)
        second = make_app(first, llm_model="test", llm_base_url=server.url, llm_silence_s=30)
        clients = [signed_in((first, second)[number % 2], CUSTOMER) for number in range(12)]
        together = threading.Barrier(len(clients))

        def ask(client: FlaskClient) -> tuple[str, str | None]:
            together.wait(10)
            answer = client.post(RUNS, json=CHAT, headers=KEY)
            return answer.get_json()["id"], answer.headers.get("Idempotency-Replayed")

        with ThreadPoolExecutor(len(clients)) as pool:
            answers = list(pool.map(ask, clients))
        assert len({run_id for run_id, _ in answers}) == 1
        assert [replayed for _, replayed in answers].count(None) == 1
        server.wait_for_calls(1)
        assert clients[0].delete(f"{RUNS}/{answers[0][0]}").status_code == 204
        server.wait_until_hung_up()
        assert len(server.calls) == 1


def everything(log: EventLog) -> str:
    """Return all that the database holds."""
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    return log.query(
        lambda connection: "\n".join(
            str(connection.execute(text(f"SELECT * FROM {name}")).all()) for name in connection.execute(text(tables)).scalars()
        )
    )


def pay(order: dict[str, Any]) -> dict[str, Any]:
    """Return a body that pays an order by a card with a name and an address."""
    address = {"line1": "123 Market Street", "city": "Springfield", "postalCode": "62704", "country": "US"}
    card = {"object": "card", "number": "4242424242424242", "cvc": "123", "expMonth": 12, "expYear": 2099}
    source = card | {"name": "Leah Leaver", "billingAddress": address}
    return {"amount": order["totalAmount"], "currency": order["currency"], "source": source}


def test_of_a_closed_account_no_run_goes_on_and_no_word_is_left(make_app: Callable[..., Flask]):
    with ModelServer(say("Whiskered reply", Silence())) as server:
        app = make_app(llm_model="test", llm_base_url=server.url, llm_silence_s=30)
        log = app.extensions["petstore"].log
        account = {"username": "leaver", "email": "leaver@example.com", "password": "a long enough one", "firstName": "Leah"}
        key = {"Idempotency-Key": "7b6f6c3e-5d3c-4c6f-8c53-0d4f4b1e2a10"}
        made = app.test_client().post("/v1/users", json=account, headers=key)
        assert made.status_code == 201, made.text
        user_id = made.get_json()["id"]
        client = signed_in(app, user_id)
        order = client.post("/v1/orders", json={"petId": BUDDY}, headers=key).get_json()
        assert client.post(order["links"]["payment"], json=pay(order), headers={"Idempotency-Key": "payment"}).status_code == 201
        other_key = {"Idempotency-Key": "7b6f6c3e-5d3c-4c6f-8c53-0d4f4b1e2a11"}
        guest = app.test_client().post("/v1/orders", json={"petId": BUDDY}, headers=other_key)
        secret = {"role": "user", "content": "my parakeet is called Quetzalcoatl"}
        ended = start(client, {"kind": "CHAT", "messages": [secret], "model": "pet-advisor-turbo"})
        going_on = start(client, {"kind": "CHAT", "messages": [secret]})
        other = start(signed_in(app, CUSTOMER), CHAT | {"model": "pet-advisor-turbo"})
        server.wait_for_calls(1)
        until = time.monotonic() + 10
        while "Whiskered" not in everything(log):
            assert time.monotonic() < until
        assert "Quetzalcoatl" in everything(log)
        streams = [client.get(run["links"]["stream"]) for run in (ended, going_on)]
        assert client.delete(f"/v1/users/{user_id}").status_code == 204
        server.wait_until_hung_up()
        assert json.loads(Decoder().feed(streams[1].data)[-1].data)["reason"] == "the account was closed"
        for left in ("Quetzalcoatl", "Whiskered", user_id, "Leah", "leaver", "Market Street"):
            assert left not in everything(log)
        paid = signed_in(app, STAFF).get(order["links"]["payment"]).get_json()
        assert (paid["source"]["name"], paid["source"]["billingAddress"], paid["source"]["last4"]) == (None, None, "4242")
        again = app.test_client().post("/v1/orders", json={"petId": BUDDY}, headers=other_key)
        assert again.status_code == 201
        assert again.data == guest.data, "others' keys stay"
        for run in (ended, going_on):
            for caller in (client, signed_in(app, STAFF), app.test_client()):
                for link in run["links"].values():
                    assert caller.get(link).status_code in (401, 404)
        assert signed_in(app, STAFF).get(ended["links"]["self"]).status_code == 404
        assert app.test_client().get(ended["links"]["stream"]).status_code == 404
        late = client.post(RUNS, json={"kind": "CHAT", "messages": [secret], "model": "pet-advisor-turbo"})
        assert late.status_code in (401, 404)
        assert "Quetzalcoatl" not in everything(log)
        assert signed_in(app, CUSTOMER).get(other["links"]["self"]).status_code == 200, "others' runs stay"


def test_a_run_s_topic_is_one_for_the_stream_of_many(client: FlaskClient):
    run = start(client, CHAT)
    response = client.get(f"/v1/stream?topics={run['topic']}")
    assert [event.type for event in Decoder().feed(response.data)][-1] == "complete"
    assert client.get("/v1/stream?topics=chat/019b4127-0000-7000-8000-000000000000").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "POETRY"}, "kind"),
        ({"kind": "CHAT"}, ""),
        ({"kind": "RECOMMENDATIONS"}, ""),
        (CHAT | {"userId": "user-456"}, ""),
        (RECOMMENDATIONS | {"messages": CHAT["messages"]}, ""),
        (RECOMMENDATIONS | {"limit": 0}, "limit"),
        (RECOMMENDATIONS | {"limit": 51}, "limit"),
        (CHAT | {"messages": []}, "messages"),
        (CHAT | {"maxTokens": 0}, "maxTokens"),
        (CHAT | {"temperature": 10**400}, "temperature"),
        (CHAT | {"messages": [{"role": "user", "content": "x" * 200_000}]}, "messages"),
    ],
)
def test_a_bad_body_is_a_problem_and_starts_nothing(client: FlaskClient, state: State, body: dict[str, Any], field: str):
    before = state()
    response = client.post(RUNS, json=body)
    assert response.status_code == 422, response.text
    assert response.get_json()["errors"][0]["field"] == field
    assert state() == before


@pytest.mark.parametrize(("body", "status"), [(RECOMMENDATIONS | {"userId": "user-457"}, 404), (CHAT | {"model": "gpt-5"}, 404)])
def test_an_unknown_customer_or_model_is_not_found(client: FlaskClient, state: State, body: dict[str, Any], status: int):
    before = state()
    assert client.post(RUNS, json=body).status_code == status
    assert state() == before


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_run_is_not_found(client: FlaskClient, method: str):
    assert client.open(f"{RUNS}/019b4127-0000-7000-8000-000000000000", method=method).status_code == 404
    assert client.open(f"{RUNS}/nonsense", method=method).status_code == 400


def test_a_run_that_has_ended_cannot_be_stopped(client: FlaskClient, state: State):
    run = start(client, CHAT)
    before = state()
    refused = client.delete(run["links"]["self"])
    assert (refused.status_code, refused.get_json()["detail"]) == (409, f"run {run['id']} has ended already")
    assert state() == before


def candidates(server: ModelServer) -> list[str]:
    """Return the pets that the model was asked to rank."""
    return [pet["petId"] for pet in json.loads(server.calls[-1]["messages"][1]["content"])["candidates"]]


def test_a_model_s_lines_are_the_recommendations(make_app: Callable[..., Flask]):
    def rank(request: dict[str, Any]) -> Any:
        wanted = [pet["petId"] for pet in json.loads(request["messages"][1]["content"])["candidates"]]
        return say(*picks(list(reversed(wanted))[:10]))(request)

    with ModelServer(rank) as server:
        client = signed_in(make_app(llm_model="test", llm_base_url=server.url), CUSTOMER)
        events = [event for event in stream(client, start(client, RECOMMENDATIONS)) if event.type != "progress"]
        assert [json.loads(event.data)["petId"] for event in events[:-1]] == list(reversed(candidates(server)))[:10]
        assert {json.loads(event.data)["reason"] for event in events[:-1]} == {"It fits what you like"}
        assert json.loads(events[-1].data)["engine"] == "model"
        assert len(server.calls) == 1


def first_two_and(*steps: Any) -> Script:
    def rank(request: dict[str, Any]) -> Any:
        wanted = [pet["petId"] for pet in json.loads(request["messages"][1]["content"])["candidates"]]
        return say(*picks(wanted[:2], [0.9, 0.8]), *steps)(request)

    return rank


@pytest.mark.parametrize(
    ("script", "by_model"),
    [
        (say(Refusal(429, {"message": "slow down"})), 0),
        (say(Cut()), 0),
        (say(Silence()), 0),
        (say("I like cats.\n" * 5), 0),
        (say(*picks(["019b4127-0000-7000-8000-000000000000"])), 0),
        (first_two_and(), 2),
        (first_two_and(Cut()), 2),
        (first_two_and(Silence()), 2),
        (first_two_and(Raw(b"data: {not JSON\n\n")), 2),
        (first_two_and('{"petId": '), 2),
    ],
)
def test_what_a_model_doesn_t_finish_the_embedded_one_does(make_app: Callable[..., Flask], script: Script, by_model: int):
    with ModelServer(script) as server:
        client = signed_in(make_app(llm_model="test", llm_base_url=server.url, llm_silence_s=1), CUSTOMER)
        events = [event for event in stream(client, start(client, RECOMMENDATIONS)) if event.type != "progress"]
        assert len(server.calls) == 1
    data = [json.loads(event.data) for event in events]
    assert [event.type for event in events] == ["recommendation"] * 10 + ["complete"]
    assert [pick["reason"] == "It fits what you like" for pick in data[:-1]] == [True] * by_model + [False] * (10 - by_model)
    assert len({pick["petId"] for pick in data[:-1]}) == 10
    scores = [pick["score"] for pick in data[:-1]]
    assert scores == sorted(scores, reverse=True)
    assert data[-1]["engine"] == "embedded"
    assert data[-1]["total"] == 10


def test_a_model_that_fails_before_it_speaks_is_replaced_in_chat_and_in_the_middle_it_is_an_error(make_app: Callable[..., Flask]):
    with ModelServer(say(Cut())) as server:
        client = signed_in(make_app(llm_model="test", llm_base_url=server.url, llm_silence_s=5), CUSTOMER)
        end = json.loads(stream(client, start(client, CHAT))[-1].data)
        assert end["engine"] == "embedded"
        server.script = say("Half an ans", Cut())
        run = start(client, CHAT)
        events = stream(client, run)
        assert events[-1].type == "error"
        assert json.loads(events[-1].data)["retryable"] is True
        assert client.get(run["links"]["self"]).get_json()["status"] == "FAILED"
        assert stream(client, run, **{"Last-Event-ID": events[-2].last_event_id}) == events[-1:], "who was cut off learns of it"
        seen = {"Last-Event-ID": events[-1].last_event_id}
        assert client.get(run["links"]["stream"], headers=seen).status_code == 204, "and is told once"
        whole = client.post("/v1/chat/completions", json={"messages": CHAT["messages"]})
        assert whole.status_code == 503
        assert whole.get_json()["error"]["type"] == "server_error"
        streamed = client.post("/v1/chat/completions", json={"messages": CHAT["messages"], "stream": True})
        assert "[DONE]" not in streamed.text
        assert json.loads(Decoder().feed(streamed.data)[-1].data)["error"]["code"] == "run_failed"


def test_a_deleted_run_says_why_it_ends_and_its_call_is_cut(make_app: Callable[..., Flask]):
    with ModelServer(say("One moment", Silence())) as server:
        client = signed_in(make_app(llm_model="test", llm_base_url=server.url, llm_silence_s=30), CUSTOMER)
        run = start(client, CHAT)
        assert (run["status"], run["content"], run["result"]) == ("RUNNING", "", None)
        server.wait_for_calls(1)
        assert client.delete(run["links"]["self"]).status_code == 204
        server.wait_until_hung_up()
        end = stream(client, run)[-1]
        assert end.type == "complete"
        assert json.loads(end.data)["status"] == "stopped"
        assert json.loads(end.data)["reason"] == "it was deleted"
        assert client.get(run["links"]["self"]).get_json()["status"] == "STOPPED"


def test_an_answer_that_was_stopped_is_no_answer_and_asked_for_again_it_is_made_anew(make_app: Callable[..., Flask]):
    question = {"messages": CHAT["messages"], "stream": False}
    with ModelServer(say("One moment", Silence())) as server, ThreadPoolExecutor(1) as pool:
        app = make_app(llm_model="test", llm_base_url=server.url, llm_silence_s=30)
        client = signed_in(app, CUSTOMER)
        waiting = pool.submit(signed_in(app, CUSTOMER).post, "/v1/chat/completions", json=question, headers=KEY)
        server.wait_for_calls(1)
        client.delete(f"{RUNS}/{newest_run(app)}")
        refused = waiting.result(20)
        assert (refused.status_code, refused.mimetype) == (409, "application/problem+json")
        assert "it was deleted" in refused.get_json()["detail"]
        assert refused.headers["X-Should-Retry"] == "false", "OpenAI's clients would begin it anew by themselves"
        server.script = say("Here I am.")
        again = client.post("/v1/chat/completions", json=question, headers=KEY)
        assert again.get_json()["choices"][0]["message"]["content"] == "Here I am."
        assert "Idempotency-Replayed" not in again.headers


def newest_run(app: Flask) -> str:
    log: EventLog = app.extensions["petstore"].log
    id: str = log.query(lambda connection: connection.execute(text("SELECT max(id) FROM runs")).scalar_one())
    return id


def test_a_model_is_told_of_the_newest_likes_and_what_it_picks_too_late_is_not_recommended(make_app: Callable[..., Flask]):
    def rank(request: dict[str, Any]) -> Any:
        asked = json.loads(request["messages"][1]["content"])
        assert [pet["petId"] for pet in asked["customer"]["liked"]] == list(liked[-12:])
        wanted.extend(pet["petId"] for pet in asked["candidates"][:3])
        change_inventory(Shop(log), [Change(wanted[0], stock=0)])
        return say(*picks(wanted))(request)

    wanted: list[str] = []
    with ModelServer(rank) as server:
        app = make_app(llm_model="test", llm_base_url=server.url)
        log = app.extensions["petstore"].log
        client = signed_in(app, OTHER)
        for pet in all_pets(Shop(log))[:20]:
            like_pet(Shop(log), OTHER, pet.id)
        liked = get_customer(Shop(log), OTHER).likes
        assert len(liked) >= 20
        events = [event for event in stream(client, start(client, RECOMMENDATIONS | {"userId": OTHER})) if event.type != "progress"]
    shown = [json.loads(event.data)["petId"] for event in events[:-1]]
    assert len(shown) == 10
    assert shown[:2] == wanted[1:3]
    assert wanted[0] not in shown


def test_a_run_that_nobody_comes_for_stops_and_says_why(make_app: Callable[..., Flask]):
    with ModelServer(say("One moment", Silence())) as server:
        client = signed_in(make_app(llm_model="test", llm_base_url=server.url, llm_silence_s=30, run_lease_s=0.5), CUSTOMER)
        run = start(client, CHAT)
        server.wait_until_hung_up()
        end = json.loads(stream(client, run)[-1].data)
        assert end["status"] == "stopped"
        assert end["reason"] == "nobody was there to see it"


def test_a_run_that_takes_longer_tells_its_progress(make_app: Callable[..., Flask]):
    with ModelServer(first_two_and(2.5, "\n")) as server:
        client = signed_in(make_app(llm_model="test", llm_base_url=server.url, llm_silence_s=5), CUSTOMER)
        events = stream(client, start(client, RECOMMENDATIONS))
    progress = [json.loads(event.data) for event in events if event.type == "progress"]
    assert progress
    assert progress[0] == {"done": 2, "total": 10, "phase": "asking the model"}


@pytest.mark.parametrize("body", [CHAT, RECOMMENDATIONS])
def test_a_run_is_its_customer_s_alone_and_its_link_opens_its_stream(app: Flask, client: FlaskClient, body: dict[str, Any]):
    run = start(client, body)
    bare = run["links"]["stream"].partition("?")[0]
    for other in (app.test_client(), signed_in(app, OTHER)):
        assert other.get(run["links"]["self"]).status_code == 404
        assert other.delete(run["links"]["self"]).status_code == 404
        assert other.get(bare).status_code == 404
        assert other.get(f"/v1/stream?topics={run['topic']}").status_code == 404
    assert stream(app.test_client(), run) == stream(client, run)
    assert app.test_client().delete(f"{run['links']['self']}?{run['links']['stream'].partition('?')[2]}").status_code == 404
    assert signed_in(app, STAFF).get(run["links"]["self"]).status_code == 200


def test_a_guest_chats_in_the_demo_alone_and_reaches_the_run_by_its_links(app: Flask, make_app: Callable[..., Flask]):
    assert app.test_client().post(RUNS, json=CHAT).status_code == 401
    assert app.test_client().post("/v1/chat/completions", json={"messages": CHAT["messages"]}).status_code == 401
    demo = make_app(demo=True).test_client()
    run = start(demo, CHAT)
    assert demo.get(f"{RUNS}/{run['id']}").status_code == 404, "who knows the id knows nothing"
    assert demo.get(run["links"]["self"]).get_json()["userId"] is None
    assert stream(demo, run)[-1].type == "complete"
    assert demo.delete(run["links"]["self"]).status_code == 409, "it's theirs to stop, had it not ended"


def test_to_chat_takes_the_scope(app: Flask):
    headers = authorization(CUSTOMER, scopes=[Scope.READ_USER])
    client = app.test_client()
    assert client.post(RUNS, json=CHAT, headers=headers).status_code == 403
    assert client.post("/v1/chat/completions", json={"messages": CHAT["messages"]}, headers=headers).status_code == 403
    assert client.post(RUNS, json=RECOMMENDATIONS, headers=headers).status_code == 201


def test_a_tenant_s_runs_and_pets_are_its_own(make_app: Callable[..., Flask]):
    tenant = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01"
    demo = make_app(demo=True).test_client()
    run = start(demo, CHAT, **{"X-Tenant-ID": tenant})
    shown = demo.get(run["links"]["self"])
    assert f"?tenantId={tenant}" in shown.get_json()["content"]
    assert stream(demo, run)[-1].type == "complete"
    token = run["links"]["self"].rpartition("token=")[2].partition("&")[0]
    assert demo.get(f"{RUNS}/{run['id']}?token={token}").status_code == 401, "the link is for another tenant's shop"
