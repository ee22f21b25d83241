"""detector.models.installed: which ensembles there are, and that the chosen one scores."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from detector.analysis.engine import Engine, describe
from detector.analysis.scan import scan
from detector.analysis.verify import verify
from detector.commands import cli
from detector.errors import ModelError
from detector.files import MODELS
from detector.models import installed
from detector.models.installed import VARIABLE, find_by_weights, get_model, list_models
from detector.models.load import load_scorer
from detector.models.spec import read_ensemble
from detector.settings import Settings
from tests.helpers.apptest import open_page
from tests.helpers.stand_ins import StandInEngine


def install(folder: Path, *, weight: float = 0.5, version: str = "trial") -> Path:
    """A copy of the shipped models with other shares; the weights themselves are linked."""
    folder.mkdir(parents=True)
    entry = json.loads((MODELS / "ensemble.json").read_text())
    for name, network in entry["networks"].items():
        os.link(MODELS / network["file"], folder / network["file"])
        network["weight"] = weight if name == "resnet50" else 1 - weight
        network.pop("int8", None)
    entry |= {"calibration": None, "version": version}
    (folder / "ensemble.json").write_text(json.dumps(entry))
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Models called "trial" in the person's data folder."""
    return install(tmp_path / "data" / "models" / "trial")


def names() -> list[str]:
    return [one.name for one in list_models()]


def test_without_others_there_is_the_default() -> None:
    assert names()[0] == ""
    assert list_models()[0].title == "default"
    assert get_model("").read() == get_model("default").read() == read_ensemble()


def test_folders_of_the_variable_and_of_the_person(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "more" / "v2")
    install(tmp_path / "more" / "trial", weight=0.1)
    install(tmp_path / "more" / "default")
    install(tmp_path / "more" / ".hidden")
    (tmp_path / "more" / "empty").mkdir()
    monkeypatch.setenv(
        VARIABLE, os.pathsep.join(["", str(tmp_path / "none"), str(tmp_path / "more")])
    )
    assert names() == ["", "trial", "v2"]
    # The first folder that has the name counts.
    assert get_model("trial").path.parent == tmp_path / "more" / "trial"
    assert get_model("v2").read().networks[0].weight == 0.5


def test_shipped_folders_are_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "models" / "old")
    monkeypatch.setattr(installed, "MODELS", tmp_path / "models")
    assert "old" in names()


def test_an_unknown_name_is_refused_in_one_sentence(own: Path) -> None:
    with pytest.raises(ModelError, match=r"as '\.\./x'; choose one of: default, trial"):
        get_model("../x")


def test_the_engine_keeps_models_apart(own: Path) -> None:
    loaded = []

    class Counting(StandInEngine):
        def load(self, backend: str, models: str = "") -> object:  # type: ignore[override]
            loaded.append((models, backend))
            return super().load(backend, models)

    engine = Counting()
    assert engine.queue("openvino-f32", "trial") is engine.queue("openvino-f32", "trial")
    assert engine.queue("openvino-f32") is not engine.queue("openvino-f32", "trial")
    assert engine.queue("torch-cpu", "trial") is not engine.queue("openvino-f32", "trial")
    assert loaded == [("trial", "openvino-f32"), ("", "openvino-f32"), ("trial", "torch-cpu")]


def test_another_ensemble_is_another_result_and_fingerprint(
    engine: Engine, own: Path, portraits: dict[str, Path]
) -> None:
    path = portraits["grace"]
    settings = Settings(4, backend="openvino-f32")
    other = dataclasses.replace(settings, models="trial")
    before, after = (scan(path, each, engine) for each in (settings, other))
    assert [model.weight for model in after.models] == [0.5, 0.5]
    assert not after.bands.calibrated
    face, again = before.frames[0].faces[0], after.frames[0].faces[0]
    assert again.logits == pytest.approx(face.logits, abs=1e-4)
    assert again.logit == pytest.approx(sum(face.logits.values()) / 2, abs=1e-4)
    assert engine.models_for(settings).fingerprint != engine.models_for(other).fingerprint
    # Verified with the models that the report names, not with the default.
    assert verify(after, path, engine).agrees


def test_the_ensemble_of_a_result_is_found_again(own: Path, tmp_path: Path) -> None:
    here, there = (describe(load_scorer("openvino-f32", one.read())) for one in list_models())
    assert find_by_weights(here) == ""
    assert find_by_weights(there) == "trial"
    gone = tuple(dataclasses.replace(model, sha256="0" * 64) for model in here)
    assert find_by_weights(gone) == ""
    (own / "ensemble.json").write_text("{}")
    assert find_by_weights(there) == ""  # the weights are the default's, its shares are not


@pytest.mark.parametrize("folder", [False, True], ids=["clip", "folder"])
def test_scan_refuses_models_that_are_not_there(
    folder: bool, portraits: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = portraits["grace"].parent if folder else portraits["grace"]
    assert cli.main(["scan", str(path), "--models", "v7"]) == 2
    assert "No models are installed as 'v7'; choose one of: default" in capsys.readouterr().err


def test_the_command_lists_them(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--check"]) == 0
    said = capsys.readouterr().out
    assert "default" in said
    assert "trial" in said
    assert read_ensemble().networks[0].sha256[:8] in said


def test_the_command_says_what_cannot_be_used(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "ensemble.json").write_text("{")
    assert cli.main(["models"]) == 1
    assert "Cannot be used: trial: The models in" in capsys.readouterr().out


def test_the_page_offers_a_choice_only_where_there_is_one(tmp_path: Path) -> None:
    labels = [box.label for box in open_page("check").selectbox]
    assert "Models" not in labels
    install(tmp_path / "data" / "models" / "trial")
    broken = install(tmp_path / "data" / "models" / "broken")
    (broken / "ensemble.json").write_text("{}")
    box = next(box for box in open_page("check").selectbox if box.label == "Models")
    assert [option.split(":")[0] for option in box.options] == ["Default", "trial"]
    assert box.options[1].endswith("not calibrated")
    assert box.value == ""
