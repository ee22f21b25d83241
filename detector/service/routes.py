"""The REST routes of the service, under `/api/v1`: send a clip, follow it, fetch its result.

`openapi.json` describes them. `server.py` puts them beside the pages.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.routing import Mount
from starlette.types import ASGIApp

from detector.errors import LibraryError, QueueFull
from detector.limits import Limits
from detector.models.installed import list_models
from detector.report import export, tables
from detector.result import Analysis
from detector.service.access import Access, Reader, TheService, Writer
from detector.service.problems import Problem, described, handle_errors
from detector.service.records import JobRecord, JobState, new_id
from detector.service.service import Service
from detector.service.tokens import Token
from detector.service.upload import FORM_OVERHEAD, BadForm, receive, too_large
from detector.service.views import JobPage, JobView, ModelsView, SentOptions, job_view, models_view
from detector.version import __version__

BASE = "/api/v1"
LOOK_EVERY = 0.05  # seconds between two looks at a job that somebody follows
ASK_EVERY = 0.5  # the same where the database has to be asked, since another process has it
CHECK_EVERY = 40  # looks between two at the token
MOST_FOLLOWED = 50  # streams of events of one token

_ERRORS = described(401, 403, 422, 429, 500, 503)
_OF_A_JOB = _ERRORS | described(404)
_OF_A_RESULT = _OF_A_JOB | described(409)
_DESCRIPTION = (
    "Send a clip, follow its analysis, fetch the result. A score is a reason to look closer, "
    "never a verdict. Every route needs a token: `Authorization: Bearer vf_…`."
)


def _form() -> dict[str, Any]:
    """Return the body of a request that sends a clip, for the OpenAPI document."""
    schema = SentOptions.model_json_schema()
    clip = {"type": "string", "format": "binary", "description": "video or image file"}
    schema["properties"] = {"clip": clip} | schema["properties"]
    schema["required"] = ["clip"]
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def create_api(service: Callable[[], Service], limits: Limits | None = None) -> FastAPI:
    """Return the routes, to be mounted at `BASE`.

    Args:
        service: gives what they stand on; what it raises becomes the answer.
        limits: what a request may cost; default, as the environment sets them.
    """
    api = FastAPI(
        title="Veriframe",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # their scripts would come from another server
        redoc_url=None,
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        redirect_slashes=False,
    )
    api.state.service = service
    api.state.limits = limits or Limits.from_environment()
    api.state.access = Access(api.state.limits)
    api.state.arriving = set()  # files of clips that are being sent
    api.state.followed = Counter()  # streams of events, by token
    handle_errors(api)
    _add_job_routes(api)
    _add_event_route(api)
    _add_result_routes(api)
    _describe(api)
    return api


def mounted(app: ASGIApp) -> Mount:
    """Return the route that gives all under `BASE` to an application, line breaks and all."""
    route = Mount(BASE, app)
    route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
    return route


def _describe(api: FastAPI) -> None:
    """Let the document name the schema of errors, which no route returns by itself."""
    plain = api.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        return document

    api.openapi = openapi  # type: ignore[method-assign]


def _add_job_routes(api: FastAPI) -> None:
    @api.post(
        "/analyses",
        status_code=202,
        responses=described(400, 401, 403, 408, 413, 422, 429, 500, 503, 507)
        | {200: {"model": JobView, "description": "It was sent before: the job that is there"}},
        openapi_extra={"requestBody": _form()},
    )
    async def send(
        request: Request, response: Response, token: Writer, service: TheService
    ) -> JobView:
        """Send a clip. The same clip with the same options is not analysed twice."""
        limits, arriving = request.app.state.limits, request.app.state.arriving
        most = limits.bytes
        service.check_room()
        if service.jobs.waiting + len(arriving) >= limits.queue:
            raise QueueFull("Too many clips are arriving already; try again in a few minutes.")
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most + FORM_OVERHEAD:
            raise too_large(most)
        path = service.pending.arriving(new_id())
        kind = request.headers.get("content-type", "")
        arriving.add(path)
        try:
            received = await receive(request.stream(), kind, path, most)
        finally:
            arriving.discard(path)
        try:
            settings = SentOptions.model_validate(received.fields).settings()
        except ValidationError as error:
            path.unlink(missing_ok=True)
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"][:1])
            raise BadForm(f"“{place}”: {first['msg']}; see openapi.json.") from error
        record, begun = await run_in_threadpool(
            service.submit, path, received.name, received.sha256, settings, token.owner, token.id
        )
        view = _view(request, service, record)
        response.status_code = 202 if begun else 200
        response.headers["Location"] = view.links["self"]
        return view

    @api.get("/analyses", responses=_ERRORS)
    def all_of_mine(
        request: Request,
        token: Reader,
        service: TheService,
        state: JobState | None = None,
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        page_size: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> JobPage:
        """The analyses that were asked for, newest first."""
        found = service.search(token.owner, state, page, page_size)
        items = [_view(request, service, record) for record in found.items]
        return JobPage(items=items, total=found.total, page=found.number, pages=found.pages)

    @api.get("/analyses/{id}", responses=_OF_A_JOB)
    async def status(request: Request, id: str, token: Reader, service: TheService) -> JobView:
        """How far an analysis is."""
        record = service.at_work(id, token.owner)
        if record is None:
            record = await run_in_threadpool(_found, service, id, token.owner)
        return _view(request, service, record)

    @api.delete("/analyses/{id}", status_code=204, responses=_OF_A_JOB)
    def delete(id: str, token: Writer, service: TheService) -> None:
        """Stop an analysis, and remove it from the library with its scores and pictures."""
        if not service.delete(id, token.owner):
            raise _missing(id)

    @api.get("/models", responses=_ERRORS)
    def models(token: Reader) -> list[ModelsView]:
        """The installed models, the default first."""
        return [models_view(each) for each in list_models()]


def _add_event_route(api: FastAPI) -> None:
    def may_follow(request: Request, id: str, token: Reader, service: TheService) -> None:
        _found(service, id, token.owner)
        if request.app.state.followed[token.id] >= MOST_FOLLOWED:
            raise HTTPException(
                429,
                f"This token follows {MOST_FOLLOWED} analyses already; close one of the streams.",
                {"Retry-After": "10"},
            )

    @api.get(
        "/analyses/{id}/events",
        response_class=EventSourceResponse,
        responses=_OF_A_JOB,
        dependencies=[Depends(may_follow)],  # before the stream begins
    )
    async def events(
        request: Request, id: str, token: Reader, service: TheService
    ) -> AsyncIterable[ServerSentEvent]:
        """How far an analysis is, as server-sent events, until it ends.

        Events are called `progress`, and at the end `done`, `failed` or `deleted`; their data is
        the same as that of `GET /analyses/{id}`.
        """
        followed: Counter[str] = request.app.state.followed
        followed[token.id] += 1
        try:
            async for event in _events(request, id, token, service):
                yield event
        finally:
            followed[token.id] -= 1


def _add_result_routes(api: FastAPI) -> None:
    @api.get(
        "/analyses/{id}/result.json",
        response_class=Response,
        responses=_OF_A_RESULT
        | {200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    def result_json(id: str, token: Reader, service: TheService) -> Response:
        """The whole result; `assets/analysis.schema.json` describes it."""
        analysis = _result(service, id, token.owner)[0]
        return _file(export.to_json(analysis), "application/json", analysis, "json")

    @api.get(
        "/analyses/{id}/result.csv",
        response_class=Response,
        responses=_OF_A_RESULT | {200: {"content": {"text/csv": {}}}},
    )
    def result_csv(id: str, token: Reader, service: TheService) -> Response:
        """A line for each face in each frame."""
        analysis = _result(service, id, token.owner)[0]
        return _file(tables.to_csv(analysis), "text/csv; charset=utf-8", analysis, "csv")

    @api.get(
        "/analyses/{id}/result.pdf",
        response_class=Response,
        responses=_OF_A_RESULT | {200: {"content": {"application/pdf": {}}}},
    )
    def result_pdf(id: str, token: Reader, service: TheService) -> Response:
        """The report to hand over."""
        analysis, number = _result(service, id, token.owner)
        pictures = service.library.owned_by(token.owner).pictures(number)
        return _file(export.to_pdf(analysis, pictures), "application/pdf", analysis, "pdf")

    @api.get(
        "/analyses/{id}/frames/{index}.jpg",
        response_class=Response,
        responses=_OF_A_RESULT | {200: {"content": {"image/jpeg": {}}}},
    )
    def frame(
        id: str,
        index: Annotated[int, InPath(ge=0, le=2**31 - 1)],
        token: Reader,
        service: TheService,
        track: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    ) -> Response:
        """A small picture of an analysed frame, or of one face in it."""
        number = _number(service, id, token.owner)
        picture = service.library.owned_by(token.owner).thumbnail(number, index, track)
        if picture is None:
            raise HTTPException(
                404, f"No picture of frame {index} was kept; the result lists the frames."
            )
        return Response(
            picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"}
        )


async def _events(
    request: Request, id: str, token: Token, service: Service
) -> AsyncIterator[ServerSentEvent]:
    last: JobView | None = None
    looks = 0
    while True:
        looks += 1
        try:
            if looks % CHECK_EVERY == 0 and not await run_in_threadpool(
                service.tokens.valid, token.id
            ):
                return
            record = service.at_work(id, token.owner)
            pause = LOOK_EVERY if record else ASK_EVERY
            record = record or await run_in_threadpool(service.get, id, token.owner)
        except LibraryError as error:  # it may answer again in a moment
            logging.getLogger("veriframe").error("%s", error)
            await asyncio.sleep(1)
            continue
        if record is None:
            yield ServerSentEvent(event="deleted", data={"id": id})
            return
        view = _view(request, service, record)
        if view != last:
            ended = record.state in ("done", "failed")
            yield ServerSentEvent(event=record.state if ended else "progress", data=view)
            if ended:
                return
            last = view
        await asyncio.sleep(pause)


def _view(request: Request, service: Service, record: JobRecord) -> JobView:
    base = request.scope.get("root_path", "") + "/analyses"
    return job_view(record, service.ahead(record.id), base)


def _missing(id: str) -> HTTPException:
    known_by = id[:40] if id.isprintable() else "with that name"
    return HTTPException(404, f"There is no analysis {known_by}; it may have been deleted.")


def _found(service: Service, id: str, owner: str) -> JobRecord:
    record = service.get(id, owner)
    if record is None:
        raise _missing(id)
    return record


def _number(service: Service, id: str, owner: str) -> int:
    record = _found(service, id, owner)
    if record.state == "failed":
        raise HTTPException(409, f"The analysis failed, so that there is no result: {record.error}")
    if not record.finished:
        raise HTTPException(
            409, "The analysis is not finished; ask for its result once its state is “done”."
        )
    if record.analysis_id is None:
        raise HTTPException(404, "The analysis was deleted from the library; send the clip again.")
    return record.analysis_id


def _result(service: Service, id: str, owner: str) -> tuple[Analysis, int]:
    number = _number(service, id, owner)
    return service.library.owned_by(owner).get(number), number


def _file(content: bytes, kind: str, analysis: Analysis, suffix: str) -> Response:
    name = export.file_name(analysis, suffix)
    ascii_name = name.encode("ascii", "replace").decode().replace("?", "-")
    return Response(
        content,
        media_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{ascii_name}"'},
    )
