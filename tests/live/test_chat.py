"""Chat with the real `openai` package against a real server, and with a real model server behind that."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from petstore.sse import Decoder
from tests.ai.model_server import Silence, say
from tests.live.client import Exchange
from tests.live.conftest import Behind, Patient
from tests.live.server import Server, wait_until
from tests.live.shop import CUSTOMER, JSON, ask, authorization, change, get, new_stock

QUESTION: list[Any] = [{"role": "user", "content": "a quiet cat for a flat with a child"}]

SOON_S = 10.0
"""Long before a model's silence is over, and enough for a machine that is busy. What it took is printed."""

CHAT = "/v1/chat/completions"
SIGNED_IN = authorization(CUSTOMER)
KEY = SIGNED_IN["Authorization"].removeprefix("Bearer ")
TYPED = JSON | SIGNED_IN
BODY = b'{"stream": true, "messages": [{"role": "user", "content": "hello"}]}'


def client_of(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)


@pytest.fixture
def client(shop: Server) -> Iterator[openai.OpenAI]:
    with client_of(shop) as client:
        yield client


def test_the_openai_package_lists_models_and_asks_one(client: openai.OpenAI, shop: Server):
    model = client.models.list().data[0]
    assert client.models.retrieve(model.id).id == model.id
    completion = client.chat.completions.create(model=model.id, messages=QUESTION)
    (choice,) = completion.choices
    assert choice.finish_reason == "stop"
    assert choice.message.content
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    for annotation in choice.message.annotations or []:
        pet = get(shop, "/v1/pets/" + annotation.url_citation.url.rpartition("/")[2])
        assert pet["name"] == annotation.url_citation.title
        assert pet["species"] == "CAT"
    assert choice.message.annotations


