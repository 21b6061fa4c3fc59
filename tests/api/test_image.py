"""An image is known by its bytes, from the first to the last, whatever it's called."""

import struct
import zlib
from collections.abc import Callable

import pytest

from petstore.api.image import MAX_SEGMENTS, MAX_SIDE, Image, find_image


def png(width: int = 3, height: int = 2) -> bytes:
    """Return a whole PNG, as small as one can be."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\x00" + bytes(width) for _ in range(min(height, 10)))
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg(width: int = 3, height: int = 2) -> bytes:
    """Return the skeleton of a JPEG: an application's segment, a table, the frame, and the end."""
    application = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    table = b"\xff\xc4" + struct.pack(">H", 4) + b"\x00\x00"
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + application + table + frame + b"\xff\xda\x00\x02pixels" + b"\xff\xd9"


def gif(width: int = 3, height: int = 2, version: bytes = b"89a") -> bytes:
    return b"GIF" + version + struct.pack("<HH", width, height) + b"\x00\x00\x00;"


def webp(kind: bytes, width: int = 3, height: int = 2) -> bytes:
    head = {
        b"VP8X": b"\x00" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
        b"VP8L": b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14),
        b"VP8 ": b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height),
    }[kind]
    chunk = kind + struct.pack("<I", len(head)) + head
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


WHOLE = {
    "png": png(),
    "jpg": jpeg(),
    "gif": gif(),
    "gif 87a": gif(version=b"87a"),
    "webp extended": webp(b"VP8X"),
    "webp lossless": webp(b"VP8L"),
    "webp lossy": webp(b"VP8 "),
}


@pytest.mark.parametrize("name", WHOLE)
def test_each_kind_is_known_with_its_size(name: str):
    assert find_image(WHOLE[name]) == Image(name.partition(" ")[0], 3, 2)


@pytest.mark.parametrize("name", WHOLE)
def test_an_image_that_is_cut_anywhere_is_none(name: str):
    content = WHOLE[name]
    assert [length for length in range(len(content)) if find_image(content[:length])] == []


@pytest.mark.parametrize("make", [png, jpeg, gif])
def test_no_side_is_empty_or_longer_than_browsers_can_show(make: Callable[[int, int], bytes]):
    assert find_image(make(MAX_SIDE, 1)) is not None
    assert find_image(make(MAX_SIDE + 1, 1)) is None
    assert find_image(make(1, MAX_SIDE + 1)) is None
    assert find_image(make(0, 1)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"an image, honestly",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html><script>alert(1)</script></html>",
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 100,
        png()[:16] + b"\x7f" + png()[17:],
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x00" * 50 + b"\xff\xd9",
        b"GIF89a<script>",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"BM" + b"\x00" * 60,
        png()[:33] + png()[-12:],
        png()[:33] + b"<script>alert(1)</script>" + png()[33:],
        jpeg().replace(b"\xff\xda", b"\x00\x00"),
        jpeg()[:2] + b"\xff\xe0\x00\x02" * MAX_SEGMENTS + jpeg()[2:],
        png()[:33] + (b"\x00\x00\x00\x00tEXt" + b"\x00" * 4) * MAX_SEGMENTS + png()[33:],
    ],
    ids=range(17),
)
def test_what_is_not_an_image_is_none(content: bytes):
    assert find_image(content) is None
