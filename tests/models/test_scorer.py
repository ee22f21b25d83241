"""The same logits on OpenVINO and PyTorch, from any batch, with any cache."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.analysis.engine import Engine, describe
from detector.errors import ModelError
from detector.models import openvino_scorer as openvino_scoring
from detector.models.ensemble import probability
from detector.models.load import load_scorer
from detector.models.openvino_scorer import ChecksummedFile, OpenVinoScorer, cache_folder
from detector.models.scorer import BATCH, Scorer, combine
from detector.models.spec import EnsembleSpec, NetworkSpec, read_ensemble
from detector.models.torch_scorer import TorchScorer
from detector.result import BandThresholds
from tests.helpers.expected_logits import EXPECTED, NAMES, crops
from tests.helpers.processes import python

SAME = 1e-3


@pytest.fixture(scope="module")
def openvino_scorer(engine: Engine) -> Scorer:
    return engine.scorer("openvino-f32")


@pytest.fixture(scope="module")
def torch_scorer() -> Scorer:
    return load_scorer("torch-cpu")


@pytest.fixture(scope="module")
def four_logits(openvino_scorer: Scorer) -> dict[str, np.ndarray]:
    """Of the four fixed crops, scored together."""
    return openvino_scorer.logits(crops())


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(EXPECTED.read_text())
    shipped = {network.name: network.sha256 for network in read_ensemble().networks}
    assert stored["weights"] == shipped, (
        "The weights are new: run `python -m tests.expected_logits` and look at the difference."
    )
    return stored


# ---------------------------------------------------------------- true to the weights


def test_logits_of_fixed_crops_are_the_stored_ones(
    four_logits: dict[str, np.ndarray], torch_scorer: Scorer, expected: dict[str, Any]
) -> None:
    for logits in (four_logits, torch_scorer.logits(crops())):
        for place, name in enumerate(NAMES):
            found = {network: float(values[place]) for network, values in logits.items()}
            assert found == pytest.approx(expected["logits"][name], abs=SAME), name


def test_openvino_and_torch_agree(openvino_scorer: Scorer, torch_scorer: Scorer) -> None:
    """Also on what no network was trained on: white, noise."""
    rng = np.random.default_rng(0)
    odd = np.stack([
        np.full((304, 304, 3), 255),
        rng.integers(0, 255, (304, 304, 3)),
    ]).astype(np.uint8)  # fmt: skip
    one, other = openvino_scorer.logits(odd), torch_scorer.logits(odd)
    assert set(one) == set(other) == {"resnet50", "xception"}
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=SAME)
        assert one[name].dtype == other[name].dtype == np.float32


def test_a_logit_does_not_depend_on_its_batch(
    openvino_scorer: Scorer, four_logits: dict[str, np.ndarray]
) -> None:
    order = [3, 0, 2, 1, 3, 0, 2, 1, 0]
    assert len(order) == BATCH + 1
    for name, values in openvino_scorer.logits(crops()[order]).items():
        np.testing.assert_allclose(values, four_logits[name][order], atol=1e-4)


def test_the_same_crops_give_the_same_logits(
    openvino_scorer: Scorer, four_logits: dict[str, np.ndarray]
) -> None:
    for name, values in openvino_scorer.logits(crops()).items():
        np.testing.assert_array_equal(values, four_logits[name])


def test_crops_that_are_views_are_scored_as_they_look(openvino_scorer: Scorer) -> None:
    mirrored = crops()[:1, :, ::-1]
    assert not mirrored.flags.c_contiguous
    seen, copied = (openvino_scorer.logits(c) for c in (mirrored, mirrored.copy()))
    for name in seen:
        np.testing.assert_array_equal(seen[name], copied[name])


@pytest.mark.parametrize("which", ["openvino_scorer", "torch_scorer"])
def test_no_crops_give_no_logits(request: pytest.FixtureRequest, which: str) -> None:
    logits = request.getfixturevalue(which).logits(np.zeros((0, 304, 304, 3), np.uint8))
    assert {name: values.shape for name, values in logits.items()} == {
        "resnet50": (0,),
        "xception": (0,),
    }


def test_one_scorer_serves_many_threads(
    openvino_scorer: Scorer, four_logits: dict[str, np.ndarray]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(openvino_scorer.logits, [crop[None] for crop in crops()]))
    for place, logits in enumerate(together):
        for name, values in logits.items():
            np.testing.assert_allclose(values, four_logits[name][[place]], atol=1e-4)


# ---------------------------------------------------------------- arithmetic by hand


def ensemble_of(*parts: tuple[str, float, float]) -> EnsembleSpec:
    """An ensemble of (name, weight, temperature)."""
    networks = tuple(
        NetworkSpec(name, Path(f"{name}.safetensors"), "00", "arch", "v0", 64, (0.5, 0.5, 0.5),
                    (0.5, 0.5, 0.5), 1.15, weight, temperature)
        for name, weight, temperature in parts
    )  # fmt: skip
    return EnsembleSpec("v0", networks, BandThresholds(0, 1, 2, False, ""))


@pytest.mark.parametrize(
    ("parts", "mixed"),
    [
        ([("a", 0.5, 1.0), ("b", 0.5, 1.0)], [0.0, 2.5]),
        ([("a", 1.0, 1.0), ("b", 3.0, 1.0)], [1.0, 1.75]),  # weights need not sum to 1
        ([("a", 0.5, 2.0), ("b", 0.5, 0.5)], [1.5, 2.0]),
        ([("a", 0.0, 1.0), ("b", 1.0, 4.0)], [0.5, 0.25]),
        ([("a", 0.7, 2.0)], [-1.0, 2.0]),
    ],
    ids=["mean", "weighted", "temperatures", "one counts", "alone"],
)
def test_the_ensemble_by_hand(parts: list[tuple[str, float, float]], mixed: list[float]) -> None:
    logits = {"a": np.array([-2, 4], np.float32), "b": np.array([2, 1], np.float32)}
    result = combine(ensemble_of(*parts), logits)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, mixed, rtol=1e-6)


@pytest.mark.parametrize(
    ("logit", "score"),
    [(0, 0.5), (math.log(3), 0.75), (-math.log(9), 0.1), (1e9, 1), (-1e9, 0), (math.inf, 1)],
)
def test_probability_is_the_sigmoid(logit: float, score: float) -> None:
    assert probability(logit) == pytest.approx(score)
    assert isinstance(probability(logit), float)


def test_a_scorer_is_described_with_its_hashes(openvino_scorer: Scorer) -> None:
    models = describe(openvino_scorer)
    for model, spec in zip(models, openvino_scorer.ensemble.networks, strict=True):
        assert (model.name, model.sha256, model.version) == (spec.name, spec.sha256, spec.version)
        assert (model.backend, model.precision) == ("openvino", "f32")
        assert model.device
    assert not any(word in openvino_scorer.device for word in ("\n", "  "))


# ---------------------------------------------------------------- choosing, and what is missing


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ModelError, match="choose one of: auto, openvino-int8"):
        load_scorer("tpu")  # type: ignore[arg-type]


def test_auto_is_openvino(engine: Engine) -> None:
    assert engine.scorer("auto").backend == "openvino"


@pytest.mark.parametrize("scorer", [OpenVinoScorer, TorchScorer])
def test_altered_weights_are_never_scored_with(
    tmp_path: Path, scorer: Callable[[EnsembleSpec], Scorer]
) -> None:
    """Not even where a converted model lies in the cache already."""
    ensemble = read_ensemble()
    networks = []
    for network in ensemble.networks:
        copy = tmp_path / network.path.name
        shutil.copy(network.path, copy)
        networks.append(dataclasses.replace(network, path=copy))
    with (tmp_path / "xception.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x55")
    with pytest.raises(ModelError, match=r"xception.safetensors is not the file it should be"):
        scorer(dataclasses.replace(ensemble, networks=tuple(networks)))


# ---------------------------------------------------------------- the cache of compiled models


@pytest.fixture(scope="module")
def resnet50() -> Any:
    """ResNet50 as an OpenVINO model, converted once."""
    ensemble = read_ensemble()
    return openvino_scoring.convert(ensemble.network("resnet50"), ensemble.crop_size)


@pytest.fixture
def cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resnet50: Any
) -> tuple[EnsembleSpec, Path, list[str]]:
    """ResNet50 alone; an empty cache; and the names of what was converted, which is quick here."""
    ensemble = read_ensemble()
    spec = ensemble.network("resnet50")
    converted: list[str] = []

    def convert(spec: NetworkSpec, crop_size: int) -> Any:
        converted.append(spec.name)
        return resnet50.clone()

    monkeypatch.setattr(openvino_scoring, "convert", convert)
    folder = tmp_path / "cache"
    monkeypatch.setenv("VERIFRAME_CACHE", str(folder))
    assert cache_folder() == folder
    monkeypatch.setattr(EnsembleSpec, "crop_size", ensemble.crop_size)
    return dataclasses.replace(ensemble, networks=(spec,)), folder, converted


def test_a_compiled_model_is_kept_and_used_again(
    cache: tuple[EnsembleSpec, Path, list[str]], expected: dict[str, Any]
) -> None:
    ensemble, folder, converted = cache
    assert logit_of_abraham(ensemble) == pytest.approx(expected["logits"]["abraham"]["resnet50"],
                                                       abs=SAME)  # fmt: skip
    assert converted == ["resnet50"]
    files = sorted(path.name for path in folder.iterdir())
    assert [Path(name).suffix for name in files] == [".blob", ".sha256"]
    assert all(name.startswith("resnet50-f32-") for name in files)
    assert logit_of_abraham(ensemble) == pytest.approx(expected["logits"]["abraham"]["resnet50"],
                                                       abs=SAME)  # fmt: skip
    assert converted == ["resnet50"], "the second start reads the cache"


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "empty": lambda blob, seal: blob.write_bytes(b""),
    "cut": lambda blob, seal: blob.write_bytes(blob.read_bytes()[: -(1 << 20)]),
    "gone": lambda blob, seal: blob.unlink(),
    "one bit": lambda blob, seal: blob.write_bytes(
        blob.read_bytes()[:-9] + b"\x41" + blob.read_bytes()[-8:]
    ),
    "seal gone": lambda blob, seal: seal.unlink(),
    "seal of something else": lambda blob, seal: seal.write_text("00" * 32),
    "sealed, and of another OpenVINO": lambda blob, seal: ChecksummedFile(blob).write(
        b"<html></html>"
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_built_again(
    cache: tuple[EnsembleSpec, Path, list[str]],
    expected: dict[str, Any],
    damage: Callable[[Path, Path], object],
) -> None:
    ensemble, folder, converted = cache
    OpenVinoScorer(ensemble)
    (blob,), (seal,) = folder.glob("*.blob"), folder.glob("*.sha256")
    size = blob.stat().st_size
    damage(blob, seal)
    assert logit_of_abraham(ensemble) == pytest.approx(expected["logits"]["abraham"]["resnet50"],
                                                       abs=SAME)  # fmt: skip
    assert converted == ["resnet50"] * 2
    assert blob.stat().st_size == pytest.approx(size, rel=0.01)
    OpenVinoScorer(ensemble)
    assert converted == ["resnet50"] * 2, "what was built again is whole"


def test_a_folder_that_cannot_be_written_costs_time_only(
    cache: tuple[EnsembleSpec, Path, list[str]],
    expected: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensemble, folder, converted = cache
    folder.write_text("a file where the folder should be")
    for count in (1, 2):
        assert logit_of_abraham(ensemble) == pytest.approx(
            expected["logits"]["abraham"]["resnet50"], abs=SAME
        )
        assert len(converted) == count
    assert folder.read_text() == "a file where the folder should be"


def test_a_full_disk_leaves_no_half_written_model(
    cache: tuple[EnsembleSpec, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensemble, folder, _ = cache

    def full(path: Path, content: bytes) -> None:
        path.open("wb").write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    OpenVinoScorer(ensemble)
    assert list(folder.iterdir()) == []


def test_a_cache_from_another_machine_is_not_used(
    cache: tuple[EnsembleSpec, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensemble, folder, converted = cache
    OpenVinoScorer(ensemble)
    monkeypatch.setattr(openvino_scoring, "cpu_features", lambda: frozenset({"sse4_2"}))
    OpenVinoScorer(ensemble)
    assert converted == ["resnet50"] * 2
    assert len(list(folder.glob("*.blob"))) == 2


def test_other_weights_get_a_model_of_their_own(
    cache: tuple[EnsembleSpec, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensemble, folder, converted = cache
    OpenVinoScorer(ensemble)
    monkeypatch.setattr(openvino_scoring, "check_hash", lambda spec: None)
    newer = dataclasses.replace(ensemble.networks[0], sha256="ab" * 32)
    OpenVinoScorer(dataclasses.replace(ensemble, networks=(newer,)))
    assert converted == ["resnet50"] * 2
    assert len(list(folder.glob("*.blob"))) == 2


def logit_of_abraham(ensemble: EnsembleSpec) -> float:
    return float(OpenVinoScorer(ensemble).logits(crops()[:1])["resnet50"][0])


def test_scoring_from_the_cache_needs_no_torch(engine: Engine) -> None:
    engine.scorer()
    code = (
        "import sys, numpy as np, detector.models.load as s; "
        "s.load_scorer().logits(np.zeros((1, 304, 304, 3), np.uint8)); "
        "print('torch' in sys.modules)"
    )
    printed = python(code)
    assert printed == "False"
