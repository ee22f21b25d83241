"""Call the service's API from your own tools: a client for newsrooms and archives.

>>> from detector.client import Client
>>> with Client("http://localhost:8501", token) as veriframe:
...     job = veriframe.send("interview.mp4", frames=32)
...     job = veriframe.wait(job, on_progress=lambda job: print(job["progress"]))
...     result = veriframe.result(job)
...     veriframe.save(job, "interview.pdf")
>>> result.finding.band
'little'
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx2

from detector.errors import DetectorError
from detector.files import write_whole
from detector.result import Analysis

Job = dict[str, Any]  # `JobView` of the OpenAPI document
MOST_AWAY = 30  # seconds that a server may be away while somebody follows a job


class ApiError(DetectorError):
    """The service refused; `status` is that of the response, 0 where there was none."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Client:
    """Talks to one service with one token; a context manager.

    Args:
        address: of the server, such as "http://localhost:8501".
        token: made by `python -m detector token create NAME`.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, address: str, token: str, timeout: float = 60) -> None:
        self._http = httpx2.Client(
            base_url=address.rstrip("/") + "/api/v1/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def send(self, clip: Path | str, **options: Any) -> Job:
        """Send a clip, streamed from disk.

        Args:
            clip: its file.
            options: frames (a number or "all"), face_detector, backend, models.

        Returns:
            The job; the one that is there where the clip was sent before.
        """
        fields = {name: str(value) for name, value in options.items()}
        try:
            with Path(clip).open("rb") as file:
                files = {"clip": (Path(clip).name, file)}
                return self._json("POST", "analyses", data=fields, files=files)
        except OSError as error:
            raise ApiError(0, f"{clip} cannot be read ({error.strerror}).") from error

    def job(self, job: Job | str) -> Job:
        """Ask how far a job is."""
        return self._json("GET", _path(job))

    def jobs(self, state: str | None = None) -> Iterator[Job]:
        """List all jobs of the token's owner, newest first."""
        page = pages = 1
        while page <= pages:
            query = {"page": page} | ({} if state is None else {"state": state})
            found = self._json("GET", "analyses", params=query)
            yield from found["items"]
            page, pages = page + 1, found["pages"]

    def wait(self, job: Job | str, on_progress: Callable[[Job], None] | None = None) -> Job:
        """Follow a job to its end by its events, over a restart of the server too.

        Raises:
            ApiError: it failed, was deleted, or the server stays away.
        """
        away = 0
        while True:
            last: Job = {}
            try:
                for last in self._events(job):
                    away = 0
                    if on_progress is not None and "state" in last:
                        on_progress(last)
            except ApiError as error:
                away += 1
                if error.status not in (0, 503) or away > MOST_AWAY:
                    raise
            if last.get("state") == "done":
                return last
            if last.get("state") == "failed":
                raise ApiError(0, last["error"])
            if last and "state" not in last:
                raise ApiError(404, "The analysis was deleted.")
            time.sleep(1)

    def _events(self, job: Job | str) -> Iterator[Job]:
        with _plain_errors(), self._http.stream("GET", _path(job) + "/events") as events:
            if not events.is_success:
                raise _refusal(events.status_code, events.read())
            for line in events.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    def result(self, job: Job | str) -> Analysis:
        """Fetch the whole result of a job that is done."""
        return Analysis.from_json(self._bytes(_path(job) + "/result.json"))

    def save(self, job: Job | str, path: Path | str) -> Path:
        """Write the result of a job to a file that ends with .json, .csv or .pdf."""
        path = Path(path)
        write_whole(path, self._bytes(f"{_path(job)}/result{path.suffix.lower()}"))
        return path

    def frame(self, job: Job | str, index: int, track: int | None = None) -> bytes:
        """Fetch a small JPEG picture of a frame, or of one face in it."""
        query = {} if track is None else {"track": track}
        return self._bytes(f"{_path(job)}/frames/{index}.jpg", query)

    def delete(self, job: Job | str) -> None:
        """Stop a job, and remove everything that belongs to it."""
        self._bytes(_path(job), method="DELETE")

    def models(self) -> list[dict[str, Any]]:
        """List the models that can be chosen, the default first."""
        found: list[dict[str, Any]] = json.loads(self._bytes("models"))
        return found

    def _json(self, method: str, path: str, **request: Any) -> Job:
        answer: Job = json.loads(self._bytes(path, method=method, **request))
        return answer

    def _bytes(
        self, path: str, params: dict[str, Any] | None = None, method: str = "GET", **request: Any
    ) -> bytes:
        with _plain_errors():
            answer = self._http.request(method, path, params=params, **request)
        if not answer.is_success:
            raise _refusal(answer.status_code, answer.content)
        return answer.content


def _path(job: Job | str) -> str:
    return f"analyses/{job if isinstance(job, str) else job['id']}"


def _refusal(status: int, body: bytes) -> ApiError:
    try:
        detail = str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The server answered with status {status}; check the address."
    return ApiError(status, detail)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        raise ApiError(
            0, f"The server does not answer ({error}); check its address and that it runs."
        ) from error
