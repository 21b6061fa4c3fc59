"""Photos of pets: taken from staff, kept as files under `var/`, and shown to everybody. Parse, one call, render.

A file's name is made of its content, so the same photo sent twice is kept once, and one that is shown never changes.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cached_property
from io import BytesIO
from pathlib import Path as FilePath
from typing import Annotated, Any, ClassVar, Self

from flask import Blueprint, Response, request, url_for
from gevent import get_hub
from pydantic import Field, ValidationError, WithJsonSchema, field_serializer, field_validator
from pydantic_core import PydanticCustomError
from werkzeug.exceptions import NotFound, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.formparser import FormDataParser

from petstore.api.bearer import Scope
from petstore.api.body import Body, Line, read_content
from petstore.api.error import InvalidBody, InvalidRequest
from petstore.api.idempotency import IDEMPOTENCY_KEY, REPLAYED, once
from petstore.api.image import MAX_SIDE, TYPES, find_image
from petstore.api.operation import Answer, Operation
from petstore.api.parameter import LOCATION, PetPath
from petstore.api.tenant import files_of, requested_shop, requested_tenant
from petstore.api.validation import field_errors
from petstore.api.wire import Representation, respond
from petstore.shop import Shop, add_photo, get_pet
from petstore.sse import LogUnavailable

blueprint = Blueprint("images", __name__, url_prefix="/v1/pets/<pet_id>/images")

MAX_IMAGE = 5 * 1024 * 1024
"""Bytes of a photo; more than any that is made for a page."""

MAX_PARTS = 10
ROOM = 16 * 1024
"""What a form may have beside the photo: parts, and bytes."""

MAX_BUFFER = 256 * 1024
"""Bytes that werkzeug may hold of a part before it passes them on; it reads 64 KiB at a time."""

HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # A copy of a shop has the same pets, and photos of its own.
    "Vary": "X-Tenant-ID",
    # What claims to be an image is shown as one or not at all, whatever else its bytes may be.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


class ImagePath(PetPath):
    """Names a photo of a pet."""

    photo: Annotated[str, Field(pattern=f"^[0-9a-f]{{32}}\\.(?:{'|'.join(TYPES)})$")]


class Upload(Body):
    """A photo, in the part `file` of a form: PNG, JPEG, GIF or WebP, which is known by its content; up to 5 MiB."""

    media_types: ClassVar[tuple[str, ...]] = ("multipart/form-data",)
    part_types: ClassVar[Mapping[str, tuple[str, ...]]] = {"file": tuple(TYPES.values())}

    file: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]
    additional_metadata: Annotated[Line, Field(max_length=1000, description="Taken, and not kept.")] | None = None

    @classmethod
    def read(cls, *, optional: bool = False) -> Self:
        """Return the form of the current request. Raises InvalidRequest, InvalidBody, and werkzeug's for its size and type."""
        content = read_content(MAX_IMAGE + ROOM)
        if request.mimetype != "multipart/form-data":
            raise UnsupportedMediaType("the body must be a form, sent with Content-Type: multipart/form-data")
        try:
            upload = cls.model_validate(_parts(content))
        except ValidationError as error:
            raise InvalidBody(field_errors(error)) from None
        if len(upload.file) > MAX_IMAGE:
            raise RequestEntityTooLarge
        return upload

    @field_validator("file")
    @classmethod
    def _check_image(cls, content: bytes) -> bytes:
        if find_image(content) is None:
            allowed = f"must be a whole PNG, JPEG, GIF or WebP image, up to {MAX_SIDE} pixels wide and high"
            raise PydanticCustomError("invalid_format", allowed)
        return content

    @field_serializer("file")
    def _serialize_file(self, _: bytes) -> str:
        return self.name

    @cached_property
    def name(self) -> str:
        """The name of the file that keeps the photo, which no other photo has. Made once: it takes a look at every byte."""
        image = find_image(self.file)
        assert image is not None
        return f"{hashlib.sha256(self.file).hexdigest()[:32]}.{image.kind}"


class Uploaded(Representation):
    """The photo was taken; Location says where it's shown."""

    success: bool
    message: str


@blueprint.post("")
@Operation(
    "uploadPetImage",
    path=PetPath,
    body=Upload,
    headers=[IDEMPOTENCY_KEY],
    answers={201: Answer(Uploaded, headers=[LOCATION, REPLAYED])},
    problems=[404, 409],
    scopes=[Scope.WRITE_PETS],
)
def upload(pet_id: str, body: Upload) -> Response:
    """Add a photo of a pet.

    It's then among the pet's `photos`, once, however often it is sent.
    """
    file, url = _directory(pet_id) / body.name, url_for("images.get_one", pet_id=pet_id, photo=body.name)
    draft = get_hub().threadpool.apply(_write_draft, (files_of(requested_tenant()), body.file))

    def keep(shop: Shop) -> None:
        add_photo(shop, pet_id, file.name)
        # Given its name in the transaction, and by nobody else: what fails can't take away a file that another request has kept.
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(file)

    def act(shop: Shop) -> Response:
        shop.together(keep)
        return respond(Uploaded(success=True, message=f"the photo is shown at {url}"), 201, {"Location": url})

    try:
        return once(body, act)
    finally:
        draft.unlink(missing_ok=True)


@blueprint.get("/<photo>")
@Operation("getPetImage", path=ImagePath, answers={200: Answer("image/*", description="The photo.")}, problems=[404])
def get_one(pet_id: str, photo: str) -> Response:
    """Show a photo of a pet."""
    if photo not in get_pet(requested_shop(), pet_id).photos:
        raise NotFound
    try:
        content = get_hub().threadpool.apply((_directory(pet_id) / photo).read_bytes)
    except FileNotFoundError:
        raise NotFound from None
    return Response(content, content_type=TYPES[photo.rpartition(".")[2]], headers=HEADERS)


def remove_images(pet_id: str) -> None:
    """Remove the files of a pet of the current request's shop."""
    get_hub().threadpool.apply(shutil.rmtree, (_directory(pet_id), True))


def _directory(pet_id: str) -> FilePath:
    # Both are UUIDs, checked: no path leads out of here.
    return files_of(requested_tenant()) / pet_id


def _write_draft(directory: FilePath, content: bytes) -> FilePath:
    """Write a file that has no name yet, so that one with a name is whole. Raises LogUnavailable, as a full disk does elsewhere."""
    draft = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=directory)
        with os.fdopen(descriptor, "wb") as target:
            target.write(content)
    except OSError as error:
        if draft is not None:
            with contextlib.suppress(OSError):
                os.unlink(draft)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LogUnavailable(f"a photo can't be written: {error}") from error
        raise
    return FilePath(draft)


def _parts(content: bytes) -> dict[str, Any]:
    """Return the parts of a form by their names: files as bytes, all others as text."""
    # Kept in memory, where they are already: werkzeug would write a large one to a file first.
    parser = FormDataParser(lambda *_, **__: BytesIO(), MAX_BUFFER, None, silent=False, max_form_parts=MAX_PARTS)
    try:
        _, fields, files = parser.parse(BytesIO(content), request.mimetype, len(content), request.mimetype_params)
    except ValueError:
        raise InvalidRequest("the form has no boundary, or its parts are malformed") from None
    return fields.to_dict() | {name: file.stream.read() for name, file in files.items()}
