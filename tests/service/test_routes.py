"""detector.service.routes: the routes, what they refuse, and that the document describes them."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode, checks
from starlette.applications import Starlette
from starlette.testclient import TestClient

from detector.errors import LibraryError
from detector.jobs.queue import Jobs
from detector.library.store import Library
from detector.limits import Limits
from detector.result import Analysis
from detector.service import routes as module
from detector.service import upload
from detector.service.health import Requests, health_routes, registry_of
from detector.service.pending_clips import PendingClips
from detector.service.problems import MEDIA_TYPE
from detector.service.routes import BASE, create_api, mounted
from detector.service.service import Service, ServiceOpener
from tests.helpers.clips import write
from tests.helpers.stand_ins import StandInEngine, one_face

WAIT = 60
LIMITS = Limits(bytes=2_000_000, queue=3, requests=10_000)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of twelve numbered frames."""
    return write(tmp_path_factory.mktemp("api") / "twelve.mp4", 12)


class Running:
    """An API on a service of its own, and tokens for it."""

    def __init__(self, folder: Path, gate: threading.Semaphore | None, limits: Limits) -> None:
        self.library = Library.open(folder / "library.sqlite")
        jobs = Jobs(StandInEngine(one_face, gate), at_once=1, limits=limits)
        self.service = Service(jobs, self.library, PendingClips(folder / "spool"))
        opener = ServiceOpener(lambda: self.service)
        self.api: FastAPI = create_api(opener, limits)
        registry = registry_of(opener)
        self.app = Starlette(
            routes=[
                *health_routes(opener, self.api.state.access, registry),
                mounted(Requests(self.api, registry)),
            ]
        )
        self.token = self.service.tokens.create("test")[1]
        self.http = TestClient(
            self.app,
            headers=self.bearer(self.token),
            base_url="http://server",
            raise_server_exceptions=False,
        )

    @staticmethod
    def bearer(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    def send(self, clip: Path, **options: Any) -> Any:
        with clip.open("rb") as file:
            return self.http.post(
                f"{BASE}/analyses", files={"clip": (clip.name, file)}, data=options
            )

    def get(self, path: str, **request: Any) -> Any:
        return self.http.get(f"{BASE}{path}", **request)

    def ended(self, id: str) -> dict[str, Any]:
        """The job once nothing more happens."""
        end = time.monotonic() + WAIT
        while True:
            job: dict[str, Any] = self.get(f"/analyses/{id}").json()
            if job["state"] in ("done", "failed"):
                return job
            assert time.monotonic() < end
            time.sleep(0.01)

    def files(self) -> list[str]:
        """Clips that wait in the folder of pending clips."""
        found = self.service.pending.folder.iterdir()
        return [path.name for path in found if path.suffix in (".clip", ".part")]

    def close(self) -> None:
        self.service.jobs._stop()
        self.service.close()
        self.library.close()


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path, gate: threading.Semaphore) -> Iterator[Start]:
    started: list[Running] = []

    def begin(held: bool = False, limits: Limits = LIMITS) -> Running:
        started.append(Running(tmp_path, gate if held else None, limits))
        return started[-1]

    yield begin
    gate.release(100_000)
    for one in started:
        one.close()


@pytest.fixture
def running(start: Start) -> Running:
    return start()


