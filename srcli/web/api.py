"""The paths of the service, and their description as OpenAPI."""

# No `from __future__ import annotations`: FastAPI reads annotations that are made at run time.

from asyncio import CancelledError
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from srcli import __version__
from srcli.errors import SrcliError
from srcli.io.formats import PictureFormat
from srcli.services.desk import Served
from srcli.web import description, metrics
from srcli.web.door import Door
from srcli.web.intake import receive_picture
from srcli.web.page import front_page, viewer_page
from srcli.web.parameters import Parameters, parameters_of, read, told
from srcli.web.problems import Refusal, closing, invalid, problem_of
from srcli.web.service import ModelFacts, Service

GONE = 499  # nobody hears it


class Health(BaseModel):
    """How the service is."""

    status: str


def build_app(service: Service) -> ASGIApp:
    """The application, behind its checks."""
    api = FastAPI(
        title="srcli",
        version=__version__,
        summary="Enlarge pictures with super-resolution networks",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
    )
    _handle_errors(api, service)
    _add_upscale(api, service)
    _add_facts(api, service)
    _add_pages(api, service)
    description.complete(api, has_key=service.settings.api_key is not None)
    return Door(api, service.settings, service.metrics)


def _add_upscale(api: FastAPI, service: Service) -> None:
    kind = parameters_of(service.names)

    async def upscale(request: Request, query: Annotated[kind, Query()]) -> Response:  # type: ignore[valid-type]
        service.check_open()
        with ExitStack() as resources:
            with service.uploading():
                folder = resources.enter_context(service.folder())
                source, fields = await receive_picture(request, Path(folder))
            resources.enter_context(service.inside())
            parameters = read(kind, [*request.query_params.multi_items(), *fields])
            served = await _served(request, service, source, parameters, resources)
            return Delivery(served, resources.pop_all().close)

    api.post(
        "/upscale",
        summary="Enlarge a picture",
        response_class=FileResponse,
        responses=description.upscale_responses(),
        openapi_extra={"requestBody": description.upscale_body(kind)},
    )(upscale)


async def _served(
    request: Request,
    service: Service,
    source: Path,
    parameters: Parameters,
    resources: ExitStack,
) -> Served:
    options = parameters.options(max_pixels=service.settings.limits.pixels)
    ticket = service.order(source, parameters.model, options)
    try:
        return await service.result(ticket, request.scope["visit"])
    except BaseException as error:
        # The line may still have it in work: its files go, and its place is free, when it has not.
        ticket.give_up()
        kept = resources.pop_all()
        ticket.result.add_done_callback(lambda _: kept.close())
        if isinstance(error, CancelledError) and service.is_closing:
            raise closing() from None
        raise


class Delivery(FileResponse):
    """A result on its way out; its files go when it has arrived, or cannot."""

    def __init__(self, served: Served, release: Callable[[], None]) -> None:
        report = served.report
        stages = ("decode", "network", "encode")
        timing = (
            f"{stage};dur={getattr(report, f'{stage}_seconds') * 1e3:.1f}" for stage in stages
        )
        super().__init__(
            served.path,
            media_type=MEDIA_TYPES[served.format],
            filename=f"picture{served.format.suffix}",
            content_disposition_type="inline",
            headers={
                "Srcli-Model": quote(report.model),  # a file may have any name
                "Srcli-Size": f"{report.width}x{report.height}",
                "Server-Timing": ", ".join(timing),
            },
        )
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


MEDIA_TYPES = {kind: f"image/{kind}" for kind in PictureFormat} | {PictureFormat.OTHER: "image/png"}


def _add_facts(api: FastAPI, service: Service) -> None:
    @api.get("/models", summary="Networks that may be asked for", responses=description.guarded())
    async def models() -> list[ModelFacts]:
        return service.models

    @api.get("/health/live", summary="Whether the process lives")
    async def live() -> Health:
        return Health(status="alive")

    @api.get(
        "/health/ready",
        summary="Whether a picture would be taken",
        responses=description.problems(HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def ready() -> Health:
        if not service.is_ready:
            raise closing()
        return Health(status="ready")

    @api.get(
        "/metrics",
        summary="Numbers for Prometheus",
        response_class=Response,
        responses=description.guarded() | description.text_response(metrics.MEDIA_TYPE),
    )
    async def numbers() -> Response:
        return Response(service.metrics.text(), headers={"Content-Type": metrics.MEDIA_TYPE})


def _add_pages(api: FastAPI, service: Service) -> None:
    shown = {"/": front_page(service), "/viewer": viewer_page()}

    def add(path: str) -> None:
        page = shown[path]

        @api.get(path, include_in_schema=False)
        async def show() -> HTMLResponse:
            return HTMLResponse(page.html, headers={"Content-Security-Policy": page.policy})

    for path in shown:
        add(path)


def _handle_errors(api: FastAPI, service: Service) -> None:
    def answer(refusal: Refusal) -> JSONResponse:
        service.metrics.refused(refusal.name)
        return refusal.response()

    @api.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> JSONResponse:
        return answer(error)

    @api.exception_handler(SrcliError)
    async def failed(request: Request, error: SrcliError) -> JSONResponse:
        return answer(problem_of(error))

    @api.exception_handler(RequestValidationError)
    async def misunderstood(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(invalid([told(each) for each in error.errors()]))

    @api.exception_handler(ClientDisconnect)
    async def left(request: Request, error: ClientDisconnect) -> Response:
        service.metrics.refused("gone")
        return Response(status_code=GONE)

    @api.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        return answer(description.of_http(error))

    @api.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        return answer(description.of_bug())
