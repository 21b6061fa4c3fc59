"""Commands for whoever runs the shop: `python -m petstore.cli staff USERNAME EMAIL` opens an account for one of the staff.

No request can do that: whoever serves the shop decides who its staff are. Must not hold rules of its own.
"""

import argparse
import getpass
import sys
from collections.abc import Sequence

from app import prepare
from petstore.settings import Settings, SettingsError, load
from petstore.shop import (
    MAX_PASSWORD,
    MAX_USERNAME,
    MIN_PASSWORD,
    Profile,
    Role,
    Shop,
    UsernameTaken,
    hash_password,
    register_customer,
)
from petstore.sse import SqlEventLog


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says, with the settings of the environment. Ends with one line where that can't be."""
    parser = argparse.ArgumentParser(prog="petstore", description="Commands for whoever runs the shop.")
    commands = parser.add_subparsers(required=True)
    staff = commands.add_parser("staff", help="open an account for one of the staff; asks for its password")
    staff.add_argument("username")
    staff.add_argument("email")
    chosen = parser.parse_args(arguments)
    if len(chosen.username) > MAX_USERNAME:
        sys.exit(f"a username has {MAX_USERNAME} characters at the most")
    try:
        print(open_staff_account(load(), Profile(username=chosen.username, email=chosen.email), _ask_password()))
    except (SettingsError, UsernameTaken) as error:
        sys.exit(str(error))


def open_staff_account(settings: Settings, profile: Profile, password: str) -> str:
    """Open the account, and return what there is to say about it. Raises SettingsError, UsernameTaken."""
    prepare(settings)
    log = SqlEventLog(settings.database_path)
    try:
        member = register_customer(Shop(log), profile, hash_password(password), Role.STAFF)
    finally:
        log.close()
    return f"{member.username} is one of the staff now, and can sign in with POST /v1/auth/tokens"


def _ask_password() -> str:
    # From a terminal it isn't shown; a script sends it as a line. It's never an argument: every user of a machine sees those.
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        sys.exit(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return password


if __name__ == "__main__":
    main()
