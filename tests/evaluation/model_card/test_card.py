"""What is there is read, what is not is said in one sentence."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ModelError
from detector.evaluation.model_card import text as model_card_text
from detector.evaluation.model_card.card import ModelCard, gather, to_json
from detector.evaluation.model_card.tables import (
    band_rows,
    failure_rows,
    group_rows,
    int8_sentence,
    metric_rows,
    summary,
    to_markdown,
)
from detector.evaluation.result import Estimate, Group, write
from detector.files import MODELS
from detector.models.spec import read_ensemble
from tests.helpers.measured import abstention, evaluation, failures, metrics, robustness, run


def int8(**changes: Any) -> dict[str, Any]:
    """As `quantize` writes it; of the installed weights."""
    found = {
        "software": {"veriframe": "0.1.0", "openvino": "2026.1"},
        "weights": {network.name: network.sha256 for network in read_ensemble().networks},
        "models": {"xception": "ab" * 32},
        "kept_in_float": {"xception": 5},
        "restored": {"xception": False},
        "crops": 320,
        "fingerprint": "cd" * 32,
        "samples": [
            {"name": "a.mp4", "band": "little", "band_int8": "little", "mean": 0.1, "most": 0.2},
            {"name": "b.mp4", "band": "little", "band_int8": "some", "mean": 0.3, "most": 0.9},
            {"name": "c.mp4", "band": None, "band_int8": None, "mean": None, "most": None},
        ],
        "data": "press, test",
        "checked": 400,
        "networks": {"xception": {"mean": 0.2, "most": 1.5, "auc": 0.98, "auc_int8": 0.979}},
    }
    return found | changes


def fill(folder: Path) -> Path:
    """All files of a card."""
    write(evaluation(), folder / "evaluation.json")
    write(robustness(), folder / "robustness.json")
    write(abstention(), folder / "abstention.json")
    write(failures(), folder / "failures.json")
    (folder / "quantization.json").write_text(json.dumps(int8()))
    return folder


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return gather(fill(tmp_path))


def test_everything_is_read(card: ModelCard) -> None:
    assert card.missing == ()
    assert card.evaluation == evaluation()
    assert card.robustness == robustness()
    assert card.abstention == abstention()
    assert card.failures == failures()
    assert card.int8 is not None
    assert card.calibration is not None
    assert card.groups is None


def test_the_networks_describe_themselves(card: ModelCard) -> None:
    installed = read_ensemble().networks
    assert [one.sha256 for one in card.networks] == [network.sha256 for network in installed]
    assert all("DFDC" in one.trained_on for one in card.networks)
    assert all(one.recipe and one.head and one.date and one.initial for one in card.networks)


def test_nothing_measured_is_one_sentence_for_each_part(tmp_path: Path) -> None:
    found = gather(tmp_path)
    assert (found.evaluation, found.robustness, found.int8, found.failures) == (None,) * 4
    for name in ("evaluation", "robustness", "abstention", "quantization", "failures"):
        said = [one for one in found.missing if one.startswith(f"{name}.json is not there")]
        assert len(said) == 1
        assert "python -m detector " in said[0]
    assert summary(found) == ()
    assert "## Intended use" in to_markdown(found)


def other_weights(value: Any) -> Any:
    models = (dataclasses.replace(value.run.models[0], sha256="0" * 64), *value.run.models[1:])
    return dataclasses.replace(value, run=dataclasses.replace(value.run, models=models))


def other_bands(value: Any) -> Any:
    bands = dataclasses.replace(value.run.bands, some=value.run.bands.some + 0.5)
    return dataclasses.replace(value, run=dataclasses.replace(value.run, bands=bands))


@pytest.mark.parametrize(
    ("change", "said"),
    [(other_weights, "is of other weights than those installed"),
     (other_bands, "is of another calibration than the present one")],
    ids=["weights", "calibration"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("name", "made"),
    [("evaluation", evaluation), ("robustness", robustness), ("abstention", abstention),
     ("failures", failures)],
    ids=["evaluation", "robustness", "abstention", "failures"],
)  # fmt: skip
def test_what_is_stale_is_left_out(
    name: str, made: Any, change: Any, said: str, tmp_path: Path
) -> None:
    write(change(made()), fill(tmp_path) / f"{name}.json")
    found = gather(tmp_path)
    assert getattr(found, name) is None
    assert len(found.missing) == 1
    assert found.missing[0].startswith(f"{name}.json {said}")


def test_int8_models_of_other_weights_are_left_out(tmp_path: Path) -> None:
    weights = dict.fromkeys(int8()["weights"], "0" * 64)
    (fill(tmp_path) / "quantization.json").write_text(json.dumps(int8(weights=weights)))
    found = gather(tmp_path)
    assert found.int8 is None
    assert "quantization.json is of other weights" in found.missing[0]


@pytest.mark.parametrize(
    "text", ["", "{", '{"version": "1.0"}', "[]"], ids=["empty", "cut", "without-fields", "list"]
)
@pytest.mark.parametrize("name", ["evaluation", "quantization", "failures"])
def test_damaged_files_are_said(name: str, text: str, tmp_path: Path) -> None:
    (fill(tmp_path) / f"{name}.json").write_text(text)
    found = gather(tmp_path)
    assert [one.split(",")[0] for one in found.missing] == [f"{name}.json is damaged"]


def test_files_of_a_newer_version_are_said(tmp_path: Path) -> None:
    write(evaluation(version="2.0"), fill(tmp_path) / "evaluation.json")
    assert "update Veriframe" in gather(tmp_path).missing[0]


def test_weights_that_were_calibrated_before_they_changed(tmp_path: Path) -> None:
    for path in MODELS.glob("*.*"):
        if path.is_file():
            shutil.copyfile(path, tmp_path / path.name)
    stored = json.loads((tmp_path / "calibration.json").read_text())
    stored["run"]["models"][0]["sha256"] = "0" * 64
    (tmp_path / "calibration.json").write_text(json.dumps(stored))
    found = gather(fill(tmp_path / "card"), tmp_path)
    assert not found.calibrated
    assert found.calibration is None
    assert "fitted on other weights" in found.missing[0]


def test_without_weights_there_is_no_card(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        gather(tmp_path, tmp_path)


def test_a_group_labelled_evaluation_is_shown(tmp_path: Path) -> None:
    groups = evaluation(by_set=(Group("skin tone 1", metrics()), Group("skin tone 6", metrics())))
    write(groups, fill(tmp_path) / "groups.json")
    found = gather(tmp_path)
    assert found.groups == groups
    text = to_markdown(found)
    assert "| skin tone 6 | 200 | 100 | 0.900 (0.880 to 0.920) |" in text
    assert model_card_text.NO_GROUPS not in text


def test_the_summary_is_made_of_the_numbers(card: ModelCard) -> None:
    said = "\n".join(summary(card))
    assert "300 clips of press clips (split test): 200 unaltered and 100 manipulated" in said
    assert "Of 100 unaltered clips, about 5 came out as “some evidence” or more, none as" in said
    assert "0.0% (0.0 to 1.8)" in said  # not “0 to 0” of 200 clips
    assert "Of 100 manipulated clips, about 80 came out" in said
    assert "higher in 90.0% of pairs" in said
    assert "lowest, 0.600, after “H.264, CRF 40”" in said
    assert "judges about 70 in 100 clips, and is wrong on about 10 in 100" in said
    assert "Of 72 variants of the shipped samples that it judged, 2 came out" in said
    assert "other clips of the same data set" not in said


def test_the_summary_says_where_training_and_test_share_a_data_set(tmp_path: Path) -> None:
    write(evaluation(run=run(name="dfdc")), fill(tmp_path) / "evaluation.json")
    assert "other clips of the same data set, dfdc" in "\n".join(summary(gather(tmp_path)))


def test_one_class_only_gives_dashes_and_no_sentence() -> None:
    none = Estimate(None, None, None)
    rates = dict.fromkeys(("inconclusive", "some", "strong"), none)
    clip = dataclasses.replace(metrics(), auc=none, false_positives=rates, real=0)
    rows = metric_rows(evaluation(clip=clip))
    assert rows[0]["Ensemble, clip level"] == "–"
    assert rows[-1]["Ensemble, clip level"] == "–"
    assert group_rows([Group("x", clip)], "Set")[0]["AUC"] == "–"


def test_every_number_says_its_level(card: ModelCard) -> None:
    for row in metric_rows(card.evaluation):  # type: ignore[arg-type]
        assert all("level" in name for name in row if name)
    tables = [line for line in to_markdown(card).splitlines() if line.startswith("## ")]
    for title in ("By data set", "By method", "Bands", "After re-encoding", "Known failures"):
        assert any(line.startswith(f"## {title}") and "clip level" in line for line in tables)


def test_bands_with_what_was_fitted_and_measured(card: ModelCard) -> None:
    some = band_rows(card)[1]
    fit = next(fit for fit in card.calibration.limits if fit.band == "some")  # type: ignore[union-attr]
    assert some["Fitted on unaltered clips"] == f"{fit.above} of {fit.real}"
    assert some["Unaltered, on the test"] == "5.0% (3.0 to 7.0)"
    assert some["From logit"] == f"{read_ensemble().bands.some:+.2f}"


def test_failures_and_int8_in_words(card: ModelCard) -> None:
    first, second = failure_rows(card)
    assert (first["In truth"], first["Came out as"]) == ("unaltered", "some evidence")
    assert second["In truth"] == "blended into itself"
    assert "OpenVINO" in int8_sentence(card)
    assert "Of 2 judged samples, 1 changed the band." in int8_sentence(card)
    assert "400 labelled crops of press, test" in int8_sentence(card)


def test_downloads_hold_everything(card: ModelCard) -> None:
    stored = json.loads(to_json(card))
    assert stored["evaluation"]["clip"]["auc"]["value"] == 0.9
    assert stored["networks"][0]["sha256"] == read_ensemble().networks[0].sha256
    assert stored["misuse"] == list(model_card_text.MISUSE)
    text = to_markdown(card)
    assert text.startswith("# Model card: Veriframe, ResNet50 v0, Xception v0")
    assert "swap \\| new" in text
    for network in read_ensemble().networks:
        assert network.sha256 in text


@pytest.mark.parametrize("verdict", ["fake", "fakes", "deepfake", "real", "genuine", "proven"])
def test_no_text_holds_a_verdict(verdict: str, card: ModelCard) -> None:
    text = to_markdown(card).replace("Deepfake Detection Challenge", "")
    text = text.replace("batch 128 real", "")  # of the recipe in the weights' file
    assert not re.search(rf"\b{verdict}\b", text, re.IGNORECASE)


def test_the_shipped_files_are_of_the_shipped_weights() -> None:
    found = gather()
    assert found.evaluation is not None
    assert found.calibration is not None
    # A part may wait to be measured again, but never with numbers of other weights.
    assert not [one for one in found.missing if "other weights" in one or "damaged" in one]
