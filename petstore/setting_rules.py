"""What a setting may be: rules, each in words and as a function from a variable's text to a value.

Must not read the environment, nor know which settings there are.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT_ROOT = Path(__file__).resolve().parent.parent

SECRET_LENGTH = 16

_DEFAULT_PORT = re.compile(r"^(http(?=://.*:80$)://.*|https(?=://.*:443$)://.*):[0-9]+$")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setting may be: in words, and as a function that raises ValueError for anything else."""

    allowed: str
    parse: Callable[[str], Any]
    show: Callable[[str], str] = repr


def number(kind: type[int] | type[float], lowest: float, highest: float, unit: str, *, above: bool = False) -> Rule:
    """A rule for numbers from lowest to highest; `above` leaves the lowest itself out."""

    def parse(text: str) -> float:
        number = kind(text)
        # Asked this way round, so that NaN, which compares with nothing, is refused too.
        if not lowest <= number <= highest or (above and number == lowest):
            raise ValueError(text)
        return number

    noun = "a whole number" if kind is int else "a number"
    start = f"above {lowest} and up to" if above else f"from {lowest} to"
    return Rule(f"{noun} of {unit} {start} {highest}", parse)


def one_of(choices: Mapping[str, Any]) -> Rule:
    """A rule for a few words, in any case, each with what it stands for."""

    def parse(text: str) -> Any:
        if text.upper() not in choices:
            raise ValueError(text)
        return choices[text.upper()]

    return Rule("one of " + ", ".join(choices), parse)


def parse_bind(text: str) -> str:
    if re.fullmatch("unix:.+", text):
        return text
    match = re.fullmatch(r"(?:\[(?P<v6>[^]]+)]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})", text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(text)
    if match["v6"]:
        ipaddress.IPv6Address(match["v6"])
    elif re.fullmatch(r"[0-9.]+", match["host"]):
        ipaddress.IPv4Address(match["host"])
    return text


def parse_database_url(text: str) -> str:
    path = text.removeprefix("sqlite:///")
    if path == text or path in ("", ":memory:") or path.endswith("/") or "?" in path:
        raise ValueError(text)
    return f"sqlite:///{PROJECT_ROOT / path}"


def show_without_password(url: str) -> str:
    return repr(re.sub(r"//.*@", "//***@", url))


def parse_secret(text: str) -> str:
    if len(text) < SECRET_LENGTH:
        raise ValueError("too short")
    return text


def parse_origins(text: str) -> tuple[str, ...]:
    # As browsers write them: in small letters, and without the port that goes without saying.
    origins = tuple(_DEFAULT_PORT.sub(r"\1", origin.strip().lower()) for origin in text.split(",")) if text else ()
    # An origin has no path, not even a slash: compared letter by letter, "https://shop.example/" would never match.
    if origins != ("*",) and not all(re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/*?#@]+", origin) for origin in origins):
        raise ValueError(text)
    return origins


def parse_directory(text: str) -> Path:
    if not text:
        raise ValueError(text)
    return PROJECT_ROOT / text


def parse_name(text: str) -> str | None:
    """Return the name; None for a variable that is set but empty."""
    if len(text) > 200 or not text.isprintable():
        raise ValueError(text)
    return text or None


def parse_key(text: str) -> str | None:
    if len(text) > 1000 or re.search(r"[^!-~]", text):
        raise ValueError("not a key")
    return text or None


def parse_http_url(text: str) -> str | None:
    if text and not re.fullmatch(r"https?://[!-~]{1,500}", text):
        raise ValueError(text)
    return text or None
