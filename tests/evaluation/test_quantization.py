"""Int8 models of small networks, made, checked, installed or refused."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from detector.commands.cli import main
from detector.datasets.labelled import open_labelled
from detector.errors import ModelError
from detector.evaluation import agreement as agreement_module
from detector.evaluation import quantization
from detector.evaluation.agreement import (
    NetworkAgreement,
    Quantization,
    SampleAgreement,
    refuse_if_worse,
)
from detector.evaluation.quantization import build, calibration_crops, quantize
from detector.files import ASSETS, sha256_of
from detector.models import openvino_scorer
from detector.models.backends import has_int8
from detector.models.face_network import FaceNetwork
from detector.models.load import load_scorer
from detector.models.networks.registry import NETWORKS
from detector.models.openvino_scorer import OpenVinoScorer
from detector.models.spec import EnsembleSpec, read_ensemble

SIDE = 64


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks are no business of the person's cache."""
    monkeypatch.setenv("VERIFRAME_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both networks with random weights and a small input, installed in a folder of their own."""
    folder = tmp_path_factory.mktemp("models")
    entry = json.loads((ASSETS / "models" / "ensemble.json").read_text())
    entry["calibration"] = None
    for name in entry["networks"]:
        torch.manual_seed(5)
        network = FaceNetwork(name).eval()
        meta = {
            "arch": name,
            "version": "t1",
            "input_size": str(SIDE),
            "crop_factor": "1.15",
            "mean": "0.5,0.5,0.5",
            "std": "0.5,0.5,0.5",
        }
        save_file(network.state_dict(), folder / f"{name}.safetensors", meta)
        entry["networks"][name] = {
            "file": f"{name}.safetensors",
            "weight": 0.5,
            "temperature": 1,
            "sha256": sha256_of(folder / f"{name}.safetensors"),
        }
    (folder / "ensemble.json").write_text(json.dumps(entry))
    return folder


@pytest.fixture(scope="module")
def ensemble(models: Path) -> EnsembleSpec:
    return read_ensemble(models / "ensemble.json")


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [ASSETS / "samples" / "grid_brbk7n.mp4", ASSETS / "samples" / "noface_intel_cars.mp4"]
    for module in (agreement_module, quantization):
        monkeypatch.setattr(module, "sample_files", lambda: files)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six face crops, three of each label, noise all of them."""
    folder = tmp_path_factory.mktemp("crops")
    rows = ["file,set,split,manipulated,crop_factor,group"]
    for number in range(6):
        name = f"{number}.png"
        noise = np.random.default_rng(number).integers(0, 255, (80, 80, 3), np.uint8)
        cv2.imwrite(str(folder / name), noise)
        rows.append(f"{name},own,test,{number % 2},1.15,g{number}")
    (folder / "index.csv").write_text("\n".join(rows))
    return folder / "index.csv"


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (count, SIDE, SIDE, 3), np.uint8)


@pytest.mark.parametrize("name", ["resnet50", "xception"])
def test_all_but_the_last_layers_are_int8_and_agree(ensemble: EnsembleSpec, name: str) -> None:
    import openvino

    model, restored = quantize(ensemble.network(name), noise(16))
    assert not restored
    layers = [
        op
        for op in model.get_ordered_ops()
        if op.get_type_name() in ("Convolution", "GroupConvolution", "MatMul")
    ]

    def eight_bit(op: Any) -> bool:
        """Are its weights stored as int8?"""
        node = op.input_value(1).get_node()
        while node.get_type_name() != "Constant":
            node = node.input_value(0).get_node()
        return bool(node.get_element_type() == openvino.Type.i8)

    kept = NETWORKS[name].kept_in_float
    assert all(eight_bit(op) for op in layers[:-kept])
    assert not any(eight_bit(op) for op in layers[-kept:])


def test_accuracy_control_where_plain_is_not_close_enough(
    ensemble: EnsembleSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nncf
    import openvino

    asked: dict[str, Any] = {}

    def control(model: Any, data: Any, validation: Any, closeness: Any, **options: Any) -> Any:
        compiled = openvino.Core().compile_model(model, "CPU")
        asked["closeness"] = closeness(compiled, validation.get_inference_data())
        asked.update(options)
        return model

    monkeypatch.setattr(nncf, "quantize_with_accuracy_control", control)
    _, restored = quantize(ensemble.network("resnet50"), noise(8), allowed=-1.0)
    assert restored
    assert asked["max_drop"] == -1.0
    whole, each = asked["closeness"]
    assert len(each) == 2
    assert whole == pytest.approx(0, abs=1e-3), "float32 is as close to itself as can be"


def test_calibration_shows_untouched_blended_and_worn_faces(
    few_samples: None, ensemble: EnsembleSpec, labelled: Path
) -> None:
    alone = calibration_crops(ensemble, most=9)
    assert alone.shape == (9, SIDE, SIDE, 3)
    assert alone.dtype == np.uint8
    np.testing.assert_array_equal(alone, calibration_crops(ensemble, most=9))
    assert len(np.unique(alone.reshape(9, -1), axis=0)) == 9
    more = calibration_crops(ensemble, open_labelled(labelled, "test"), most=9)
    assert len(more) == 9 + 3 + 3


def test_the_command_installs_models_tied_to_their_weights(
    few_samples: None,
    models: Path,
    labelled: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for file in models.iterdir():
        os.link(file, folder / file.name)
    (folder / "ensemble.json").unlink()
    (folder / "ensemble.json").write_text((models / "ensemble.json").read_text())
    assert (
        main(["quantize", "--models", str(folder), "--crops", "9", "--check", str(labelled)]) == 0
    )
    printed = capsys.readouterr().out
    assert "ensemble: frame AUC" in printed
    assert "grid_brbk7n.mp4" in printed
    assert sorted(file.name for file in folder.iterdir()) == [
        "ensemble.json",
        "resnet50-int8.bin",
        "resnet50-int8.xml",
        "resnet50.safetensors",
        "xception-int8.bin",
        "xception-int8.xml",
        "xception.safetensors",
    ]
    ensemble = read_ensemble(folder / "ensemble.json")
    assert has_int8(ensemble)
    assert all(n.int8 is not None and n.int8.of == n.sha256 for n in ensemble.networks)
    full, quick = load_scorer("openvino-f32", ensemble), load_scorer("openvino-int8", ensemble)
    assert quick.precision == "int8"
    one, other = full.logits(noise(5)), quick.logits(noise(5))
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=0.2)
    weights = folder / "xception-int8.bin"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match=r"xception-int8\.xml or its \.bin is not the file"):
        OpenVinoScorer(ensemble, "int8")


def test_what_int8_would_spoil_is_not_installed(
    few_samples: None, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file.name: file.read_bytes() for file in models.iterdir()}
    worse = SampleAgreement("grid.mp4", "little", "some", 0.1, 0.2)
    monkeypatch.setattr(quantization, "agreement_on_samples", lambda *_: [worse])
    monkeypatch.setattr(
        quantization, "quantize", lambda spec, crops: (openvino_scorer.convert(spec, SIDE), False)
    )
    with pytest.raises(ModelError, match=r"In int8 grid.mp4 would change from little to some"):
        build(models, most=6)
    assert {file.name: file.read_bytes() for file in models.iterdir()} == before


def test_installed_models_are_compared_again(
    few_samples: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "quantization.json"
    monkeypatch.setattr(quantization, "FILE", file)
    with pytest.raises(ModelError, match="cannot be read; run `python -m detector quantize`"):
        quantization.compare_again(ASSETS / "models")
    shipped = json.loads((ASSETS / "model_card" / "quantization.json").read_text())
    file.write_text(json.dumps(shipped | {"samples": []}))
    report = quantization.compare_again(ASSETS / "models")
    assert [sample.name for sample in report.samples] == [
        "grid_brbk7n.mp4",
        "noface_intel_cars.mp4",
    ]
    assert report.samples[0].band == report.samples[0].band_int8 == "little"
    assert report.samples[1].mean is None
    assert report.networks["ensemble"].auc == shipped["networks"]["ensemble"]["auc"]
    assert report.models == shipped["models"]


@pytest.mark.parametrize(("auc_int8", "fine"), [(0.990, True), (0.986, True), (0.9849, False)])
def test_the_loss_of_auc_is_limited(auc_int8: float, fine: bool) -> None:
    report = Quantization(
        {},
        {},
        {},
        {},
        {},
        1,
        "",
        (),
        "DFDC, test",
        9,
        {"ensemble": NetworkAgreement(0.1, 0.2, 0.990, auc_int8)},
    )
    if fine:
        refuse_if_worse(report)
    else:
        with pytest.raises(ModelError, match=r"would lose 0\.0051 of its AUC"):
            refuse_if_worse(report)


def test_crops_that_are_not_there_are_one_sentence(tmp_path: Path, ensemble: EnsembleSpec) -> None:
    listed = tmp_path / "index.csv"
    listed.write_text("file,set,split,manipulated,crop_factor,group\nx.png,own,test,1,1.15,g\n")
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(ModelError, match="holds no face crops"):
        quantization.crops_of(open_labelled(listed, "test"), ensemble)


# ---------------------------------------------------------------- what ships


def test_the_shipped_int8_models_are_those_of_the_shipped_weights() -> None:
    ensemble = read_ensemble()
    assert has_int8(ensemble)
    report = json.loads(quantization.FILE.read_text())
    for network in ensemble.networks:
        assert network.int8 is not None
        assert report["weights"][network.name] == network.sha256
        assert report["models"][network.name] == network.int8.sha256
    assert (
        report["networks"]["ensemble"]["auc"] - report["networks"]["ensemble"]["auc_int8"] <= 0.005
    )
    assert len(report["samples"]) >= 12
    assert all(sample["band"] == sample["band_int8"] for sample in report["samples"])


def test_shipped_int8_and_float32_agree_on_faces() -> None:
    from tests.helpers.expected_logits import crops

    one, other = (
        load_scorer("openvino-f32").logits(crops()),
        load_scorer("openvino-int8").logits(crops()),
    )
    for name in one:
        assert np.abs(one[name] - other[name]).mean() < 0.3
    assert dataclasses.asdict(read_ensemble().networks[0])["int8"]["of"]
