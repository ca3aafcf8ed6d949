"""The picture of a request into a file of our own, and the fields that came with it."""

from __future__ import annotations

import asyncio
import shutil
from http import HTTPStatus
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from srcli.io.files import output_errors
from srcli.services.journal_file import is_text
from srcli.web.problems import Refusal, bad_request

FIELD = "picture"  # of a form
_FIELDS = 32
# What curl calls everything; and what anybody may call anything.
_SAYS_NOTHING = {"application/x-www-form-urlencoded", "application/octet-stream"}
_FIELD_BYTES = 4096

Fields = list[tuple[str, str]]


async def receive_picture(request: Request, folder: Path) -> tuple[Path, Fields]:
    """Write the picture into `folder`, and give its path and the fields of the form, if it is one.

    The name of our file is our own; nothing that the client says becomes a path. Raises a Refusal,
    DiskFullError, or ClientDisconnect.
    """
    path = folder / "picture"
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return path, await _form(request, path)
    if kind and not kind.startswith("image/") and kind not in _SAYS_NOTHING:
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "no-such-body",
            "A body of this type is not understood",
            detail=f"{kind[:80]} is no type of a picture",
            hint="send the picture itself as image/..., or as the field `picture` of "
            "multipart/form-data",
        )
    with output_errors(path), path.open("wb") as file:
        async for chunk in request.stream():
            file.write(chunk)
    return path, []


async def _form(request: Request, path: Path) -> Fields:
    hint = f"send one file as the field `{FIELD}`, and the parameters as fields beside it"
    try:
        with output_errors(path):  # a large picture goes to the disk meanwhile
            form = await request.form(max_files=1, max_fields=_FIELDS, max_part_size=_FIELD_BYTES)
    except HTTPException as error:  # how Starlette says what is wrong with a form
        raise bad_request(str(error.detail), hint) from None
    except UnicodeError:  # of a charset that its fields are not in
        raise bad_request("the form is not in the charset that it names", hint) from None
    items = form.multi_items()
    try:
        uploads = [(name, value) for name, value in items if not isinstance(value, str)]
        if [name for name, _ in uploads] != [FIELD]:
            raise bad_request(f"there is no file in a field `{FIELD}`", hint)
        await asyncio.to_thread(_copy, uploads[0][1], path)
    finally:
        await form.close()
    fields = [(name, value) for name, value in items if isinstance(value, str)]
    if not is_text("".join(map("".join, fields))):  # some charsets make half characters
        raise bad_request("the form holds what is no text", hint)
    return fields


def _copy(upload: UploadFile, path: Path) -> None:
    with output_errors(path), path.open("wb") as file:
        shutil.copyfileobj(upload.file, file, 1 << 20)
