"""Refusals as RFC 9457 has them: what is wrong, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from srcli.errors import ImageError, PixelLimitError, ResourceError, SrcliError
from srcli.services.desk import ResultLimitError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(examples=["urn:srcli:problem:not-a-picture"])
    title: str = Field(examples=["The body is no picture that can be read"])
    status: int = Field(ge=400, le=599, examples=[422])
    detail: str = Field(examples=["the picture cannot be read: it is cut off"])
    hint: str = Field(description="what to do about it", examples=["get the file again"])
    errors: list[dict[str, str]] = Field(
        default=[], description="of a parameter each: its name and what is wrong with it"
    )


class Refusal(Exception):  # noqa: N818 (no fault of ours)
    """A request that is not done."""

    def __init__(
        self,
        status: HTTPStatus,
        name: str,
        title: str,
        *,
        detail: str,
        hint: str,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[dict[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.name, self.title, self.hint = status, name, title, hint
        self.headers, self.errors = dict(headers or {}), list(errors)

    def response(self) -> JSONResponse:
        """The answer to it."""
        content = {
            "type": f"urn:srcli:problem:{self.name}",
            "title": self.title,
            "status": self.status.value,
            "detail": str(self),
            "hint": self.hint,
            "errors": self.errors,
        }
        return JSONResponse(content, self.status.value, self.headers, MEDIA_TYPE)


def busy(detail: str) -> Refusal:
    """There is too much to do."""
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "busy",
        "The service has its hands full",
        detail=detail,
        hint=f"try again in {RETRY_SECONDS} seconds",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def closing() -> Refusal:
    """The service ends."""
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "closing",
        "The service is about to end",
        detail="it finishes what it has, and takes nothing new",
        hint="ask another instance, or try again later",
        headers={"Retry-After": "10", "Connection": "close"},
    )


def too_many_bytes(limit: int) -> Refusal:
    """A body that is too large."""
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too-many-bytes",
        "The body is too large",
        detail=f"{limit / 2**20:g} MiB are allowed",
        hint="send a smaller file, or run srcli upscale where the file is",
    )


def too_slow(seconds: float) -> Refusal:
    """A client that does not send."""
    return Refusal(
        HTTPStatus.REQUEST_TIMEOUT,
        "too-slow",
        "The picture did not arrive",
        detail=f"nothing, or too little, came for {seconds:g} seconds",
        hint="send it again over a better connection",
    )


def bad_request(detail: str, hint: str) -> Refusal:
    """A body that is not put together as it says."""
    return Refusal(
        HTTPStatus.BAD_REQUEST,
        "bad-request",
        "The request makes no sense",
        detail=detail,
        hint=hint,
    )


def invalid(errors: Sequence[dict[str, str]]) -> Refusal:
    """Parameters that cannot be."""
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid-parameters",
        "A parameter cannot be",
        detail="; ".join(f"{each['name']}: {each['message']}" for each in errors),
        hint="see /openapi.json for what each may be",
        errors=errors,
    )


def problem_of(error: SrcliError) -> Refusal:
    """A failure of the library as a refusal; its options are called as the parameters are."""
    status, name, title = _kind(error)
    headers = {"Retry-After": "30"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Refusal(
        status, name, title, detail=_spoken(str(error)), hint=_hint(error), headers=headers
    )


def _kind(error: SrcliError) -> tuple[HTTPStatus, str, str]:
    match error:
        case ResultLimitError():
            return HTTPStatus.UNPROCESSABLE_ENTITY, "result-too-large", "The result is too large"
        case PixelLimitError():
            return (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too-many-pixels",
                "The picture has too many pixels",
            )
        case ImageError():
            return (
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "not-a-picture",
                "The body is no picture that can be read",
            )
        case ResourceError():
            return HTTPStatus.SERVICE_UNAVAILABLE, "no-room", "The machine has no room for it"
    return HTTPStatus.UNPROCESSABLE_ENTITY, "impossible", "This cannot be done"


def _hint(error: SrcliError) -> str:
    if isinstance(error, PixelLimitError) and not isinstance(error, ResultLimitError):
        return "send a smaller picture, or run srcli upscale where the picture is"
    return _spoken(error.hint)


def _spoken(text: str) -> str:
    """A message of the command line, with its options as parameters.

    >>> _spoken("only --long-side, or --format png")
    'only long_side, or format png'
    """
    return _OPTION.sub(lambda found: found[1].replace("-", "_"), text)
