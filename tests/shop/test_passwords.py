"""Passwords: kept as slow hashes alone, checked in constant work, one at a time, off the event loop."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from argon2 import extract_parameters

from petstore.shop import Passwords, SignInBusy, hash_password, passwords

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "a long sentence is best"


def test_a_hash_is_argon2id_with_a_salt_of_its_own_and_matches_its_password_alone():
    kept = Passwords().hash(SENTENCE)
    parameters = extract_parameters(kept)
    assert (parameters.type.name, parameters.memory_cost, parameters.time_cost) == ("ID", 19 * 1024, 2)
    assert SENTENCE not in kept
    assert kept != Passwords().hash(SENTENCE)
    assert Passwords().matches(kept, SENTENCE)
    for other in ("", SENTENCE.upper(), SENTENCE + " ", SENTENCE[:-1]):
        assert not Passwords().matches(kept, other)


def test_a_letter_may_be_composed_in_another_way():
    assert Passwords().matches(hash_password("caf\u00e9 au lait"), "cafe\u0301 au lait")


@pytest.mark.parametrize("kept", [None, "", "not a hash"])
def test_where_nothing_usable_is_kept_no_password_matches(kept: str | None):
    for password in ("", SENTENCE, "not a hash"):
        assert not Passwords().matches(kept, password)


def test_an_account_that_does_not_exist_costs_the_same_work(monkeypatch: pytest.MonkeyPatch):
    verified: list[str] = []

    class Hasher:
        def hash(self, password: str) -> str:
            return "of nobody"

        def verify(self, kept: str, password: str) -> bool:
            verified.append(kept)
            return True

    monkeypatch.setattr("petstore.shop.passwords._HASHER", Hasher())
    checked = Passwords()
    assert checked.matches("of somebody", SENTENCE)
    assert not checked.matches(None, SENTENCE)
    assert verified == ["of somebody", "of nobody"]


def test_whoever_comes_when_too_many_wait_is_told_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passwords, "MAX_WAITING", 2)
    crowded, may_end = Passwords(), threading.Event()
    monkeypatch.setattr(passwords, "hash_password", lambda password: may_end.wait(30))
    waiting = [threading.Thread(target=crowded.hash, args=("",)) for _ in range(2)]
    for thread in waiting:
        thread.start()
    try:
        while crowded._places._value:
            waiting[0].join(0.01)
        with pytest.raises(SignInBusy) as refusal:
            crowded.hash(SENTENCE)
        assert refusal.value.retry_after_s > 0
    finally:
        may_end.set()
        for thread in waiting:
            thread.join()
    crowded.hash(SENTENCE)


def test_under_gevent_the_loop_goes_on_while_a_password_is_hashed():
    script = """
from gevent import monkey; monkey.patch_all()
import gevent
from petstore.shop import Passwords
passwords = Passwords()
turns = []
def turn():
    while True:
        turns.append(1)
        gevent.sleep(0)
other = gevent.spawn(turn)
kept = passwords.hash("a long sentence")
assert len(turns) > 100, len(turns)
assert passwords.matches(kept, "a long sentence")
other.kill()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, cwd=ROOT)
