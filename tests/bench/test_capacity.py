"""The search for the highest rate, with trials that are made up: a server with a limit, and one fluke at any place."""

from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from bench import measures
from bench.ramp import climb

FIRST, MOST = 25_000.0, 8_000_000.0


class Trials:
    """A server that takes rates up to `limit`; the trials whose numbers are in `flukes` fail although it could."""

    def __init__(self, limit: float, *flukes: int) -> None:
        self.limit = limit
        self.flukes = flukes
        self.tried: list[float] = []

    def works(self, offered: float) -> bool:
        self.tried.append(offered)
        return offered <= self.limit and len(self.tried) not in self.flukes

    @property
    def best(self) -> float:
        return max(
            (rate for number, rate in enumerate(self.tried, 1) if rate <= self.limit and number not in self.flukes), default=0
        )


def test_without_a_limit_it_ends_at_the_most():
    trials = Trials(float("inf"))

    assert climb(trials.works, FIRST, MOST)
    assert trials.best == MOST
    assert trials.tried == sorted(set(trials.tried))


@pytest.mark.parametrize("fluke", range(1, 12))
def test_one_fluke_at_any_place_changes_nothing_about_that(fluke: int):
    trials = Trials(float("inf"), fluke)

    assert climb(trials.works, FIRST, MOST)
    assert trials.best == MOST


def test_two_flukes_at_the_first_rate_do_not_hold_it_down():
    trials = Trials(float("inf"), 1, 2)

    assert climb(trials.works, FIRST, MOST)


@pytest.mark.parametrize("fluke", [0, *range(1, 14)])
@pytest.mark.parametrize("limit", [1_600, 12_500, 24_000, 25_000, 36_000, 90_000, 700_000, 7_900_000])
def test_a_true_limit_is_found_within_the_root_of_two(limit: float, fluke: int):
    trials = Trials(limit, fluke)

    assert not climb(trials.works, FIRST, MOST)
    assert limit / 2**0.5 <= trials.best <= limit


def test_who_manages_nothing_is_soon_let_go():
    trials = Trials(1_000)

    assert not climb(trials.works, FIRST, MOST)
    assert min(trials.tried) == FIRST / 16
    assert len(trials.tried) == 10


LATE, LOST = "late", "lost"


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What `capacity` returns for a server with this limit, beyond which it is late or loses something, and with one fluke."""
    limit, beyond, fluke = request.param
    turn = count(1)

    def trial(session: object, streams: int, offered: float, seconds: float, requests_per_s: float) -> dict[str, Any]:
        failed = next(turn) == fluke
        wrong = failed or (beyond == LOST and offered > limit)
        prompt = 1.0 if offered <= limit else 9_000.0
        return {
            "offered_per_s": offered, "per_s": 0.0 if failed else min(offered, limit), "schedule_p99_ms": prompt,
            "load_busy": 0.5, "wrong": int(wrong),
        }  # fmt: skip

    monkeypatch.setattr(measures, "_trial", trial)
    yield measures.capacity(SimpleNamespace(), 1000, 3, FIRST)  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", [(float("inf"), LATE, fluke) for fluke in range(12)], indirect=True)
def test_the_capacity_of_a_server_without_a_limit_is_the_most_and_said_to_be_more(numbers: dict[str, Any]):
    assert numbers["capacity_per_s"] == numbers["sustained_per_s"] == MOST
    assert numbers["ramp_ended_at_most"] == 1


@pytest.mark.parametrize("numbers", [(150_000.0, LATE, fluke) for fluke in range(10)], indirect=True)
def test_of_one_that_only_gets_late_the_capacity_is_what_comes_out(numbers: dict[str, Any]):
    assert numbers["capacity_per_s"] == 150_000
    assert 150_000 / 2 <= numbers["sustained_per_s"] <= 150_000
    assert numbers["ramp_ended_at_most"] == 0


@pytest.mark.parametrize("numbers", [(150_000.0, LOST, fluke) for fluke in range(10)], indirect=True)
def test_what_is_lost_is_no_capacity(numbers: dict[str, Any]):
    assert 150_000 / 2**0.5 <= numbers["capacity_per_s"] <= 150_000
