"""What an image is, by its bytes: the name and the type that its sender gives it prove nothing.

Reads headers and ends, never pixels: an image that is small to send and huge to decode does no harm here. Pure.
"""

import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

MAX_SIDE = 10_000
"""Pixels of a side. Browsers refuse to decode much larger images, or die of them."""

MAX_SEGMENTS = 5_000
"""Segments of a JPEG, chunks of a PNG, several times what a large photo has: a million tiny ones, looked at one by one,
would stop every stream for seconds."""

TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
"""The types that are taken, by the ending of a file's name."""


class Image(NamedTuple):
    """The kind of an image, a key of TYPES, and its size in pixels."""

    kind: str
    width: int
    height: int


def find_image(content: bytes) -> Image | None:
    """Return the image that these bytes are from their first to their last; None when they aren't one that is taken."""
    for kind, read_size in _READERS.items():
        try:
            size = read_size(content)
        except (struct.error, IndexError):
            continue  # It ends within its header.
        if size is not None and all(0 < side <= MAX_SIDE for side in size):
            return Image(kind, *size)
    return None


_Size = tuple[int, int]


def _read_png(content: bytes) -> _Size | None:
    header = content[12:29]
    if content[:16] != b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" or not content.endswith(b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"):
        return None
    width, height = struct.unpack_from(">II", content, 16)
    if zlib.crc32(header) != struct.unpack_from(">I", content, 29)[0]:
        return None
    place, has_pixels = 33, False
    for _ in range(MAX_SEGMENTS):
        length, name = struct.unpack_from(">I4s", content, place)
        place += 12 + length
        if name == b"IEND":
            return (width, height) if has_pixels and place == len(content) else None
        has_pixels = has_pixels or name == b"IDAT"
    return None


def _read_gif(content: bytes) -> _Size | None:
    if content[:6] not in (b"GIF87a", b"GIF89a") or not content.rstrip(b"\x00").endswith(b";"):
        return None
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _read_jpeg(content: bytes) -> _Size | None:
    if content[:2] != b"\xff\xd8" or b"\xff\xd9" not in content[-1024:]:
        return None
    place, size = 2, None
    for _ in range(MAX_SEGMENTS):
        start, marker, length = struct.unpack_from(">BBH", content, place)
        if start != 0xFF:
            return None
        if marker == 0xDA:  # With that the pixels begin.
            return size
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # The frame's header; those are tables.
            height, width = struct.unpack_from(">HH", content, place + 5)
            size = width, height
        place += 2 + length
    return None


def _read_webp(content: bytes) -> _Size | None:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or struct.unpack_from("<I", content, 4)[0] + 8 != len(content):
        return None
    match content[12:16]:
        case b"VP8X":
            sides = (int.from_bytes(content[start : start + 3], "little") + 1 for start in (24, 27))
            return next(sides), next(sides)
        case b"VP8L" if content[20] == 0x2F:
            bits = struct.unpack_from("<I", content, 21)[0]
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if content[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", content, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None


_READERS: dict[str, Callable[[bytes], _Size | None]] = {
    "png": _read_png,
    "jpg": _read_jpeg,
    "gif": _read_gif,
    "webp": _read_webp,
}
