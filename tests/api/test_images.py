"""Photos: staff send them, everybody sees them, and what isn't one is not taken, whatever it says of itself."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.conftest import STAFF, signed_in
from tests.api.test_image import gif, jpeg, png, webp

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
FLUFFY = "019b4132-70aa-764f-b315-e2803d882a24"
NOBODY = "019b4127-0000-7000-8000-000000000000"
MEBIBYTE = 1024 * 1024

State = Callable[[], object]


def encode(form: dict[str, Any]) -> tuple[bytes, str]:
    """Return a form as a body and its type; a photo is a pair of its content and its name."""
    body = b""
    for field, value in form.items():
        content, name = value if isinstance(value, tuple) else (value.encode(), None)
        file = "" if name is None else f'; filename="{name}"'
        body += f'--edge\r\nContent-Disposition: form-data; name="{field}"{file}\r\n\r\n'.encode() + content + b"\r\n"
    return body + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def send(staff: FlaskClient, content: bytes, name: str = "photo.png", pet_id: str = BUDDY, **form: Any) -> TestResponse:
    body, content_type = encode({"file": (content, name)} | form)
    return staff.post(f"/v1/pets/{pet_id}/images", data=body, content_type=content_type)


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "images").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("content", "type"),
    [(png(), "image/png"), (jpeg(), "image/jpeg"), (gif(), "image/gif"), (webp(b"VP8L"), "image/webp")],
    ids=["png", "jpeg", "gif", "webp"],
)
def test_a_photo_is_among_the_pet_s_and_shown_as_what_it_is(staff: FlaskClient, client: FlaskClient, content: bytes, type: str):
    response = send(staff, content, "whatever.exe", additionalMetadata="from the garden")
    assert response.status_code == 201
    assert response.get_json()["success"] is True
    url = response.headers["Location"]
    assert client.get(f"/v1/pets/{BUDDY}").get_json()["photos"] == [url]
    photo = client.get(url)
    assert (photo.status_code, photo.content_type, photo.data) == (200, type, content)
    assert photo.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in photo.headers["Cache-Control"]


def test_the_same_photo_sent_again_is_kept_once(staff: FlaskClient, tmp_path: Path, state: State):
    first = send(staff, png())
    before = state()
    again = send(staff, png(), "other.jpg")
    assert (again.status_code, again.headers["Location"]) == (201, first.headers["Location"])
    assert state() == before
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("name", ["photo.png", "../../../../etc/passwd", "\x00", "a" * 3000, "photo.svg"])
def test_the_sender_s_name_for_it_means_nothing(staff: FlaskClient, tmp_path: Path, name: str):
    assert send(staff, png(), name).status_code == 201
    assert [file.partition(".")[2] for file in files(tmp_path)] == ["png"]


@pytest.mark.parametrize(
    "content", [b"", b"not an image", b"<svg/>", png()[:-1], png(20_000, 1), b"GIF89a<script>alert(1)</script>"], ids=range(6)
)
def test_what_is_not_an_image_is_refused_and_nothing_is_kept(staff: FlaskClient, tmp_path: Path, state: State, content: bytes):
    before = state()
    response = send(staff, content)
    assert response.status_code == 422
    assert [(error["field"], error["code"]) for error in response.get_json()["errors"]] == [("file", "invalid_format")]
    assert (state(), files(tmp_path)) == (before, [])


@pytest.mark.parametrize(
    ("form", "errors"),
    [
        ({}, [("file", "required_field")]),
        ({"file": "text"}, [("file", "invalid_type")]),
        ({"image": (b"x", "x")}, [("file", "required_field"), ("image", "unknown_field")]),
    ],
)
def test_a_form_without_the_photo_says_so(staff: FlaskClient, state: State, form: dict[str, Any], errors: list[tuple[str, str]]):
    before = state()
    body, content_type = encode(form)
    response = staff.post(f"/v1/pets/{BUDDY}/images", data=body, content_type=content_type)
    assert response.status_code == 422
    assert [(error["field"], error["code"]) for error in response.get_json()["errors"]] == errors
    assert state() == before


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (png(), "image/png", 415),
        (b"{}", "application/json", 415),
        (b"--x\r\nbroken", "multipart/form-data", 400),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x", 400),
    ],
)
def test_what_is_no_form_is_refused(staff: FlaskClient, state: State, content: bytes, content_type: str, status: int):
    before = state()
    assert staff.post(f"/v1/pets/{BUDDY}/images", data=content, content_type=content_type).status_code == status
    assert state() == before


@pytest.mark.parametrize("size", [5 * MEBIBYTE + 1, 6 * MEBIBYTE])
def test_a_photo_over_five_mebibytes_is_too_large(staff: FlaskClient, tmp_path: Path, state: State, size: int):
    before = state()
    padding = bytes(size - len(jpeg()))
    assert send(staff, jpeg()[:-2] + padding + b"\xff\xd9").status_code == 413
    assert (state(), files(tmp_path)) == (before, [])


def test_a_disk_that_is_full_is_told_and_nothing_is_left(
    staff: FlaskClient, tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
):
    before = state()
    full, opened = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), os.fdopen

    def fill(descriptor: int, mode: str) -> Any:
        opened(descriptor, mode).close()
        raise full

    monkeypatch.setattr("os.fdopen", fill)
    assert send(staff, png()).status_code == 503
    assert (state(), files(tmp_path)) == (before, [])

    def refuse(**_: object) -> None:
        raise full

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert send(staff, png()).status_code == 503


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "a-photo"}])
def test_a_disk_that_fills_before_the_file_has_its_name_leaves_no_photo_without_one(
    staff: FlaskClient, tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch, key: dict[str, str]
):
    before = state()

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    body, content_type = encode({"file": (png(), "photo.png")})
    response = staff.post(f"/v1/pets/{BUDDY}/images", data=body, content_type=content_type, headers=key)
    assert response.status_code == 503
    assert (state(), files(tmp_path)) == (before, [])


def test_a_photo_of_five_mebibytes_is_taken(staff: FlaskClient):
    assert send(staff, jpeg()[:-2] + bytes(5 * MEBIBYTE - len(jpeg())) + b"\xff\xd9").status_code == 201


def test_a_pet_has_ten_photos_at_the_most(staff: FlaskClient, tmp_path: Path, state: State):
    for number in range(10):
        assert send(staff, gif(1 + number)).status_code == 201
    before = state()
    assert send(staff, gif(100)).status_code == 409
    assert state() == before
    assert len(files(tmp_path)) == 10


def test_a_photo_is_its_pet_s_and_goes_with_it(staff: FlaskClient, client: FlaskClient, tmp_path: Path):
    url = send(staff, png()).headers["Location"]
    assert client.get(url.replace(BUDDY, FLUFFY)).status_code == 404
    assert client.get(url.replace(".png", ".gif")).status_code == 404
    assert client.get(f"/v1/pets/{BUDDY}/images/..%2F..%2Fpetstore-0.db").status_code in (400, 404)
    assert send(staff, png(), pet_id=NOBODY).status_code == 404
    staff.delete(f"/v1/pets/{BUDDY}")
    assert client.get(url).status_code == 404
    assert files(tmp_path) == []


def test_a_file_that_has_vanished_is_not_found(staff: FlaskClient, client: FlaskClient, app: Flask, tmp_path: Path):
    url = send(staff, png()).headers["Location"]
    next(path for path in (tmp_path / "images").rglob("*.png")).unlink()
    assert client.get(url).status_code == 404


KEY = {"Idempotency-Key": "a-photo"}


def send_with_key(staff: FlaskClient, content: bytes) -> TestResponse:
    body, content_type = encode({"file": (content, "photo.png")})
    return staff.post(f"/v1/pets/{BUDDY}/images", data=body, content_type=content_type, headers=KEY)


def test_sent_again_with_its_key_it_is_answered_as_before_though_its_form_is_written_otherwise(staff: FlaskClient, state: State):
    first = send_with_key(staff, png())
    before = state()
    body = encode({"file": (png(), "other.jpg")})[0].replace(b"edge", b"rim")
    again = staff.post(f"/v1/pets/{BUDDY}/images", data=body, content_type="multipart/form-data; boundary=rim", headers=KEY)
    assert (first.status_code, again.status_code, again.data) == (201, 201, first.data)
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotency-Replayed"), again.headers.get("Idempotency-Replayed")) == (None, "true")
    assert state() == before


def test_another_photo_or_pet_with_its_key_is_refused_and_what_is_there_stays(staff: FlaskClient, tmp_path: Path, state: State):
    url = send_with_key(staff, png()).headers["Location"]
    assert send(staff, gif(7)).status_code == 201
    before = state(), files(tmp_path)
    for content in (gif(), gif(7)):
        assert send_with_key(staff, content).status_code == 422
    body, content_type = encode({"file": (png(), "photo.png")})
    assert staff.post(f"/v1/pets/{FLUFFY}/images", data=body, content_type=content_type, headers=KEY).status_code == 422
    assert (state(), files(tmp_path)) == before
    assert staff.get(url).data == png()


def test_a_photo_sent_at_once_to_several_workers_is_taken_once(make_app: Callable[..., Flask], app: Flask, tmp_path: Path):
    workers = [app, *(make_app(database=app) for _ in range(3))]
    start, answers = threading.Barrier(8), list[tuple[int, bytes, str | None]]()

    def post(own: Flask) -> None:
        staff = signed_in(own, STAFF)
        start.wait()
        answer = send_with_key(staff, png())
        answers.append((answer.status_code, answer.data, answer.headers.get("Idempotency-Replayed")))

    threads = [threading.Thread(target=post, args=(own,)) for own in workers * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len({answer[:2] for answer in answers}) == 1
    assert sorted(replayed or "" for *_, replayed in answers) == [""] + ["true"] * 7
    assert len(files(tmp_path)) == 1
    assert len(app.test_client().get(f"/v1/pets/{BUDDY}").get_json()["photos"]) == 1
