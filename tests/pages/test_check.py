"""The page "Check a clip", through Streamlit's own tester."""

from __future__ import annotations

import errno
import json
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from detector.analysis.engine import Engine
from detector.faces.mediapipe import PRIVACY_NOTE
from detector.jobs import queue as jobs_module
from detector.jobs.queue import UNEXPECTED, Job, Jobs
from detector.media.clip import EXTENSIONS
from detector.result import Analysis
from detector.samples import samples
from detector.wording import LIMITATIONS, NOT_CALIBRATED, STATES, headline, meaning
from pages.parts import session
from pages.parts.text import plain, short
from tests.helpers.bad_clips import BAD, NAMES
from tests.helpers.clips import write
from tests.helpers.processes import ROOT
from tests.helpers.stand_ins import StandInEngine, one_face

TWO = "grid_two_faces_lbbc2a_lbax4n"
WAIT = 120


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which jobs put their files: the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def use(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Engine], Jobs]:
    """Makes every tab of the test use these models."""

    def install(engine: Engine, at_once: int = 2) -> Jobs:
        queue = Jobs(engine, at_once)
        monkeypatch.setattr(session, "models", lambda: queue)
        return queue

    return install


@pytest.fixture
def stand_in(use: Callable[[Engine], Jobs]) -> StandInEngine:
    """Models that answer at once."""
    engine = StandInEngine()
    use(engine)
    return engine


@pytest.fixture
def gate(use: Callable[..., Jobs]) -> Iterator[threading.Semaphore]:
    """Models that wait at a gate before each frame, one analysis at a time."""
    closed = threading.Semaphore(0)
    use(StandInEngine(one_face, closed), at_once=1)
    yield closed
    closed.release(10_000)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Forty numbered frames."""
    return write(tmp_path_factory.mktemp("page") / "clip.mp4", 40).read_bytes()


def tab() -> AppTest:
    """A browser tab that has just opened the app."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT).run()
    assert not app.exception
    return app


def upload(app: AppTest, content: bytes, name: str = "clip.mp4") -> Job:
    """Drop a file in; the page has been drawn once since."""
    app.file_uploader(key="upload").set_value((name, content, "video/mp4")).run()
    assert not app.exception
    job: Job = app.session_state["job"]
    return job


def ended(app: AppTest) -> Job:
    """Wait for the analysis, and draw the page again."""
    job: Job = app.session_state["job"]
    assert job.wait(WAIT)
    app.run()
    assert not app.exception
    return job


