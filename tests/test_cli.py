"""Commands: an account of the staff is opened from the command line, and by nothing else."""

import subprocess
import sys
from pathlib import Path

from petstore.shop import Passwords, Role, Shop, find_account
from petstore.sse import SqlEventLog
from tests.live.server import ROOT, make_environment

SENTENCE = "a long sentence is best"


def run(directory: Path, password: str, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "petstore.cli", *arguments],
        cwd=ROOT,
        env=make_environment(directory, **settings),
        input=password + "\n",
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_member_of_the_staff_gets_an_account_in_a_shop_that_may_be_new(tmp_path: Path):
    done = run(tmp_path, SENTENCE, "staff", "ada.l", "ada@example.com")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ada.l is one of the staff now, and can sign in with POST /v1/auth/tokens\n"
    log = SqlEventLog(tmp_path / "petstore.db")
    try:
        account = find_account(Shop(log), username="ada.l")
    finally:
        log.close()
    assert account is not None
    assert account.role is Role.STAFF
    assert Passwords().matches(account.password_hash, SENTENCE)
    again = run(tmp_path, SENTENCE, "staff", "ada.l", "ada@example.com")
    assert (again.returncode, again.stderr) == (1, "the username ada.l is taken\n")


def test_what_can_not_be_is_said_in_one_line(tmp_path: Path):
    short = run(tmp_path, "short", "staff", "ada.l", "ada@example.com")
    assert (short.returncode, short.stderr) == (1, "a password has 8 to 128 characters\n")
    long = run(tmp_path, SENTENCE, "staff", "a" * 51, "ada@example.com")
    assert (long.returncode, long.stderr) == (1, "a username has 50 characters at the most\n"), "nor could it sign in"
    wrong = run(tmp_path, SENTENCE, "staff", "ada.l", "ada@example.com", PETSTORE_SECRET_KEY="short")
    assert wrong.returncode == 1
    assert wrong.stderr.count("\n") == 1
    assert wrong.stderr.startswith("PETSTORE_SECRET_KEY is ")
    assert list(tmp_path.iterdir()) == []
