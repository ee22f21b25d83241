"""Verifying a report: it agrees on the same machine, and every alteration is named."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.analysis.verify import OTHER_BACKEND, SAME_BACKEND, read_report, verify
from detector.commands.cli import main
from detector.errors import DetectorError, ModelError, ReportError
from detector.files import MODELS
from detector.models import load
from detector.models.spec import read_ensemble
from detector.result import Analysis
from detector.settings import Settings
from tests.helpers.processes import ROOT

SAMPLES = ROOT / "assets" / "samples"
CLIP = SAMPLES / "grid_two_faces_lbbc2a_lbax4n.mp4"


@pytest.fixture(scope="module")
def report(engine: Engine) -> Analysis:
    return scan(CLIP, Settings(frames=4), engine)


def edited(report: Analysis, change: Callable[[Any], None]) -> Analysis:
    """The report after its JSON was edited by hand."""
    data = json.loads(report.to_json())
    change(data)
    return Analysis.from_json(json.dumps(data))


def _renamed(data: Any, old: str, new: str) -> None:
    """Another network's name wherever this one's stands."""
    for model in data["models"]:
        model["name"] = new if model["name"] == old else model["name"]
    for frame in data["frames"]:
        for face in frame["faces"]:
            face["logits"][new] = face["logits"].pop(old)


def test_report_agrees_on_the_same_machine(report: Analysis, engine: Engine) -> None:
    seen = []
    result = verify(report, CLIP, engine, seen.append)
    assert result.agrees
    assert result.differences == ()
    assert result.scores == 8
    assert result.largest is not None
    assert result.largest <= SAME_BACKEND == result.tolerance
    assert result.notes == ()
    assert seen[-1].done == 4


def test_report_agrees_whatever_the_clip_is_called(
    report: Analysis, engine: Engine, tmp_path: Path
) -> None:
    copy = tmp_path / "another name.mp4"
    shutil.copyfile(CLIP, copy)
    assert verify(report, copy, engine).agrees


def test_report_without_faces_agrees(engine: Engine) -> None:
    clip = SAMPLES / "noface_intel_cars.mp4"
    result = verify(scan(clip, Settings(frames=3), engine), clip, engine)
    assert result.agrees
    assert (result.scores, result.largest) == (0, None)


def face(data: Any, frame: int = 2, place: int = 1) -> Any:
    return data["frames"][frame]["faces"][place]


ALTERATIONS: dict[str, tuple[Callable[[Any], None], str]] = {
    "score": (
        lambda data: face(data).update(score=0.99),
        r"Frame 46 at 1\.84 s, face 2: score is 0\.9900 in the report, but 0\.\d+ here\.",
    ),
    "score by little more than allowed": (
        lambda data: face(data).update(score=face(data)["score"] + 0.0015),
        r"Frame 46 at 1\.84 s, face 2: score is",
    ),
    "logit of a network": (
        lambda data: face(data)["logits"].update(xception=3.0),
        "face 2: logits of Xception is 3.0000 in the report, but -",
    ),
    "box": (lambda data: face(data).update(box=[1, 2, 30, 40]), "face 2: box is 1.0000"),
    "quality": (
        lambda data: face(data)["quality"].update(usable=False),
        "face 2: quality.usable is False",
    ),
    "time of a frame": (lambda data: data["frames"][1].update(time=0.5), "time is 0.5000"),
    "frame left out": (
        lambda data: data["frames"].pop(),
        "The clip: the number of frames analysed is 3 in the report, but 4 here.",
    ),
    "face left out": (
        lambda data: data["frames"][0]["faces"].pop(),
        "the number of faces is 1 in the report, but 2 here.",
    ),
    "score of a track": (
        lambda data: data["tracks"][0].update(score=0.1),
        "Face 1 as a whole: score is 0.1000",
    ),
    "band": (
        lambda data: data["finding"].update(band="strong"),
        "The finding: band is “strong” in the report, but “",
    ),
    "words": (
        lambda data: data["finding"]["reasons"].__setitem__(0, "All is well."),
        "The finding: reasons is “All is well.” in the report",
    ),
    "limits of the bands": (
        lambda data: data["bands"].update(strong=9.0),
        "The bands' limits: strong is 9.0000",
    ),
    "what is said of the clip": (
        lambda data: data["clip"].update(width=1920),
        "The clip: width is 1920 in the report, but 720 here.",
    ),
    "weights": (
        lambda data: data["models"][1].update(sha256="0" * 64),
        f"The network Xception: the SHA-256 of its weights is {'0' * 64} in the report",
    ),
    "share of a network": (
        lambda data: data["models"][0].update(weight=0.5),
        "The network ResNet50: weight is 0.5 in the report",
    ),
    "network that is not here": (
        lambda data: _renamed(data, "resnet50", "efficientnet"),
        "The network efficientnet: its presence is one of the networks in the report",
    ),
    "hash of the clip": (
        lambda data: data["clip"].update(sha256="f" * 64),
        f"The clip: its SHA-256 is {'f' * 64} in the report",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_an_altered_report_is_found_out(
    report: Analysis,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], None],
    sentence: str,
) -> None:
    # One scan serves them all: that a second scan gives the same is tested above.
    monkeypatch.setattr("detector.analysis.verify.scan", lambda *_, **__: report)
    result = verify(edited(report, change), CLIP, engine)
    assert not result.agrees
    first = result.differences[0].sentence
    assert re.match(sentence, first) or sentence in first
    assert first.endswith("here.")


def test_differences_within_the_tolerance_pass(report: Analysis, engine: Engine) -> None:
    def little(data: Any) -> None:
        face(data)["score"] += 0.0005

    assert verify(edited(report, little), CLIP, engine).agrees


def test_another_clip_is_found_out_without_a_scan(
    report: Analysis, tmp_path: Path, engine: Engine
) -> None:
    altered = tmp_path / CLIP.name
    data = bytearray(CLIP.read_bytes())
    data[-100] ^= 1
    altered.write_bytes(data)
    seen = []
    for clip in (altered, SAMPLES / "grid_bbaf2n.mp4"):
        result = verify(report, clip, engine, seen.append)
        assert not result.agrees
        assert result.differences[0].sentence.startswith("The clip: its SHA-256 is ")
    assert seen == []


def test_altered_weights_on_this_machine_are_refused(
    report: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in MODELS.glob("*.*"):
        shutil.copyfile(path, tmp_path / path.name)
    weights = tmp_path / "xception.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    monkeypatch.setattr(load, "read_ensemble", lambda: read_ensemble(tmp_path / "ensemble.json"))
    with pytest.raises(ModelError, match=r"xception\.safetensors is not the file it should be"):
        verify(report, CLIP, Engine())


def test_another_backend_is_compared_more_widely_and_said(report: Analysis, engine: Engine) -> None:
    def elsewhere(data: Any) -> None:
        for model in data["models"]:
            model.update(backend="onnx", precision="bf16")
        face(data)["score"] += 0.01

    result = verify(edited(report, elsewhere), CLIP, engine)
    assert result.agrees
    assert result.tolerance == OTHER_BACKEND
    assert result.notes[0].startswith("The report was made with onnx (bf16), this scan with ")


def test_other_versions_and_processors_are_said(report: Analysis, engine: Engine) -> None:
    other = dataclasses.replace(
        report,
        software="9.9.9",
        models=tuple(dataclasses.replace(model, device="A CPU") for model in report.models),
        finding=dataclasses.replace(report.finding, reasons=("In other words.",)),
    )
    result = verify(other, CLIP, engine)
    assert result.agrees
    assert "Veriframe 9.9.9" in result.notes[0]
    assert result.notes[1] == "The report was made on another processor: A CPU."


REFUSED: dict[str, tuple[Callable[[Any], None], str]] = {
    "no such face detector": (
        lambda data: data["sampling"].update(face_detector="oracle"), "face detector “oracle”",
    ),
    "no frames": (lambda data: data["sampling"].update(requested=0), "asks for no frames"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), REFUSED.values(), ids=REFUSED)
def test_settings_that_cannot_be_are_refused(
    report: Analysis, engine: Engine, change: Callable[[Any], None], sentence: str
) -> None:
    with pytest.raises(ReportError, match=sentence):
        verify(edited(report, change), CLIP, engine)


def test_missing_files_are_named(tmp_path: Path, report: Analysis) -> None:
    with pytest.raises(ReportError, match=r"report “.*” cannot be opened"):
        read_report(tmp_path / "none.json")
    with pytest.raises(ReportError, match=r"clip “.*” cannot be opened"):
        verify(report, tmp_path / "none.mp4")
    (tmp_path / "text.json").write_text("Dear reader")
    with pytest.raises(DetectorError, match="not a Veriframe result"):
        read_report(tmp_path / "text.json")


def test_command(tmp_path: Path, report: Analysis, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text(report.to_json())
    assert main(["verify", str(path), str(CLIP)]) == 0
    assert (
        "8 scores were computed again and are the same to within 0.001" in capsys.readouterr().out
    )

    def lower(data: Any) -> None:
        for frame in data["frames"]:
            for found in frame["faces"]:
                found["score"] = 0.001

    path.write_text(edited(report, lower).to_json())
    assert main(["verify", str(path), str(CLIP)]) == 1
    out = capsys.readouterr().out
    assert "does NOT agree with the clip. Frame 9 at 0.36 s, face 1: score is 0.0010" in out
    assert "And 3 more differences." in out
    path.write_text(path.read_text()[:-50])
    assert main(["verify", str(path), str(CLIP)]) == 2
    assert capsys.readouterr().err.startswith("veriframe: This is not a Veriframe result")