def refused(answer: Any, status: int) -> str:
    """The sentence of a problem, which must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "instance"}
    assert body["status"] == status
    assert "\n" not in body["detail"]
    return str(body["detail"])


def test_send_follow_and_fetch(running: Running, clip: Path) -> None:
    answer = running.send(clip, frames="4")
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == job["links"]["self"] == f"{BASE}/analyses/{job['id']}"
    assert (job["name"], job["options"]["frames"]) == ("twelve.mp4", 4)
    done = running.ended(job["id"])
    assert done["state"] == "done"
    assert done["progress"] == {"done": 4, "total": 4}
    links = done["links"]
    document = running.http.get(links["json"])
    assert document.headers["content-type"] == "application/json"
    analysis = Analysis.from_json(document.content)
    assert analysis == running.library.get(done["analysis"])
    lines = list(csv.DictReader(io.StringIO(running.http.get(links["csv"]).text)))
    assert len(lines) == 4
    pdf = running.http.get(links["pdf"])
    assert pdf.content.startswith(b"%PDF")
    assert pdf.headers["content-disposition"].startswith('attachment; filename="twelve-')
    index = analysis.frames[1].index
    picture = running.http.get(links["frames"].replace("{index}", str(index)))
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content[:2] == b"\xff\xd8"
    face = running.get(f"/analyses/{job['id']}/frames/{index}.jpg", params={"track": 1})
    assert face.content not in (b"", picture.content)
    absent = running.get(f"/analyses/{job['id']}/frames/999999.jpg")
    assert "No picture of frame 999999" in refused(absent, 404)


def test_the_same_clip_again_is_the_same_job(running: Running, clip: Path) -> None:
    first = running.send(clip).json()
    running.ended(first["id"])
    again = running.send(clip)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert running.send(clip, frames="all").status_code == 202


def test_there_is_no_result_before_the_end(start: Start, clip: Path) -> None:
    held = start(held=True)
    id = held.send(clip).json()["id"]
    for path in ("result.json", "result.csv", "result.pdf", "frames/0.jpg"):
        assert "not finished" in refused(held.get(f"/analyses/{id}/{path}"), 409)


def test_a_clip_that_is_none_has_failed(running: Running, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing" * 99)
    job = running.ended(running.send(broken).json()["id"])
    assert job["state"] == "failed"
    assert "broken.mp4" in job["error"]
    answer = running.get(f"/analyses/{job['id']}/result.json")
    assert job["error"] in refused(answer, 409)


def test_a_deleted_analysis_has_no_result(running: Running, clip: Path) -> None:
    job = running.ended(running.send(clip).json()["id"])
    running.library.delete([job["analysis"]])
    answer = running.get(f"/analyses/{job['id']}/result.json")
    assert "deleted from the library" in refused(answer, 404)


def test_delete_removes_all(running: Running, clip: Path) -> None:
    id = running.send(clip).json()["id"]
    running.ended(id)
    assert running.http.delete(f"{BASE}/analyses/{id}").status_code == 204
    assert running.library.ids() == ()
    assert "no analysis" in refused(running.get(f"/analyses/{id}"), 404)
    refused(running.http.delete(f"{BASE}/analyses/{id}"), 404)


def test_the_list_is_paged_and_filtered(running: Running, clip: Path) -> None:
    ids = []
    for frames in (1, 2, 3):
        ids.append(running.send(clip, frames=str(frames)).json()["id"])
        running.ended(ids[-1])
    first = running.get("/analyses", params={"page_size": 2}).json()
    assert [job["id"] for job in first["items"]] == ids[:0:-1]
    assert (first["total"], first["pages"]) == (3, 2)
    last = running.get("/analyses", params={"page_size": 2, "page": 2, "state": "done"}).json()
    assert [job["id"] for job in last["items"]] == ids[:1]
    assert running.get("/analyses", params={"state": "failed"}).json()["items"] == []
    refused(running.get("/analyses", params={"state": "lost"}), 422)
    refused(running.get("/analyses", params={"page": "0"}), 422)


def test_models_are_those_that_score(running: Running) -> None:
    models = running.get("/models").json()
    assert models[0]["name"] == ""
    assert [network["name"] for network in models[0]["networks"]] == ["resnet50", "xception"]
    assert all(len(network["sha256"]) == 64 for network in models[0]["networks"])


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.replace("\r\n", "\n").strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line[:8])
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def follow(running: Running, then: Callable[[], object]) -> None:
    """Do something once somebody follows a job and has been told of it."""
    looked = threading.Event()
    get = running.service.get

    def noted(id: str, owner: str) -> Any:
        found = get(id, owner)
        looked.set()
        return found

    running.service.get = noted  # type: ignore[method-assign]

    def act() -> None:
        assert looked.wait(WAIT)
        time.sleep(0.5)  # the route asks whether there is such a job, then the stream begins
        then()

    threading.Thread(target=act).start()


def test_events_tell_all_until_the_end(start: Start, clip: Path, gate: threading.Semaphore) -> None:
    held = start(held=True)
    id = held.send(clip, frames="12").json()["id"]
    follow(held, lambda: gate.release(1000))
    answer = held.get(f"/analyses/{id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.text)
    assert {name for name, _ in told[:-1]} <= {"progress"}
    name, last = told[-1]
    assert (name, last["state"], last["progress"]) == ("done", "done", {"done": 12, "total": 12})


def test_events_of_a_deleted_job_end(start: Start, clip: Path, gate: threading.Semaphore) -> None:
    held = start(held=True)
    id = held.send(clip).json()["id"]

    def delete() -> None:
        gate.release(1000)
        held.service.delete(id, "")

    follow(held, delete)
    assert events(held.get(f"/analyses/{id}/events").text)[-1] == ("deleted", {"id": id})
    refused(held.get(f"/analyses/{id}/events"), 404)


# --- who may ---------------------------------------------------------------------------------

ROUTES = [
    ("POST", "/analyses", "write"),
    ("GET", "/analyses", "read"),
    ("GET", "/analyses/{id}", "read"),
    ("DELETE", "/analyses/{id}", "write"),
    ("GET", "/analyses/{id}/events", "read"),
    ("GET", "/analyses/{id}/result.json", "read"),
    ("GET", "/analyses/{id}/result.csv", "read"),
    ("GET", "/analyses/{id}/result.pdf", "read"),
    ("GET", "/analyses/{id}/frames/{index}.jpg", "read"),
    ("GET", "/models", "read"),
]


def test_every_route_needs_a_token_with_its_scope(running: Running) -> None:
    others = {
        scope: running.service.tokens.create(
            "o", [other for other in ("read", "write", "metrics") if other != scope]
        )[1]
        for scope in ("read", "write")
    }
    bare = TestClient(running.app, base_url="http://server")
    for method, path, scope in ROUTES:
        address = BASE + path.format(id="0" * 32, index=0)
        for headers in ({}, running.bearer("vf_no"), {"Authorization": "Basic YTpi"}):
            answer = bare.request(method, address, headers=headers)
            assert "needs a valid token" in refused(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        answer = bare.request(method, address, headers=running.bearer(others[scope]))
        assert f"“{scope}”" in refused(answer, 403)


def test_the_table_above_is_complete(running: Running) -> None:
    document = running.get("/openapi.json").json()
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert described == {(method, path) for method, path, _ in ROUTES}
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["security"] == [{"token": []}]


def test_somebody_elses_job_is_not_there(running: Running, clip: Path) -> None:
    id = running.send(clip).json()["id"]
    running.ended(id)
    stranger = running.bearer(running.service.tokens.create("s", owner="issuer|stranger")[1])
    for method, path, _ in ROUTES:
        if "{id}" in path:
            address = BASE + path.format(id=id, index=0)
            answer = running.http.request(method, address, headers=stranger)
            assert "There is no analysis" in refused(answer, 404)
    assert running.get("/analyses", headers=stranger).json()["total"] == 0
    sent = running.http.post(
        f"{BASE}/analyses", files={"clip": clip.read_bytes()}, headers=stranger
    )
    assert sent.status_code == 202
    assert sent.json()["id"] != id


def test_a_revoked_token_ends_its_streams(
    start: Start, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    held = start(held=True)
    id = held.send(clip).json()["id"]
    follow(held, lambda: held.service.tokens.revoke(held.token.split("_")[1]))
    told = events(held.get(f"/analyses/{id}/events").text)  # else it would never end
    assert {name for name, _ in told} <= {"progress"}


def test_streams_of_one_token_are_limited(
    start: Start, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FOLLOWED", 0)
    held = start(held=True)
    id = held.send(clip).json()["id"]
    assert "close one of the streams" in refused(held.get(f"/analyses/{id}/events"), 429)


def test_clips_that_arrive_count_for_the_queue(running: Running, clip: Path) -> None:
    running.api.state.arriving |= {Path(str(number)) for number in range(LIMITS.queue)}
    assert "arriving already" in refused(running.send(clip), 503)
    running.api.state.arriving.clear()
    assert running.send(clip).status_code == 202


def test_a_revoked_token_is_refused_at_once(running: Running) -> None:
    assert running.get("/models").status_code == 200
    running.service.tokens.revoke(running.token.split("_")[1])
    refused(running.get("/models"), 401)


def test_too_many_requests_wait(start: Start) -> None:
    few = start(limits=Limits(requests=1))
    answers = [few.get("/models") for _ in range(12)]
    late = [answer for answer in answers if answer.status_code == 429]
    assert late
    assert "wait a second" in refused(late[0], 429)
    assert late[0].headers["retry-after"] == "1"


# --- what is sent wrongly --------------------------------------------------------------------

LINE = b"\r\n"


def form(*parts: tuple[bytes, bytes], end: bool = True) -> bytes:
    """A body of multipart/form-data with these dispositions and contents."""
    body = b"".join(
        b"--b\r\nContent-Disposition: form-data; " + head + LINE * 2 + content + LINE
        for head, content in parts
    )
    return body + (b"--b--\r\n" if end else b"")


CLIP = b'name="clip"; filename="a.mp4"'
BAD_BODIES = {
    "no form": (b"{}", "application/json", "multipart/form-data"),
    "no boundary": (b"x", "multipart/form-data", "multipart/form-data"),
    "no clip": (form((b'name="frames"', b"4")), None, "There is no clip"),
    "an empty clip": (form((CLIP, b"")), None, "is empty"),
    "two clips": (form((CLIP, b"1"), (CLIP, b"2")), None, "more than one clip"),
    "another file": (form((b'name="other"; filename="a"', b"1")), None, "Send one file"),
    "a clip that is no file": (form((b'name="clip"', b"1")), None, "Send one file"),
    "a field twice": (
        form((b'name="frames"', b"4"), (b'name="frames"', b"5"), (CLIP, b"1")),
        None,
        "comes twice",
    ),
    "a long field": (form((b'name="models"', b"x" * 5000), (CLIP, b"1")), None, "too long"),
    "no end": (form((CLIP, b"1" * 1000), end=False), None, "ended before"),
    "cut off": (form((CLIP, b"1" * 1000), end=False)[:-1], None, "ended before"),
    "no multipart": (b"something else", None, "cannot be read"),
    "no frames": (form((b'name="frames"', b"0"), (CLIP, b"1")), None, "“frames”"),
    "no number": (form((b'name="frames"', b"many"), (CLIP, b"1")), None, "“frames”"),
    "no such detector": (
        form((b'name="face_detector"', b"x"), (CLIP, b"1")),
        None,
        "“face_detector”",
    ),
    "no such option": (form((b'name="colour"', b"x"), (CLIP, b"1")), None, "“colour”"),
}


@pytest.mark.parametrize(("body", "kind", "says"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_body_is_one_sentence_and_leaves_nothing(
    running: Running, body: bytes, kind: str | None, says: str
) -> None:
    kind = kind or "multipart/form-data; boundary=b"
    answer = running.http.post(f"{BASE}/analyses", content=body, headers={"Content-Type": kind})
    assert says in refused(answer, 400)
    assert running.files() == []
    assert running.get("/analyses").json()["total"] == 0


def test_models_that_are_not_installed(running: Running, clip: Path) -> None:
    assert "none-such" in refused(running.send(clip, models="none-such"), 422)
    assert running.files() == []


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "not announced"])
def test_too_large_is_refused_while_it_comes(running: Running, announced: bool) -> None:
    body = form((CLIP, b"\0" * 3_000_000))

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = running.http.post(
        f"{BASE}/analyses", content=body if announced else pieces(), headers=headers
    )
    assert "larger than the 2,000,000 bytes" in refused(answer, 413)
    assert running.files() == []


def test_a_slow_sender_is_let_go(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    import anyio

    monkeypatch.setattr(upload, "PATIENCE", 0.2)
    monkeypatch.setattr(upload, "PIECE", 10)

    async def silent() -> Any:
        yield form((CLIP, b"1" * 100), end=False)

    async def trickling() -> Any:
        yield form((CLIP, b"1" * 100), end=False)
        for _ in range(1000):
            await anyio.sleep(0.05)
            yield b"1"

    path = running.service.pending.arriving("x")
    written: list[bool] = []

    async def silent_for_long() -> Any:
        async for piece in silent():
            yield piece
            yield b"2" * 10
            written.append(path.exists())
            await anyio.sleep(30)

    async def receive(stream: Any) -> None:
        await upload.receive(stream, "multipart/form-data; boundary=b", path, 10_000)

    for stream, says in (
        (silent_for_long, "Nothing of the clip arrived"),
        (trickling, "too slowly"),
    ):
        with pytest.raises(upload.TooSlow, match=says):
            anyio.run(receive, stream())
        assert running.files() == []
    assert written == [True]


def test_a_full_queue_asks_to_come_back(start: Start, clip: Path) -> None:
    held = start(held=True)
    for frames in range(1, 5):
        assert held.send(clip, frames=str(frames)).status_code == 202
        end = time.monotonic() + WAIT
        while not held.service.jobs.running:
            assert time.monotonic() < end
    answer = held.send(clip, frames="9")
    assert "try again in a few minutes" in refused(answer, 503)
    assert answer.headers["retry-after"]
    assert len(held.files()) == 4


def test_a_library_that_does_not_answer(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise LibraryError("The database cannot be reached; check that PostgreSQL runs there.")

    monkeypatch.setattr(running.service.tokens, "check", away)
    assert "cannot be used now" in refused(running.get("/models"), 503)
    assert "PostgreSQL" in caplog.text  # and not in the answer: it names the place


def test_what_nobody_expected_is_one_sentence(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(running.service, "search", broken)
    answer = running.get("/analyses")
    assert "Something went wrong" in refused(answer, 500)
    assert "secret" not in answer.text
    assert "a request failed" in caplog.text


def test_other_addresses_and_methods(running: Running) -> None:
    assert "openapi.json" in refused(running.get("/nothing"), 404)
    assert "openapi.json" in refused(running.http.put(f"{BASE}/models"), 405)
    refused(running.get("/docs"), 404)
    refused(running.get("/analyses/a%0Ab"), 404)


# --- health ----------------------------------------------------------------------------------


def test_alive_and_ready(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = TestClient(running.app, base_url="http://server")
    assert bare.get("/healthz").text == "alive\n"
    monkeypatch.setattr("detector.jobs.process_queue.loaded", lambda: False)
    loading = bare.get("/readyz")
    assert (loading.status_code, loading.json()["models"]) == (503, "loading")
    monkeypatch.setattr("detector.jobs.process_queue.loaded", lambda: True)
    assert bare.get("/readyz").json() == {"models": "loaded", "library": "answers", "ready": True}

    def away() -> None:
        raise LibraryError("The database of somebody@somewhere cannot be reached.")

    monkeypatch.setattr(running.service.records, "check", away)
    lost = bare.get("/readyz")
    assert (lost.status_code, lost.json()["library"]) == (503, "does not answer")
    assert "somewhere" not in lost.text


def test_metrics_count_what_happened(start: Start, clip: Path, gate: threading.Semaphore) -> None:
    running = start(held=True)
    first = running.send(clip, frames="1").json()["id"]
    end = time.monotonic() + WAIT
    while not running.service.jobs.running:
        assert time.monotonic() < end
    running.send(clip, frames="2")
    bare = TestClient(running.app, base_url="http://server")
    refused(bare.get("/metrics"), 401)
    refused(running.http.get("/metrics"), 403)
    scraper = running.bearer(running.service.tokens.create("p", ["metrics"])[1])
    text = bare.get("/metrics", headers=scraper).text
    assert "veriframe_queue_waiting 1.0" in text
    assert "veriframe_queue_running 1.0" in text
    assert 'veriframe_requests_total{method="POST",route="/analyses",status="202"} 2.0' in text
    assert first not in text
    gate.release(1000)
    running.ended(first)
    text = bare.get("/metrics", headers=scraper).text
    assert 'route="/analyses/{id}",status="200"' in text
    for odd in ("ODD", "STRANGE"):
        running.http.request(odd, f"{BASE}/models")
    text = bare.get("/metrics", headers=scraper).text
    assert "ODD" not in text
    assert 'method="other"' in text


# --- the document ----------------------------------------------------------------------------


def test_the_document_is_openapi_3_1(running: Running) -> None:
    document = running.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": BASE}]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    sent = document["paths"]["/analyses"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(sent["schema"]["properties"]) == {
        "clip",
        "frames",
        "face_detector",
        "backend",
        "models",
    }
    assert "Problem" in document["components"]["schemas"]


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_every_answer_is_one_that_the_document_describes(
    running: Running, clip: Path, mode: GenerationMode
) -> None:
    """Schemathesis makes requests from the document and checks the answers against it."""
    done = running.send(clip, frames="2").json()["id"]
    running.ended(done)
    document = schemathesis.openapi.from_asgi(f"{BASE}/openapi.json", running.app)
    answered: dict[str, set[int]] = {}
    for found in document.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=12,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=operation.as_strategy(generation_mode=mode), own=booleans())
        def check(case: schemathesis.Case, own: bool) -> None:
            if own and case.method != "DELETE" and "id" in (case.path_parameters or {}):
                case.path_parameters["id"] = done
            answer = case.call_and_validate(headers=running.bearer(running.token), checks=CHECKS)
            answered.setdefault(f"{case.method} {case.path}", set()).add(answer.status_code)

        check()
    assert set(answered) == {f"{method} {path}" for method, path, _ in ROUTES}
    if mode is GenerationMode.POSITIVE:
        assert 200 in answered["GET /analyses/{id}"] | answered["GET /analyses"]
        assert {200, 202} & answered["POST /analyses"]
    else:
        assert all(status >= 400 for status in answered["POST /analyses"] - {200, 202})
    for job in running.service.records.unfinished():
        running.ended(job.id)