def words(app: AppTest) -> str:
    """Everything the page says."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.warning, app.error, app.info)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def charts(app: AppTest, key: str) -> list[dict[str, Any]]:
    """The Plotly figures with that key, as they are sent to the browser."""
    sent = [chart.proto for chart in app.get("plotly_chart")]
    return [json.loads(proto.spec) for proto in sent if proto.id.endswith(f"-{key}")]


# ---------------------------------------------------------------- before anything happens


def test_the_first_view_says_what_comes_and_what_it_cannot_know(stand_in: StandInEngine) -> None:
    app = tab()
    assert app.title[0].value == "Check a clip"
    assert [heading.value for heading in app.subheader] == [
        "What you will get",
        "What it cannot know",
    ]
    said = words(app)
    assert all(limit in said for limit in LIMITATIONS)
    assert "never a verdict" in said
    assert any("Your clip is not sent anywhere" in line.value for line in app.sidebar.caption)
    assert not app.error
    assert all(ending in app.file_uploader(key="upload").help for ending in EXTENSIONS)
    assert app.selectbox(key="sample").options == [sample.title for sample in samples()]
    assert app.selectbox(key="sample").value is None
    assert app.slider(key="frame_count").value == 32


def test_mediapipe_comes_with_its_privacy_note(stand_in: StandInEngine) -> None:
    app = tab()
    assert PRIVACY_NOTE not in words(app)
    app.selectbox(key="face_detector").set_value("mediapipe-full").run()
    assert app.warning[0].value == PRIVACY_NOTE


# ---------------------------------------------------------------- from clip to finding


def test_an_uploaded_sample_shows_the_command_lines_numbers(
    use: Callable[[Engine], Jobs],
    engine: Engine,
    sample_clip: Callable[[str], Path],
    sample_analyses: dict[str, Analysis],
    temporary: Path,
) -> None:
    """`scan` prints what `scan` gives (tests/commands/test_cli.py); so does the page."""
    use(engine)
    expected = sample_analyses[TWO]
    app = tab()
    app.slider(key="frame_count").set_value(4).run()
    upload(app, sample_clip(TWO).read_bytes(), f"{TWO}.mp4")
    job = ended(app)
    assert job.analysis is not None
    for part in ("clip", "sampling", "models", "tracks", "frames", "finding"):
        assert getattr(job.analysis, part) == getattr(expected, part)
    said = words(app)
    assert headline(expected) in [heading.value for heading in app.subheader]
    assert meaning(expected) in said
    for reason in expected.finding.reasons:
        assert reason in said or plain(reason) in said
    if not expected.bands.calibrated:
        assert NOT_CALIBRATED in said
    for track in expected.tracks:
        assert f"**Face {track.id}** · " in said
        score = f"(score {track.score:.2f})"
        if track.band is None:
            assert f"not judged: {', '.join(STATES[s].lower() for s in track.states)}" in said
            assert score not in said, "what is not judged shows no score"
        else:
            assert score in said
    assert "clip" not in [path.name for path in temporary.rglob("*")]
    (figure,) = charts(app, "timeline")
    lines = {trace["name"]: trace for trace in figure["data"]}
    for track in expected.tracks:
        line = lines[f"Face {track.id}"]
        drawn = [index for index, _ in line["customdata"]]
        assert drawn == [frame.index for frame in expected.frames]


def test_a_sample_is_analysed_when_chosen(stand_in: StandInEngine) -> None:
    app = tab()
    car_park = next(sample for sample in samples() if "cars" in sample.path.name)
    app.selectbox(key="sample").set_value(car_park).run()
    job = ended(app)
    assert (job.name, job.status) == (car_park.path.name, "done")
    assert plain(car_park.about) in words(app)
    assert plain(car_park.credit) in words(app)


def test_progress_and_scores_are_shown_while_it_runs(
    gate: threading.Semaphore, clip: bytes
) -> None:
    app = tab()
    job = upload(app, clip, "their clip.mp4")
    assert "Analysing their clip\\.mp4" in [heading.value for heading in app.subheader]
    gate.release(9)
    while job.progress.done < 8:
        assert not job.wait(0.01)
    app.run()
    assert app.get("progress")[0].proto.value == 25
    assert "Frame 8 of 32, about " in app.get("progress")[0].proto.text
    (live,) = charts(app, "live")
    assert sum(len(trace["customdata"]) for trace in live["data"]) == 8
    gate.release(100)
    ended(app)
    assert not app.get("progress")
    assert charts(app, "timeline")
    assert not charts(app, "live")


def test_a_waiting_tab_says_so(gate: threading.Semaphore, clip: bytes) -> None:
    first, second, third = tab(), tab(), tab()
    upload(first, clip)
    while first.session_state["job"].status == "waiting":
        assert not first.session_state["job"].wait(0.01)
    upload(second, clip)
    upload(third, clip)
    assert second.get("progress")[0].proto.text == "Waiting for a free place"
    assert third.get("progress")[0].proto.text == "Waiting: 1 before yours"
    gate.release(1000)
    for app in (first, second, third):
        ended(app)


def test_stopping_keeps_nothing_and_the_next_clip_works(
    gate: threading.Semaphore, clip: bytes, temporary: Path
) -> None:
    app = tab()
    job = upload(app, clip)
    gate.release(2)
    app.button(key="stop").click().run()
    gate.release(1)
    ended(app)
    assert job.status == "cancelled"
    assert [note.value for note in app.info] == ["Stopped. Nothing was kept."]
    assert list(temporary.iterdir()) == []
    gate.release(100)
    upload(app, clip, "next.mp4")
    ended(app)
    assert "next\\.mp4" in words(app)


def test_the_result_stays_through_reruns_and_a_look_at_another_page(
    stand_in: StandInEngine, clip: bytes
) -> None:
    app = tab()
    upload(app, clip)
    job = ended(app)
    shown = [heading.value for heading in app.subheader]
    app.run()
    assert [heading.value for heading in app.subheader] == shown
    app.switch_page("pages/training.py").run()
    assert "Check a clip" not in [title.value for title in app.title]
    app.switch_page("pages/check.py").run()
    assert not app.exception
    assert app.session_state["job"] is job
    assert [heading.value for heading in app.subheader] == shown


def test_two_tabs_do_not_see_each_others_clip(stand_in: StandInEngine, clip: bytes) -> None:
    one, other = tab(), tab()
    upload(one, clip, "alpha.mp4")
    ended(one)
    other.run()
    assert "job" not in other.session_state
    assert "alpha" not in words(other)
    assert "What you will get" in words(other)
    upload(other, clip, "bravo.mp4")
    ended(other)
    one.run()
    assert "alpha" in words(one)
    assert "bravo" not in words(one)
    assert one.session_state["job"] is not other.session_state["job"]


def test_a_new_clip_takes_the_place_of_the_old_one(
    stand_in: StandInEngine, clip: bytes, temporary: Path
) -> None:
    app = tab()
    upload(app, clip, "old.mp4")
    old = ended(app)
    upload(app, clip, "new.mp4")
    ended(app)
    assert "old" not in words(app)
    assert old.pictures.frame(old.progress.scored[0].index) is None
    assert len(list(temporary.iterdir())) == 1


# ---------------------------------------------------------------- looking closer


@pytest.fixture
def two_faces(use: Callable[[Engine], Jobs], clip: bytes) -> AppTest:
    """A finished clip with two faces in most of its frames, none in the last ones."""
    app_engine = StandInEngine(lambda number: [(0.0, 30.0), (64.0, 30.0)] if number < 30 else [])
    use(app_engine)
    app = tab()
    app.slider(key="frame_count").set_value(8).run()
    upload(app, clip)
    ended(app)
    return app


def test_a_moment_shows_its_frame_faces_and_scores(two_faces: AppTest) -> None:
    app = two_faces
    analysis: Analysis = app.session_state["job"].analysis
    frame = analysis.frames[2]
    app.select_slider(key="moment").set_value(frame.index).run()
    assert not app.exception
    shown = [caption for image in app.image for caption in image.captions]
    assert f"Frame {frame.index} at {frame.time:.2f} s" in shown
    said = words(app)
    for face in frame.faces:
        assert f"Score **{face.score:.2f}**" in said
    app.select_slider(key="moment").set_value(analysis.frames[-1].index).run()
    assert "No face was found in this frame." in words(app)


def test_the_strip_of_faces_leads_to_their_moments(two_faces: AppTest) -> None:
    app = two_faces
    jumps = [button for button in app.button if str(button.key).startswith("jump-")]
    assert len(jumps) == len(
        [face for frame in app.session_state["job"].analysis.frames for face in frame.faces]
    )
    last = jumps[-1]
    track, index = map(int, str(last.key).split("-")[1:])
    last.click().run()
    assert not app.exception
    assert (app.session_state["moment"], app.session_state["track"]) == (index, track)
    assert app.select_slider(key="moment").value == index


def test_the_first_moment_shown_is_the_strongest(two_faces: AppTest) -> None:
    analysis: Analysis = two_faces.session_state["job"].analysis
    faces = [
        (face.track == analysis.finding.track, face.logit, frame.index)
        for frame in analysis.frames
        for face in frame.faces
    ]
    assert two_faces.select_slider(key="moment").value == max(faces)[2]


def test_both_networks_are_shown_on_demand(two_faces: AppTest) -> None:
    app = two_faces
    (before,) = charts(app, "timeline")
    app.toggle(key="networks_apart").set_value(True).run()
    (after,) = charts(app, "timeline")
    assert len(after["data"]) == 3 * len(before["data"])
    names = {trace["name"] for trace in after["data"]}
    assert {"ResNet50, face 1", "Xception, face 1", "Face 1"} <= names


def test_the_result_can_be_taken_along(two_faces: AppTest) -> None:
    offered = [button.label for button in two_faces.get("download_button")]
    assert "Result (JSON)" in offered
    assert not any(button.disabled for button in two_faces.get("download_button"))


def test_the_same_clip_again_with_other_settings(two_faces: AppTest) -> None:
    app = two_faces
    app.slider(key="frame_count").set_value(16).run()
    again = next(button for button in app.button if button.label.startswith("Analyse again"))
    again.click().run()
    ended(app)
    assert app.session_state["job"].analysis.sampling.analysed == 16
    app.toggle(key="every_frame").set_value(True).run()
    assert app.slider(key="frame_count").disabled
    next(button for button in app.button if button.label.startswith("Analyse again")).click().run()
    ended(app)
    assert app.session_state["job"].analysis.sampling.requested is None
    assert app.session_state["job"].analysis.sampling.analysed == 40


def test_a_clip_without_faces_shows_where_was_looked(
    use: Callable[[Engine], Jobs], clip: bytes
) -> None:
    use(StandInEngine(lambda number: []))
    app = tab()
    upload(app, clip)
    ended(app)
    headings = [heading.value for heading in app.subheader]
    assert "No face found" in headings
    assert "Frames that were searched" in headings
    assert not charts(app, "timeline")
    assert not app.error


def test_a_picture_has_no_timeline(
    use: Callable[[Engine], Jobs], engine: Engine, portraits: dict[str, Path]
) -> None:
    use(engine)
    app = tab()
    upload(app, portraits["grace"].read_bytes(), "portrait.jpg")
    ended(app)
    assert not charts(app, "timeline")
    assert not [slider for slider in app.select_slider if slider.key == "moment"]
    assert "A single picture is weaker evidence than a clip" in words(app).replace("\\", "")


def test_what_lowers_the_quality_is_said(use: Callable[[Engine], Jobs], tmp_path: Path) -> None:
    import numpy as np

    use(StandInEngine())
    app = tab()
    dark, plain_grey = (np.full((96, 128, 3), value, np.uint8) for value in (6, 120))
    grain = np.random.default_rng(0).integers(60, 180, (96, 128, 3), dtype=np.uint8)
    upload(app, write(tmp_path / "grain.mp4", [dark] * 6 + [grain] * 6).read_bytes())
    ended(app)
    assert "6 of 12 frames do not count" in words(app), "the dark ones"
    upload(app, write(tmp_path / "plain.mp4", [dark] * 6 + [plain_grey] * 6).read_bytes())
    ended(app)
    assert "12 of 12 frames do not count" in words(app), "and those without any detail"
    assert "Most faces are blurred" in words(app)


# ---------------------------------------------------------------- kept, or not


def test_an_analysis_is_kept_unless_the_person_says_otherwise(
    stand_in: StandInEngine, clip: bytes
) -> None:
    app = tab()
    upload(app, clip)
    ended(app)
    assert "**Kept in the library**" in words(app)
    app.toggle(key="do_not_keep").set_value(True).run()
    upload(app, clip, "private.mp4")
    ended(app)
    assert "**Not kept.**" in words(app)
    assert app.session_state["keeper"].id is None


# ---------------------------------------------------------------- bad input

PAGE_BAD = [
    (name, make, says)
    for name, make, says in BAD
    if name in (
        "text.mp4", "empty.mp4", "cut-index-last.mp4", "sound.m4a", "sound.mp4", "noframes.avi",
        "encrypted.mp4", "narrow.mkv", "list.m3u8",
    )
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "says"), PAGE_BAD, ids=[name for name, _, _ in PAGE_BAD])
def test_bad_input_is_one_sentence_and_loses_nothing(
    stand_in: StandInEngine,
    tmp_path: Path,
    temporary: Path,
    name: str,
    make: Callable[[Path], object],
    says: str,
) -> None:
    path = tmp_path / name
    make(path)
    app = tab()
    app.slider(key="frame_count").set_value(64).run()
    upload(app, path.read_bytes(), name)
    ended(app)
    (error,) = app.error
    assert says in error.value.replace("\\", "")
    assert "Traceback" not in words(app)
    assert app.slider(key="frame_count").value == 64, "settings are not lost"
    assert list(temporary.iterdir()) == []


def test_after_bad_input_a_good_clip_works(stand_in: StandInEngine, clip: bytes) -> None:
    app = tab()
    upload(app, b"no clip", "bad.mp4")
    ended(app)
    assert app.error
    upload(app, clip)
    ended(app)
    assert not app.error
    assert charts(app, "timeline")


@pytest.mark.parametrize("name", [*NAMES.values(), "</script><script>alert(1)</script>.mp4"])
def test_a_file_name_is_shown_harmlessly(stand_in: StandInEngine, clip: bytes, name: str) -> None:
    app = tab()
    upload(app, clip, name)
    ended(app)
    assert app.session_state["job"].analysis.clip.name == name
    for kind in (app.markdown, app.caption, app.subheader, app.title):
        for element in kind:
            assert not getattr(element, "allow_html", False)
    for text in words(app).splitlines():
        assert "](javascript" not in text.replace("\\]", "")
    shown = next(caption.value for caption in app.caption if "mp4" in caption.value)
    assert unmarked(shown) == "".join(c if c.isprintable() else " " for c in short(name, 80))


@pytest.mark.parametrize("name", ["<b>bold</b>.txt", "a\nb.txt", "x" * 300 + ".txt"])
def test_a_refused_name_is_shown_harmlessly(stand_in: StandInEngine, name: str) -> None:
    app = tab()
    upload(app, b"no clip", name)
    ended(app)
    (error,) = app.error
    assert "\n" not in error.value
    assert "<b>" not in error.value
    assert len(error.value) < 300


def unmarked(text: str) -> str:
    """What a reader sees of Markdown in which every special character is escaped."""
    assert not re.search(r"(?<!\\)[*_`<>\[\]$]", re.sub(r"\\\\", "", text))
    return re.sub(r"\\(.)", r"\1", text)


@pytest.mark.parametrize("problem", [RuntimeError("secret path /etc"), KeyError("logits")])
def test_the_unexpected_is_a_sentence_without_details(
    stand_in: StandInEngine,
    clip: bytes,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr(jobs_module, "scan", broken)
    app = tab()
    upload(app, clip)
    ended(app)
    assert [unmarked(error.value) for error in app.error] == [UNEXPECTED]
    assert "secret" not in words(app)
    assert list(temporary.iterdir()) == []


def test_a_full_disk_is_a_sentence(
    stand_in: StandInEngine, clip: bytes, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    app = tab()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", full)
        app.file_uploader(key="upload").set_value(("clip.mp4", clip, "video/mp4")).run()
    assert not app.exception
    (error,) = app.error
    assert "free some disk space and try again" in error.value
    assert "What you will get" in words(app), "the page can be used on"
    upload(app, clip)
    ended(app)
    assert not app.error


# ---------------------------------------------------------------- text made safe

SPECIAL = r"\`*_{}[]()#+-.!|<>~$:^=&"


@pytest.mark.parametrize("letter", SPECIAL)
def test_every_special_letter_is_escaped(letter: str) -> None:
    assert plain(f"a{letter}b") == f"a\\{letter}b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text 123", "plain text 123"),
        ("<b>x</b>", "\\<b\\>x\\</b\\>"),
        ("two\nlines\tand\x00more", "two lines and more"),
        (":red[x] $y$", "\\:red\\[x\\] \\$y\\$"),
        ("é 🎬 中", "é 🎬 中"),
    ],
)
def test_text_of_people_is_shown_as_it_is(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [("short", 60, "short"), ("0123456789", 9, "0123…6789"), ("x" * 60, 60, "x" * 60)],
)
def test_long_text_loses_its_middle(text: str, most: int, shown: str) -> None:
    assert short(text, most) == shown
    assert len(short("x" * 500, most)) <= most
