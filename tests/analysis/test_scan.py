"""detector.analysis.scan: the whole way, the same each time, stopped at once, with its evidence."""

from __future__ import annotations

import dataclasses
import datetime
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import detector
from detector.analysis import engine as engine_module
from detector.analysis import scan as pipeline
from detector.analysis.engine import Engine, describe
from detector.analysis.scan import Progress, scan
from detector.errors import Cancelled, ClipError, ModelError
from detector.faces.face import MIN_SCORE
from detector.faces.geometry import crop_face
from detector.limits import Limits
from detector.media.reader import ClipReader, probe
from detector.media.sandboxed_clip import SandboxedClip
from detector.models.ensemble import probability
from detector.models.scorer import BATCH, combine
from detector.models.spec import read_ensemble
from detector.pictures.folder import PictureFolder
from detector.result import SCHEMA_VERSION, Analysis, ScoredFrame
from detector.settings import DETECTORS, Settings
from tests.helpers.clips import Kind, write
from tests.helpers.stand_ins import StandInEngine

TWO = "grid_two_faces_lbbc2a_lbax4n"


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of forty numbered frames."""
    return write(tmp_path_factory.mktemp("analysis") / "forty.mp4", 40)


@pytest.fixture(scope="module")
def scanned(
    engine: Engine, sample_clip: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Analysis, PictureFolder]:
    """Four frames of two people, with evidence, by the real networks."""
    pictures = PictureFolder(tmp_path_factory.mktemp("evidence"))
    return scan(sample_clip(TWO), Settings(4), engine, pictures=pictures), pictures


# ---------------------------------------------------------------- by the real networks


def test_the_same_clip_gives_the_same_numbers(
    scanned: tuple[Analysis, PictureFolder], sample_analyses: dict[str, Analysis]
) -> None:
    again = sample_analyses[TWO]
    first = scanned[0]
    assert dataclasses.replace(first, created="", timings=again.timings) == dataclasses.replace(
        again, created=""
    )


def test_evidence_holds_the_very_crops_that_were_scored(
    engine: Engine, scanned: tuple[Analysis, PictureFolder]
) -> None:
    analysis, pictures = scanned
    faces = [(frame.index, face) for frame in analysis.frames[:2] for face in frame.faces]
    crops = [pictures.face(index, face.track) for index, face in faces]
    assert len(crops) == 4
    logits = engine.scorer().logits(np.stack(crops))  # type: ignore[arg-type]
    for place, (_, face) in enumerate(faces):
        found = {name: float(values[place]) for name, values in logits.items()}
        assert found == pytest.approx(face.logits, abs=1e-4)


def test_a_crop_can_be_cut_again_from_box_and_clip(
    sample_clip: Callable[[str], Path], scanned: tuple[Analysis, PictureFolder]
) -> None:
    analysis, pictures = scanned
    sampling = analysis.sampling
    frame = analysis.frames[1]
    with ClipReader(sample_clip(TWO)) as reader:
        image = reader.frame_at(frame.time).image
    for face in frame.faces:
        crop = crop_face(image, face.box, sampling.crop_factor, sampling.crop_size)
        np.testing.assert_array_equal(crop, pictures.face(frame.index, face.track))


def test_scores_are_the_ensemble_of_the_logits(scanned: tuple[Analysis, PictureFolder]) -> None:
    ensemble = read_ensemble()
    for frame in scanned[0].frames:
        for face in frame.faces:
            logits = {name: np.array([value], np.float32) for name, value in face.logits.items()}
            assert face.logit == pytest.approx(float(combine(ensemble, logits)[0]), abs=1e-5)
            assert face.score == probability(face.logit)


def test_two_people_are_two_tracks_with_their_own_scores(
    scanned: tuple[Analysis, PictureFolder],
) -> None:
    analysis, _ = scanned
    assert [track.id for track in analysis.tracks] == [1, 2]
    for track in analysis.tracks:
        faces = [
            face for frame in analysis.frames for face in frame.faces if face.track == track.id
        ]
        logits = [face.logit for face in faces if face.quality.usable]
        assert (track.frames, track.usable_frames) == (4, len(logits))
        assert logits
        assert track.logit == pytest.approx(float(np.median(logits)))
        assert (track.first, track.last) == (analysis.frames[0].time, analysis.frames[-1].time)
    assert analysis.tracks[0].logit != pytest.approx(analysis.tracks[1].logit, abs=0.05)


def test_a_result_says_how_it_came_about(
    engine: Engine, sample_clip: Callable[[str], Path], scanned: tuple[Analysis, PictureFolder]
) -> None:
    analysis, _ = scanned
    assert analysis.schema_version == SCHEMA_VERSION
    assert analysis.software == detector.__version__
    created = datetime.datetime.fromisoformat(analysis.created)
    assert created.utcoffset() == datetime.timedelta(0)
    assert abs(datetime.datetime.now(datetime.UTC) - created) < datetime.timedelta(hours=1)
    assert analysis.clip == probe(sample_clip(TWO))
    assert analysis.models == describe(engine.scorer())
    assert analysis.bands == read_ensemble().bands
    sampling = analysis.sampling
    assert (sampling.requested, sampling.analysed) == (4, 4)
    assert (sampling.face_detector, sampling.min_face_score) == ("blazeface-full", MIN_SCORE)
    timings = dataclasses.asdict(analysis.timings)
    assert all(value > 0 for value in timings.values())
    assert analysis.timings.total >= sum(timings.values()) - analysis.timings.total


@pytest.mark.parametrize("name", ["noface_intel_cars", "noface_nasa_webb_mirror"])
def test_a_clip_without_faces_gets_no_score(
    sample_analyses: dict[str, Analysis], name: str
) -> None:
    analysis = sample_analyses[name]
    assert analysis.tracks == ()
    assert analysis.finding.states == ("no_face",)
    assert analysis.finding.score is None
    assert len(analysis.frames) == 4
    assert not any(frame.faces for frame in analysis.frames)


def test_portraits_are_judged_as_single_pictures(
    sample_analyses: dict[str, Analysis], portraits: dict[str, Path]
) -> None:
    for name in portraits:
        analysis = sample_analyses[name]
        assert analysis.clip.still
        assert len(analysis.frames) == len(analysis.tracks) == 1
        assert analysis.finding.band is not None


# ---------------------------------------------------------------- with stand-ins


def test_progress_reports_every_frame_once_and_in_order(forty: Path) -> None:
    reports: list[Progress] = []
    analysis = scan(forty, Settings(None), StandInEngine(), on_progress=reports.append)
    assert all(report.total == 40 for report in reports)
    done = [report.done for report in reports]
    assert done == sorted(done)
    assert done[-1] == 40
    assert len(reports) > 2, "frames are shown while others still wait"
    scored: tuple[ScoredFrame, ...] = sum((report.scored for report in reports), ())
    assert scored == analysis.frames
    assert [frame.index for frame in scored] == list(range(40))
    for report, before in zip(reports[1:], reports, strict=False):
        assert report.done >= before.done + len(report.scored)


def test_networks_get_full_batches_and_memory_stays_flat(forty: Path) -> None:
    engine = StandInEngine(lambda number: [(10.0, 10.0), (70.0, 20.0), (40.0, 30.0)])
    scan(forty, Settings(None), engine)
    assert sum(engine.brightness.batches) == 120
    assert set(engine.brightness.batches) == {BATCH}


def test_scores_belong_to_their_faces(tmp_path: Path) -> None:
    """Each crop's logit is its brightness: a face must not get its neighbour's."""
    rows = [np.full((96, 192, 3), 128, np.uint8) for _ in range(6)]
    for number, image in enumerate(rows):
        image[:, :96] = 20 + 10 * number  # darker, left
        image[:, 96:] = 140 + 10 * number
    path = write(tmp_path / "halves.mkv", rows, Kind("mkv", "matroska", "libx264", {"crf": "1"}))
    engine = StandInEngine(lambda number: [(116.0, 18.0), (16.0, 18.0)])
    analysis = scan(path, Settings(None), engine)
    for number, frame in enumerate(analysis.frames):
        levels = {face.box[0]: face.logits["resnet50"] * 100 for face in frame.faces}
        assert levels[16.0] == pytest.approx(20 + 10 * number, abs=4)
        assert levels[116.0] == pytest.approx(140 + 10 * number, abs=4)


def test_a_face_in_some_frames_only(forty: Path) -> None:
    engine = StandInEngine(lambda number: [(30.0, 20.0)] if 10 <= number < 20 else [])
    analysis = scan(forty, Settings(None), engine)
    assert [len(frame.faces) for frame in analysis.frames] == [0] * 10 + [1] * 10 + [0] * 20
    (track,) = analysis.tracks
    assert (track.first, track.last, track.frames) == (0.4, pytest.approx(0.76), 10)
    assert sum(engine.brightness.batches) == 10


def test_without_faces_no_network_is_asked(forty: Path) -> None:
    engine = StandInEngine(lambda number: [])
    reports: list[Progress] = []
    analysis = scan(forty, Settings(20), engine, on_progress=reports.append)
    assert engine.brightness.batches == []
    assert analysis.finding.states == ("no_face",)
    assert len(reports) > 1, "progress is reported although nothing is scored"


@pytest.mark.parametrize(
    ("asked", "looked_at"), [(1, [20]), (4, [5, 15, 25, 35]), (None, list(range(40))), (99, 40)]
)
def test_as_many_frames_as_asked(forty: Path, asked: int | None, looked_at: object) -> None:
    engine = StandInEngine()
    analysis = scan(forty, Settings(asked), engine)
    assert engine.faces.seen == (list(range(40)) if looked_at == 40 else looked_at)
    assert analysis.sampling.requested == asked
    assert analysis.sampling.analysed == len(engine.faces.seen)


@pytest.mark.parametrize("after", [0, 1, 7])
def test_stopping_ends_at_the_next_frame(forty: Path, after: int) -> None:
    engine = StandInEngine()
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > after

    with pytest.raises(Cancelled, match="nothing was kept"):
        scan(forty, Settings(None), engine, cancelled=cancelled)
    assert len(engine.faces.seen) == after


def test_a_stopped_analysis_lets_the_file_go(forty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    close = SandboxedClip.close
    monkeypatch.setattr(SandboxedClip, "close", lambda self: (closed.append(True), close(self))[1])
    with pytest.raises(Cancelled):
        scan(forty, Settings(4), StandInEngine(), cancelled=lambda: True)
    assert closed


def test_an_error_in_a_progress_report_is_not_swallowed(forty: Path) -> None:
    def report(_: Progress) -> None:
        raise RuntimeError("the page is gone")

    with pytest.raises(RuntimeError, match="page is gone"):
        scan(forty, Settings(8), StandInEngine(), on_progress=report)


def test_evidence_of_a_long_scan_is_kept_evenly(
    forty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "MOST_FRAMES", 10)
    pictures = PictureFolder(tmp_path)
    scan(forty, Settings(None), StandInEngine(), pictures=pictures)
    kept = [index for index in range(40) if pictures.frame(index) is not None]
    assert kept == list(range(0, 40, 4))
    assert all(pictures.has_face(index, 1) for index in kept)


def test_the_name_is_the_persons_and_the_limits_count(forty: Path) -> None:
    named = scan(forty, Settings(4), StandInEngine(), name="<b>their</b> clip.mp4")
    assert named.clip.name == "<b>their</b> clip.mp4"
    engine = StandInEngine()
    with pytest.raises(ClipError, match="more than 9 frames"):
        scan(forty, Settings(4), engine, limits=Limits(frames=9))
    assert engine.faces.seen == []


def test_a_damaged_clip_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "whole.mp4", 40, muxer={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    analysis = scan(path, Settings(None), StandInEngine())
    assert analysis.clip.damaged > 5
    assert any("packets could not be read" in reason for reason in analysis.finding.reasons)


def test_a_clip_whose_chosen_frames_are_all_lost_is_refused(
    forty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """“No face found” would say that somebody looked."""

    monkeypatch.setattr(SandboxedClip, "sample", lambda self, count: iter(()))
    with pytest.raises(ClipError, match=r"^None of the chosen frames of “forty.mp4”"):
        scan(forty, Settings(4), StandInEngine())


def test_zero_frames_are_refused(forty: Path) -> None:
    with pytest.raises(ClipError, match="at least one frame"):
        scan(forty, Settings(0), StandInEngine())


# ---------------------------------------------------------------- the engine


@pytest.mark.parametrize("name", ["", "retina", "blazeface"])
def test_an_unknown_face_detector_is_refused(name: str, forty: Path) -> None:
    with pytest.raises(ModelError, match=f"choose one of: {', '.join(DETECTORS)}"):
        Engine().face_detector(name)


def test_every_detector_of_the_list_is_known() -> None:
    engine = Engine()
    assert [engine.face_detector(name).name for name in DETECTORS[:2]] == [
        "blazeface-full",
        "blazeface-short",
    ]


def test_models_are_loaded_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    started = threading.Barrier(4)

    def slowly(name: str) -> object:
        loaded.append(name)
        threading.Event().wait(0.05)
        return object()

    monkeypatch.setattr(engine_module, "load_scorer", slowly)
    monkeypatch.setattr(engine_module, "_load_detector", slowly)
    engine = Engine()

    def use(_: int) -> tuple[object, object]:
        started.wait()
        return engine.scorer("torch-cpu"), engine.face_detector("blazeface-full")

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(use, range(4)))
    assert len(found) == 1
    assert sorted(loaded) == ["blazeface-full", "torch-cpu"]


def test_warming_up_loads_what_the_settings_need(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(engine_module, "load_scorer", loaded.append)
    monkeypatch.setattr(engine_module, "_load_detector", loaded.append)
    Engine().warm_up(Settings(8, "blazeface-short", "torch-cpu"))
    assert sorted(loaded) == ["blazeface-short", "torch-cpu"]


def test_two_analyses_at_once_do_not_mix(forty: Path, tmp_path: Path) -> None:
    left = StandInEngine(lambda number: [(5.0, 20.0)])
    right = StandInEngine(lambda number: [(60.0, 30.0), (0.0, 0.0)])
    alone = [scan(forty, Settings(8), engine) for engine in (left, right)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda e: scan(forty, Settings(8), e), (left, right)))
    for one, other in zip(alone, together, strict=True):
        assert one.frames == other.frames
        assert one.tracks == other.tracks


def test_probabilities_are_the_bands_scale() -> None:
    limits = read_ensemble().bands
    scores = [probability(x) for x in (limits.inconclusive, limits.some, limits.strong)]
    assert scores == sorted(scores)
    assert all(0 < score < 1 and math.isfinite(score) for score in scores)
