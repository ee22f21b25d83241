"""What those who run the service ask it: is it alive, is it ready, what does it do.

`/healthz` and `/readyz` are open, since they tell nothing of anybody; `/metrics` (Prometheus text
format) needs a token with the scope "metrics".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector.errors import DetectorError
from detector.jobs import process_queue
from detector.service.access import Access
from detector.service.problems import problem
from detector.service.service import Service

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # others are without end
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Requests:
    """ASGI middleware that counts the requests of an application and their time.

    Args:
        app: the application.
        registry: where the figures go.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._count = Counter(
            "veriframe_requests",
            "Requests to the API",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "veriframe_request_seconds",
            "Time until a response began",
            ("method", "route"),
            buckets=SECONDS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                # For the route, not for the path: ids would be without end.
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in METHODS else "other"
                self._count.labels(method, route, message["status"]).inc()
                self._seconds.labels(method, route).observe(time.perf_counter() - begun)
            await send(message)

        await self._app(scope, receive, counting)


class _Queue:
    """What waits and runs now, and what became of the jobs in the records."""

    def __init__(self, service: Callable[[], Service]) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """Yield the measurements, for each scrape."""
        service = self._service()
        for name, words, value in (
            ("waiting", "Analyses that have not begun", service.jobs.waiting),
            ("running", "Analyses that are at work", service.jobs.running),
        ):
            yield GaugeMetricFamily(f"veriframe_queue_{name}", words, value=value)
        jobs = GaugeMetricFamily(
            "veriframe_jobs", "Jobs of the API in the records", labels=("state",)
        )
        for state, count in service.records.counts().items():
            jobs.add_metric((state,), count)
        yield jobs
        loaded = int(process_queue.loaded())
        yield GaugeMetricFamily("veriframe_models_loaded", "1 once they are", value=loaded)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the service need not be open when this is registered."""
        return ()


def registry_of(service: Callable[[], Service]) -> CollectorRegistry:
    """Return what is measured of this process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Queue(service))
    return registry


def health_routes(
    service: Callable[[], Service], access: Access, registry: CollectorRegistry
) -> list[Route]:
    """Return the routes, for the root of the server.

    Args:
        service: gives what they stand on.
        access: who may read the metrics.
        registry: the metrics.
    """

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    def ready() -> dict[str, Any]:
        states: dict[str, Any] = {"models": "loaded" if process_queue.loaded() else "loading"}
        try:
            service().records.check()
            states["library"] = "answers"
        except DetectorError as error:
            logging.getLogger("veriframe").error("%s", error)
            states["library"] = "does not answer"  # why is in the log; this route is open
        return states

    async def readyz(_: Request) -> Response:
        states = await run_in_threadpool(ready)
        fine = states == {"models": "loaded", "library": "answers"}
        return JSONResponse(states | {"ready": fine}, 200 if fine else 503)

    def measured(text: str | None) -> Response:
        access.check(service, text, "metrics")
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def metrics(request: Request) -> Response:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            return await run_in_threadpool(
                measured, text.strip() if scheme.lower() == "bearer" else None
            )
        except HTTPException as error:
            headers = dict(error.headers or {})
            return problem(request, error.status_code, error.detail, headers)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]
