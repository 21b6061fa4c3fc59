"""The document as YAML: a JSON value in block style, every text in JSON's quotes, which YAML reads as JSON does.

Must not know what the value means.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""What some readers of YAML take for something else than a word."""


def to_yaml(value: Any) -> str:
    """Return a JSON value, which is an object or an array with something in it, as a YAML document."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _entry(f"{_key(key)}:", member)
    else:
        for item in value:
            yield from _item(item)


def _entry(head: str, member: Any) -> Iterator[str]:
    if isinstance(member, dict | list) and member:
        yield head
        yield from (f"  {line}" for line in _lines(member))
    else:
        yield f"{head} {json.dumps(member, ensure_ascii=False)}"


def _item(item: Any) -> Iterator[str]:
    if isinstance(item, dict | list) and item:
        first, *rest = _lines(item)
        yield f"- {first}"
        yield from (f"  {line}" for line in rest)
    else:
        yield f"- {json.dumps(item, ensure_ascii=False)}"


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _WORDS else json.dumps(key)
