"""What “auto” chooses on machines that differ, and what it does without."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from detector.analysis.engine import Engine
from detector.errors import BackendError, ModelError, OutOfMemory
from detector.models import backends, openvino_scorer
from detector.models import load as loading
from detector.models.backends import backend_named, choose, cpu_features, cpu_remark
from detector.models.load import load_scorer
from detector.models.scorer import in_batches
from detector.models.spec import EnsembleSpec, QuantizedSpec, read_ensemble
from detector.models.torch_scorer import TorchScorer
from detector.settings import BACKENDS
from tests.helpers.expected_logits import crops


def with_int8(folder: Path, *, of: str | None = None) -> EnsembleSpec:
    """The shipped ensemble, with int8 files that are there by name."""
    ensemble = read_ensemble()
    networks = []
    for network in ensemble.networks:
        path = folder / f"{network.name}-int8.xml"
        path.write_text("<net/>")
        path.with_suffix(".bin").write_bytes(b"0")
        int8 = QuantizedSpec(path, "00", of or network.sha256)
        networks.append(dataclasses.replace(network, int8=int8))
    return dataclasses.replace(ensemble, networks=tuple(networks))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(features: Iterable[str] = (), cuda: int = 0, kind: str = "x86_64") -> None:
        monkeypatch.setattr(backends, "cpu_features", lambda: frozenset(features))
        monkeypatch.setattr(backends, "cuda_devices", lambda: cuda)
        monkeypatch.setattr("platform.machine", lambda: kind)

    return make


@pytest.mark.parametrize(
    ("features", "cuda", "built", "backend"),
    [
        ({"avx2", "avx512_vnni"}, 0, True, "openvino-int8"),
        ({"avx2", "avx_vnni"}, 0, True, "openvino-int8"),
        ({"avx2", "amx_int8", "amx_bf16"}, 0, True, "openvino-int8"),
        ({"asimd", "asimddp"}, 0, True, "openvino-int8"),
        ({"avx2"}, 0, True, "openvino-f32"),
        ({"avx2", "avx512_vnni"}, 0, False, "openvino-f32"),
        ({"avx2", "amx_bf16", "amx_int8"}, 0, False, "openvino-bf16"),
        ({"avx2", "avx512_bf16"}, 0, False, "openvino-f32"),
        (set(), 0, True, "openvino-f32"),
        ({"avx512_vnni"}, 1, True, "torch-cuda"),
    ],
)
def test_auto_fits_the_machine(
    machine: Any, tmp_path: Path, features: set[str], cuda: int, built: bool, backend: str
) -> None:
    machine(features, cuda)
    without = dataclasses.replace(
        read_ensemble(),
        networks=tuple(dataclasses.replace(n, int8=None) for n in read_ensemble().networks),
    )
    assert choose(with_int8(tmp_path) if built else without) == backend


def test_int8_of_other_weights_is_not_chosen(machine: Any, tmp_path: Path) -> None:
    machine({"avx512_vnni"})
    other = with_int8(tmp_path, of="ab" * 32)
    assert choose(other) == "openvino-f32"
    with pytest.raises(BackendError, match="run `python -m detector quantize`"):
        load_scorer("openvino-int8", other)


def test_this_machine_tells_what_it_has() -> None:
    assert cpu_features(), "Linux and macOS list what their processor can do"
    assert backends.cuda_devices() >= 0


@pytest.mark.parametrize(
    ("features", "kind", "old"),
    [
        ({"sse4_2", "avx"}, "x86_64", True),
        ({"avx", "avx2"}, "x86_64", False),
        ({"asimd"}, "aarch64", False),
        (set(), "x86_64", False),
    ],
)
def test_an_old_processor_is_named(machine: Any, features: set[str], kind: str, old: bool) -> None:
    machine(features, kind=kind)
    remark = cpu_remark()
    assert (remark is not None and "no AVX2" in remark) == old


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "auto"])
def test_a_result_names_its_backend(backend: str) -> None:
    engine, rest = backend.split("-")
    if engine == "openvino":
        assert backend_named("openvino", rest, "Some CPU") == backend
    else:
        assert backend_named("torch", "f32", "CPU" if rest == "cpu" else "Some GPU") == backend


def test_a_backend_of_another_time_is_auto() -> None:
    assert backend_named("tensorrt", "f32", "GPU") == "auto"
    assert backend_named("openvino", "int4", "CPU") == "auto"


def test_cuda_without_a_driver_is_one_sentence() -> None:
    if backends.cuda_devices():
        assert load_scorer("torch-cuda").device
    else:
        with pytest.raises(BackendError, match=r"no CUDA device here; install or update .* driver"):
            load_scorer("torch-cuda")


def test_auto_goes_on_where_its_first_choice_does_not_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started: list[str] = []

    def load(backend: str, ensemble: EnsembleSpec) -> Any:
        started.append(backend)
        if backend != "torch-cpu":
            raise BackendError(f"{backend} does not start.")
        return "scorer"

    monkeypatch.setattr(loading, "_load", load)
    monkeypatch.setattr(loading, "choose", lambda ensemble: "torch-cuda")
    with caplog.at_level(logging.WARNING, "veriframe"):
        found: Any = load_scorer()
    assert found == "scorer"
    assert started == ["torch-cuda", "openvino-f32", "torch-cpu"]
    assert "torch-cuda does not start." in caplog.text


def test_auto_and_its_choice_are_one_copy_of_the_networks(engine: Engine) -> None:
    chosen = engine.scorer("auto")
    name = backend_named(chosen.backend, chosen.precision, chosen.device)
    assert engine.scorer(name) is chosen


# ---------------------------------------------------------------- too little memory


def test_a_batch_that_is_too_large_is_halved() -> None:
    tried: list[int] = []

    def forward(batch: np.ndarray) -> np.ndarray:
        tried.append(len(batch))
        if len(batch) > 2:
            raise OutOfMemory("no room")
        return batch[:, 0, 0, 0].astype(np.float32)

    many = np.arange(11, dtype=np.uint8)[:, None, None, None]
    np.testing.assert_array_equal(in_batches(forward, many, 8), np.arange(11))
    assert tried == [8, 4, 2, 2, 2, 2, 2, 1], "what fits is kept for the rest"


def test_a_machine_without_room_for_one_face_says_so() -> None:
    def forward(batch: np.ndarray) -> np.ndarray:
        raise MemoryError

    with pytest.raises(ModelError, match="too little free memory to score even one face"):
        in_batches(forward, np.zeros((3, 2, 2, 3), np.uint8), 8)


def test_openvino_without_memory_halves_its_batch(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Request:
        sizes: ClassVar[list[int]] = []

        def infer(self, inputs: dict[int, np.ndarray]) -> None:
            self.sizes.append(len(inputs[0]))
            if len(inputs[0]) > 1:
                raise RuntimeError("std::bad_alloc")

        def get_output_tensor(self, _: int) -> Any:
            return type("Tensor", (), {"data": np.ones(1, np.float32)})

    model = type("Model", (), {"create_infer_request": lambda self: Request()})()
    forward = openvino_scorer._forward(model)
    assert in_batches(forward, crops(), 4).tolist() == [1] * 4
    assert Request.sizes == [4, 2, 1, 1, 1, 1]


# ---------------------------------------------------------------- PyTorch's other ways


@pytest.fixture(scope="module")
def resnet50() -> EnsembleSpec:
    ensemble = read_ensemble()
    return dataclasses.replace(ensemble, networks=(ensemble.network("resnet50"),))


def test_bfloat16_scores_as_float32_does_nearly(resnet50: EnsembleSpec) -> None:
    full, half = TorchScorer(resnet50), TorchScorer(resnet50, precision="bf16")
    assert (full.precision, half.precision) == ("f32", "bf16")
    one, other = (scorer.logits(crops())["resnet50"] for scorer in (full, half))
    np.testing.assert_allclose(one, other, atol=0.05)
    assert other.dtype == np.float32


def test_a_compiled_network_sees_one_size_of_batch(
    resnet50: EnsembleSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    sizes: list[int] = []

    def compile(network: Any) -> Any:
        return lambda images: sizes.append(len(images)) or network(images)

    monkeypatch.setattr(torch, "compile", compile)
    scorer = TorchScorer(resnet50, compiled=True, batch=3)
    plain = TorchScorer(resnet50).logits(crops())["resnet50"]
    np.testing.assert_allclose(scorer.logits(crops())["resnet50"], plain, atol=1e-4)
    assert sizes == [3, 3]


def test_a_network_that_cannot_be_compiled_runs_as_it_is(
    resnet50: EnsembleSpec, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    def broken(_: Any) -> Any:
        raise RuntimeError("no compiler here\nand more")

    monkeypatch.setattr(torch, "compile", lambda network: broken)
    scorer = TorchScorer(resnet50, compiled=True, batch=4)
    with caplog.at_level(logging.WARNING, "veriframe"):
        for _ in range(2):
            found = scorer.logits(crops())["resnet50"]
    plain = TorchScorer(resnet50).logits(crops())["resnet50"]
    np.testing.assert_allclose(found, plain, atol=1e-4)
    assert caplog.text.count("resnet50 cannot be compiled here (no compiler here)") == 1