def test_the_openai_package_streams(client: openai.OpenAI):
    whole = client.chat.completions.create(model="pet-advisor-1", messages=QUESTION).choices[0].message.content
    stream = client.chat.completions.create(
        model="pet-advisor-1", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks: list[ChatCompletionChunk] = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 10


def test_the_openai_package_s_own_helper_streams(client: openai.OpenAI):
    with client.chat.completions.stream(model="pet-advisor-1", messages=QUESTION) as stream:
        assert "content.delta" in [event.type for event in stream]
        assert "cat" in (stream.get_final_completion().choices[0].message.content or "")


@pytest.mark.parametrize("stream", [False, True])
def test_the_openai_package_raises_its_own_errors(client: openai.OpenAI, stream: bool):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-5", messages=QUESTION, stream=stream)
    assert missing.value.code == "model_not_found"
    bad: list[dict[str, Any]] = [
        {"messages": []},
        {"max_tokens": 0},
        {"messages": [{"role": "user", "content": "x" * 200_000}]},
    ]
    for mistake in bad:
        wanted: dict[str, Any] = {"model": "pet-advisor-1", "messages": QUESTION, "stream": stream} | mistake
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            client.chat.completions.create(**wanted)
        assert refused.value.code == "out_of_range"
        assert refused.value.param in mistake


def test_the_openai_package_is_told_by_name_what_is_not_supported_and_whose_key_is_none(client: openai.OpenAI, shop: Server):
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    unsupported: dict[str, Any] = {"tools": [tool], "stop": ["."], "n": 2, "logprobs": True}
    for name, value in unsupported.items():
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            client.chat.completions.create(model="pet-advisor-1", messages=QUESTION, **{name: value})
        assert refused.value.param == name
    with openai.OpenAI(base_url=f"{shop.url}/v1", api_key="sk-nobody", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as unknown:
            stranger.chat.completions.create(model="pet-advisor-1", messages=QUESTION)
        assert unknown.value.code == "invalid_api_key"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_of_the_modern_petstore_api_is_answered_in_its_casing(shop: Server, stream: bool):
    body = {"model": "PET_ADVISOR_1", "messages": [{"role": "USER", "content": "a quiet cat"}], "maxTokens": 512, "stream": stream}
    answer = httpx.post(f"{shop.url}{CHAT}", json=body, headers=SIGNED_IN)
    assert answer.status_code == 200
    if stream:
        *parts, done = [event.data for event in Decoder().feed(answer.content)]
        assert done == "[DONE]"
        assert json.loads(parts[-1])["choices"][0]["finishReason"] == "STOP"
    else:
        assert answer.json()["choices"][0]["finishReason"] == "STOP"
        assert answer.json()["usage"].keys() == {"promptTokens", "completionTokens", "totalTokens"}


def test_pieces_come_as_the_model_makes_them_and_heartbeats_between_disturb_nobody(behind: Behind):
    server, _ = behind(say("One, ", 2.5, "two."))
    came: list[tuple[float, str]] = []
    with client_of(server) as client:
        for chunk in client.chat.completions.create(model="pet-advisor-1", messages=QUESTION, stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                came.append((time.monotonic(), chunk.choices[0].delta.content))
    assert [text for _, text in came] == ["One, ", "two."]
    assert came[1][0] - came[0][0] > 1.5
    with Exchange(server.address, CHAT, TYPED, method="POST", content=BODY) as exchange:
        body = exchange.read_to_end().body
    assert b": heartbeat\n" in body
    assert b": heartbeat\n\n" not in body
    assert b"\nid:" not in body
    assert b"retry:" not in body


@pytest.mark.parametrize("leave", [Exchange.close, Exchange.cut], ids=["close", "reset"])
def test_a_client_that_leaves_stops_the_call_of_the_model_at_once(patient: Patient, leave: Callable[[Exchange], None]):
    server, model = patient
    model.follow(say("One moment", Silence()))
    for number in range(1, 4):
        stream = Exchange(server.address, CHAT, TYPED, method="POST", content=BODY)
        stream.read_until(lambda stream=stream: b"One moment" in stream.body)  # type: ignore[misc]
        leave(stream)
        left_at = time.monotonic()
        model.wait_until_hung_up(number)
        print(f"hung up after {(time.monotonic() - left_at) * 1000:.0f} ms")
        assert time.monotonic() - left_at < SOON_S
    wait_until(lambda: 'status="STOPPED"' in ask(server, "GET", "/metrics").body.decode(), "the runs have stopped")


def test_who_leaves_without_a_stream_is_noticed_too(behind: Behind):
    server, model = behind(say("One moment", Silence()), workers=1)
    content = b'{"messages": [{"role": "user", "content": "hello"}]}'
    waiting = Exchange(server.address, CHAT, TYPED, method="POST", content=content, wait=False)
    model.wait_for_calls(1)
    waiting.close()
    model.wait_until_hung_up()
    waiting = Exchange(server.address, CHAT, TYPED, method="POST", content=content, wait=False)
    model.wait_for_calls(2)
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    with waiting:
        assert waiting.read_head().status == 503, "nobody is kept waiting by a server that ends"
    assert server.process.wait(20) == 0
    print(f"gone after {time.monotonic() - begun:.1f} s")


def test_a_call_that_waits_for_its_first_byte_is_stopped_too(patient: Patient):
    server, model = patient
    model.follow(say(Silence()))
    stream = Exchange(server.address, CHAT, TYPED, method="POST", content=BODY)
    model.wait_for_calls(1)
    left_at = time.monotonic()
    stream.close()
    model.wait_until_hung_up()
    assert time.monotonic() - left_at < SOON_S


def test_calls_that_wait_stop_nobody_else(patient: Patient):
    server, model = patient
    model.follow(say(Silence()))
    streams = [Exchange(server.address, CHAT, TYPED, method="POST", content=BODY) for _ in range(20)]
    model.wait_for_calls(20)
    with Exchange(server.address, "/v1/inventory/stream") as inventory:
        for _ in range(5):
            change(server, stock=new_stock())
        inventory.read_events(5)
    for stream in streams:
        stream.close()
    model.wait_until_hung_up(20)


def test_a_server_that_ends_says_so_in_the_chat_and_nobody_takes_half_an_answer_for_a_whole_one(behind: Behind):
    server, model = behind(say("Half an answer", Silence()))
    with client_of(server) as client:
        stream = client.chat.completions.create(model="pet-advisor-1", messages=QUESTION, stream=True)
        said = next(chunk.choices[0].delta.content for chunk in stream if chunk.choices[0].delta.content)
        assert said == "Half an answer"
        begun = time.monotonic()
        assert server.terminate() == 0
        print(f"gone after {time.monotonic() - begun:.1f} s")
        with pytest.raises(openai.APIError) as error:
            list(stream)
        assert error.value.code == "draining"
    model.wait_until_hung_up()


def test_a_full_server_refuses_a_chat_as_openai_s_clients_expect_it(behind: Behind):
    server, _ = behind(say("One moment", Silence()), workers=1, PETSTORE_MAX_STREAMS=1)
    with Exchange(server.address, CHAT, TYPED, method="POST", content=BODY) as first, client_of(server) as client:
        first.read_until(lambda: b"One moment" in first.body)
        with pytest.raises(openai.InternalServerError) as error:
            client.chat.completions.create(
                model="pet-advisor-1", messages=QUESTION, stream=True, extra_headers={"Accept": "text/event-stream"}
            )
        assert error.value.status_code == 503
        assert error.value.response.headers["Retry-After"]
