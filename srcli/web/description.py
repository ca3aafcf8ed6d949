"""The service in OpenAPI's words, where FastAPI cannot know them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from srcli.io.formats import PictureFormat
from srcli.web.intake import FIELD
from srcli.web.parameters import Format, Parameters
from srcli.web.problems import MEDIA_TYPE, Problem, Refusal

Responses = dict[int | str, dict[str, Any]]

_BINARY = {"type": "string", "format": "binary"}
_SENT = ("image/png", "image/jpeg", "image/webp", "image/tiff", "application/octet-stream")
_UPSCALE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_ANYWHERE = (HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST)
_RETRIED = (HTTPStatus.SERVICE_UNAVAILABLE,)


def problems(*statuses: HTTPStatus) -> Responses:
    """Refusals of these statuses."""
    return {status.value: _problem(status) for status in statuses}


def guarded() -> Responses:
    """What a path that wants the key may answer besides."""
    return problems(HTTPStatus.UNAUTHORIZED)


def upscale_responses() -> Responses:
    """Everything that `/upscale` may answer."""
    kinds = sorted({f"image/{kind}" for kind in (*Format, PictureFormat.HEIC)})
    done: dict[str, Any] = {
        "description": "the enlarged picture",
        "content": {kind: {"schema": _BINARY} for kind in kinds},
        "headers": {
            "Srcli-Model": _header("the network that made it", {"type": "string"}),
            "Srcli-Size": _header("width x height", {"type": "string", "pattern": r"^\d+x\d+$"}),
            "Server-Timing": _header("milliseconds of each stage", {"type": "string"}),
        },
    }
    return {200: done} | problems(*_UPSCALE) | guarded()


def text_response(media_type: str) -> Responses:
    """A text of this type."""
    content = {media_type.partition(";")[0]: {"schema": {"type": "string"}}}
    return {200: {"description": "a text", "content": content}}


def upscale_body(kind: type[Parameters]) -> dict[str, Any]:
    """The picture itself, or a form with it."""
    fields = kind.model_json_schema(ref_template="#/components/schemas/{model}")["properties"]
    form = {
        "type": "object",
        "required": [FIELD],
        "additionalProperties": False,
        "properties": {FIELD: _BINARY, **fields},
    }
    content: dict[str, Any] = {media_type: {"schema": _BINARY} for media_type in _SENT}
    content["multipart/form-data"] = {"schema": form}
    return {
        "required": True,
        "description": "the picture itself, or a form with the picture and the parameters",
        "content": content,
    }


def complete(api: FastAPI, *, has_key: bool) -> None:
    """Add to the description what every path has in common."""
    made = api.openapi()
    made["components"].setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
    made["components"]["schemas"].pop("HTTPValidationError", None)
    made["components"]["schemas"].pop("ValidationError", None)
    for place, path in made["paths"].items():
        for operation in path.values():
            for status, response in problems(*_ANYWHERE).items():
                operation["responses"].setdefault(str(status), response)
            if not has_key:
                operation["responses"].pop("401", None)
            elif not place.startswith("/health"):
                operation["security"] = [{"key": []}]
    if has_key:
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    api.openapi_schema = made


def of_http(error: HTTPException) -> Refusal:
    """What the framework refuses: no such path, no such method."""
    status = HTTPStatus(error.status_code)
    return Refusal(
        status,
        status.phrase.lower().replace(" ", "-"),
        status.phrase,
        detail=str(error.detail),
        hint="see /openapi.json for what there is",
        headers=error.headers,
    )


def of_bug() -> Refusal:
    """A failure of the service; what it was, its log says."""
    return Refusal(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "bug",
        "The service failed",
        detail="this is a fault of the service, not of the request",
        hint="tell who runs it when it was: the log says more",
    )


def _problem(status: HTTPStatus) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": status.phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in _RETRIED:
        response["headers"] = {"Retry-After": _header("seconds to wait", {"type": "string"})}
    return response


def _header(meaning: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": meaning, "schema": schema}
