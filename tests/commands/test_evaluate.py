"""`python -m detector evaluate` and `calibrate`, from a tiny labelled folder to the files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from detector.analysis import engine as engine_module
from detector.commands.cli import main
from detector.evaluation import calibration as calibrating
from detector.evaluation.result import Abstention, Calibration, Evaluation, Robustness, read
from detector.files import ASSETS, MODELS
from detector.models.spec import read_ensemble
from tests.helpers.labelled_faces import write_list
from tests.helpers.stand_ins import StandInEngine


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandInEngine:
    """The commands use models that answer at once."""
    engine = StandInEngine()
    monkeypatch.setattr(engine_module, "Engine", lambda: engine)
    return engine


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_the_shipped_samples_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real networks on real clips: an unaltered one, a blended one, one damaged, one copy."""
    data = tmp_path / "data"
    for name, target in (
        ("demo_original_hopper", "real/hopper"),
        ("demo_selfblend_hopper", "fake/hopper_blend"),
        ("demo_original_hopper", "real/later_copy"),
    ):
        (data / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ASSETS / "samples" / f"{name}.mp4", data / f"{target}.mp4")
    (data / "real" / "damaged.mp4").write_bytes(b"damaged")
    out = tmp_path / "evaluation.json"
    code = main(
        [
            "evaluate",
            str(data),
            "--frames",
            "4",
            "--resamples",
            "50",
            "--out",
            str(out),
            "--name",
            "samples",
        ]
    )
    printed = capsys.readouterr().out
    assert code == 0
    result = read(Evaluation, out)
    assert result.clip.auc.value == 1.0
    assert result.clip.sources == 1  # the blend's name begins with that of its original
    assert (result.run.data.name, result.run.data.unreadable) == ("samples", 1)
    assert result.run.frames == 4
    assert "1 file was left out: copies of others in the same split." in result.notes
    for words in ("frame level", "clip level", "AUC", "not decodable"):
        assert words in printed
    assert str(tmp_path) not in out.read_text()


def test_robustness_and_abstention_are_written(
    tmp_path: Path, stand_in: StandInEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_list(tmp_path / "data", {"test": (2, 2), "val": (1, 1)})
    table, effect = tmp_path / "robustness.json", tmp_path / "abstention.json"
    arguments = [
        "evaluate",
        str(data),
        "--resamples",
        "20",
        "--robustness",
        str(table),
        "--abstention",
        str(effect),
        "--robustness-most",
        "1",
        "--cache",
        str(tmp_path / "kept"),
    ]
    assert main(arguments) == 0
    found = read(Robustness, table)
    assert len(found.variants) == 14
    assert {part.metrics.real for part in found.variants} == {1}
    assert read(Abstention, effect).variants[0].clips == 28
    assert "H.264, CRF 40" in capsys.readouterr().out
    scored = sum(stand_in.brightness.batches)
    before = table.read_bytes()
    assert main(arguments) == 0  # every crop that comes out the same is found again
    assert sum(stand_in.brightness.batches) - scored < scored / 2
    assert read(Robustness, table).variants[0] == found.variants[0]
    assert len(table.read_bytes()) == pytest.approx(len(before), rel=0.1)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for path in MODELS.glob("*.json"):
        shutil.copy(path, folder)
    for path in MODELS.glob("*.safetensors"):
        (folder / path.name).symlink_to(path)
    installed = calibrating.install
    monkeypatch.setattr(calibrating, "install", lambda result: installed(result, folder))
    return folder


def test_a_calibration_is_installed_or_only_written(
    tmp_path: Path, stand_in: StandInEngine, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_list(tmp_path / "data", {"val": (6, 6), "test": (3, 3)})
    shipped = (models / "calibration.json").read_bytes()
    out = tmp_path / "mine.json"
    arguments = ["calibrate", str(data), "--resamples", "20"]
    assert main([*arguments, "--out", str(out)]) == 0
    assert (models / "calibration.json").read_bytes() == shipped
    found = read(Calibration, out)
    assert found.run.data.split == "val"
    assert found.reported is not None
    assert (found.reported.split, found.reported.clips) == ("test", 6)
    assert main(arguments) == 0
    assert read(Calibration, models / "calibration.json") == found
    ensemble = read_ensemble(models / "ensemble.json")
    assert ensemble.bands.note == found.note
    assert "299 are needed" in found.note  # six unaltered clips are no calibration to rely on
    printed = capsys.readouterr().out
    assert "temperature" in printed
    assert "unaltered at strong or above" in printed


def test_without_a_test_split_nothing_is_reported(tmp_path: Path, stand_in: StandInEngine) -> None:
    data = write_list(tmp_path / "data", {"val": (3, 3)})
    out = tmp_path / "mine.json"
    assert main(["calibrate", str(data), "--resamples", "20", "--out", str(out)]) == 0
    assert read(Calibration, out).reported is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "{gone}"], "is no folder and no table"),
        (["evaluate", "{data}", "--out", "{gone}/x.json"], "does not exist; make it first"),
        (["evaluate", "{data}", "--abstention", "{out}"], "add --robustness"),
        (["evaluate", "{data}", "--split", "train"], "nothing in the split 'train'"),
        (["calibrate", "{data}", "--split", "test"], "only one of them in each set"),
    ],
    ids=["no data", "no folder", "abstention alone", "empty split", "one class"],
)
def test_one_sentence_for_what_cannot_be_done(
    tmp_path: Path,
    stand_in: StandInEngine,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    data = write_list(tmp_path / "data", {"test": (2, 0), "val": (1, 1)})
    places = {"data": data, "gone": tmp_path / "gone", "out": tmp_path / "out.json"}
    assert main([part.format(**places) for part in arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("veriframe: ")
    assert words in said
    assert not (tmp_path / "out.json").exists()


def test_one_class_is_evaluated(tmp_path: Path, stand_in: StandInEngine) -> None:
    data = write_list(tmp_path / "data", {"test": (3, 0)})
    out = tmp_path / "evaluation.json"
    assert main(["evaluate", str(data), "--out", str(out), "--resamples", "20"]) == 0
    result = json.loads(out.read_text())
    assert result["clip"]["auc"]["value"] is None
    assert result["clip"]["false_positives"]["some"]["value"] is not None
    assert any("no AUC" in note for note in result["notes"])
