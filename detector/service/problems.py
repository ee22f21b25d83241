"""Errors of the service as `application/problem+json` (RFC 9457), one sentence each."""

from __future__ import annotations

import http
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from detector.errors import (
    DetectorError,
    LibraryError,
    ModelError,
    QueueFull,
    ServiceError,
    TooLarge,
)
from detector.service.upload import BadForm, TooSlow

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "60"  # seconds, for a queue that is full or a database that is away

# The first that fits.
_STATUS: tuple[tuple[type[DetectorError], int], ...] = (
    (BadForm, 400),
    (TooSlow, 408),
    (TooLarge, 413),
    (QueueFull, 503),
    (ModelError, 422),
    (LibraryError, 503),
    (ServiceError, 507),
    (DetectorError, 500),
)
UNAVAILABLE = (
    "The service cannot be used now; try again in a minute, or ask whoever runs the server for its "
    "log."
)
UNEXPECTED = "Something went wrong on the server; try again, or ask whoever runs it for its log."


class Problem(BaseModel):
    """What went wrong.

    Attributes:
        type: always "about:blank": `title` and `status` say all that programs need.
        title: of the status.
        status: HTTP status.
        detail: one sentence for a person.
        instance: path that was asked.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str


def problem(
    request: Request, status: int, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the response for an error."""
    body = Problem(
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
    )
    return JSONResponse(body.model_dump(), status, headers, media_type=MEDIA_TYPE)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route may answer besides its result, for the OpenAPI document."""
    return {
        status: {
            "description": http.HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def handle_errors(api: FastAPI) -> None:
    """Let `api` answer every error so."""

    @api.exception_handler(DetectorError)
    async def known(request: Request, error: DetectorError) -> JSONResponse:
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        headers = {"Retry-After": RETRY_AFTER} if status == 503 else {}
        if status in (400, 408, 413):
            headers["Connection"] = "close"  # the rest of the body is not read
        if isinstance(error, LibraryError):  # it names folders and addresses
            logging.getLogger("veriframe").error("%s", error)
            return problem(request, status, UNAVAILABLE, headers)
        return problem(request, status, str(error), headers)

    @api.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        details = {
            404: "There is nothing at this address; `openapi.json` lists what there is.",
            405: "This address does not answer this method; `openapi.json` lists what does.",
        }
        general = error.detail == http.HTTPStatus(error.status_code).phrase
        detail = details.get(error.status_code, error.detail) if general else error.detail
        return problem(request, error.status_code, detail, dict(error.headers or {}))

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return problem(request, 422, f"“{place}”: {first['msg']}; see openapi.json.")

    @api.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logging.getLogger("veriframe").error("a request failed", exc_info=error)
        return problem(request, 500, UNEXPECTED)
