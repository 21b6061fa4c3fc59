"""Ids are UUIDv7, and each is greater than the one before."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from petstore.shop import is_uuid, new_id


def test_an_id_is_a_uuid_of_version_7_that_tells_its_time():
    before = time.time_ns() // 1_000_000
    id = new_id()
    parsed = uuid.UUID(id)
    assert str(parsed) == id
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before <= parsed.int >> 80 <= time.time_ns() // 1_000_000


def test_each_id_is_greater_than_the_one_before():
    ids = [new_id() for _ in range(20_000)]
    assert ids == sorted(set(ids))


def test_ids_grow_in_every_thread_and_meet_in_none():
    with ThreadPoolExecutor(4) as threads:
        batches = list(threads.map(lambda _: [new_id() for _ in range(5_000)], range(4)))
    assert all(batch == sorted(batch) for batch in batches)
    assert len({id for batch in batches for id in batch}) == 20_000


def test_ids_grow_while_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch):
    first = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    second = new_id()
    assert first < second < new_id()


@pytest.mark.parametrize(
    "text",
    ["019b4132-70aa-764f-b315-e2803d882a24", "019B4132-70AA-764F-B315-E2803D882A24", str(uuid.uuid4()), new_id()],
)
def test_uuids_of_any_version_and_case_are_recognised(text: str):
    assert is_uuid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "019b4132",
        "user-456",
        "019b413270aa764fb315e2803d882a24",
        "{019b4132-70aa-764f-b315-e2803d882a24}",
        "019b4132-70aa-764f-b315-e2803d882a24\n",
        "019b4132-70aa-764f-b315-e2803d882a2g",
        "\u066019b4132-70aa-764f-b315-e2803d882a24",
    ],
)
def test_anything_else_is_not(text: str):
    assert not is_uuid(text)
