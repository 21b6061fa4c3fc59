"""Ids of pets, orders and customers: UUIDv7 (RFC 9562 section 5.7) as lowercase text, which sorts by age.

Must not know what an id stands for, nor whether it exists.
"""

import re
import secrets
import threading
import time

_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_TICKS_PER_MS = 1 << 12

_lock = threading.Lock()
_last_tick = 0


def new_id() -> str:
    """Return a new UUIDv7, greater than any that this process has made before.

    The 12 bits that follow the milliseconds hold their fraction (RFC 9562 section 6.2, method 3), so the time bits are
    a clock of a quarter of a microsecond. It is pushed on by one where two ids meet or the system's clock steps back.
    """
    tick = _next_tick()
    value = (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_uuid(text: str) -> bool:
    """Say whether `text` is a UUID of any version in the usual notation. Capitals pass; our own ids have none."""
    return _UUID.fullmatch(text) is not None


def _next_tick() -> int:
    global _last_tick
    with _lock:
        _last_tick = max(_last_tick + 1, time.time_ns() * _TICKS_PER_MS // 1_000_000)
        return _last_tick
