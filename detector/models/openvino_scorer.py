"""The networks on OpenVINO, on the processor: float32, bfloat16, or int8 where that was built."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detector.errors import BackendError, ModelError, OutOfMemory
from detector.files import atomic_write
from detector.models import openvino_runtime
from detector.models.backends import cpu_features, has_int8
from detector.models.integrity import check_hash, check_int8
from detector.models.scorer import BATCH, Crops, Logits, in_batches
from detector.models.spec import EnsembleSpec, NetworkSpec

PRECISIONS = ("f32", "bf16", "int8")


class OpenVinoScorer:
    """The networks on OpenVINO; one instance serves any number of threads.

    What it compiles is kept in the user's cache folder, under a name that holds the hashes of the
    weights and of the processor's features, so that later starts are quick and need no PyTorch.

    Args:
        ensemble: the networks.
        precision: "f32", "bf16" or "int8" (from `detector.evaluation.quantization`).

    Raises:
        ModelError: weights are missing or altered.
        BackendError: OpenVINO does not start, or there are no int8 models of these weights.
    """

    backend = "openvino"
    batch = BATCH

    def __init__(self, ensemble: EnsembleSpec, precision: str = "f32") -> None:
        try:
            core = openvino_runtime.core()
        except (ImportError, OSError) as error:
            raise BackendError(
                f"OpenVINO cannot start here ({error}); choose torch-cpu, or install the "
                "requirements again."
            ) from error
        if precision not in PRECISIONS:
            raise ModelError(
                f"OpenVINO has no precision {precision!r} here; choose {', '.join(PRECISIONS)}."
            )
        if precision == "int8" and not has_int8(ensemble):
            raise BackendError(
                "There are no int8 models of the installed weights; run `python -m detector "
                "quantize`, or choose openvino-f32."
            )
        self.ensemble = ensemble
        self.precision = precision
        self.device = str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip()
        self._models = {
            network.name: _compiled(core, network, ensemble.crop_size, precision)
            for network in ensemble.networks
        }

    def logits(self, crops: Crops) -> dict[str, Logits]:
        """Return each network's logits float32 [n] of crops uint8 [n, s, s, 3]."""
        return {
            name: in_batches(_forward(model), crops, self.batch)
            for name, model in self._models.items()
        }


def _forward(model: Any) -> Callable[[Crops], Logits]:
    request = model.create_infer_request()  # one for each call: not safe to share

    def forward(batch: Crops) -> Logits:
        try:
            request.infer({0: batch})
        except RuntimeError as error:
            if "alloc" in str(error).lower():
                raise OutOfMemory(str(error)) from error
            raise
        logits: Logits = request.get_output_tensor(0).data.copy()
        return logits

    return forward


def cache_folder() -> Path:
    """Return where converted models are kept; VERIFRAME_CACHE overrides the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("VERIFRAME_CACHE") or platformdirs.user_cache_dir("veriframe"))


def _compiled(core: Any, spec: NetworkSpec, crop_size: int, precision: str) -> Any:
    """Compile a network, or take it from the cache where this very machine compiled it before.

    Raises:
        ModelError: weights are missing or altered.
        BackendError: the int8 model cannot be read.
    """
    import openvino

    check_hash(spec)
    if precision == "int8":
        check_int8(spec)
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        **openvino_runtime.SHARED_CORES,
    }
    source = spec.int8.sha256 if precision == "int8" and spec.int8 else spec.sha256
    parts = [
        source,
        precision,
        str(crop_size),
        openvino.__version__,
        *sorted(cpu_features()),
        str(core.get_property("CPU", "FULL_DEVICE_NAME")),
        str(settings),
    ]
    key = hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]
    cached = ChecksummedFile(cache_folder() / f"{spec.name}-{precision}-{key}.blob")
    content = cached.read()
    if content is not None:
        with contextlib.suppress(RuntimeError):  # of a build that reads it differently
            return core.import_model(io.BytesIO(content), "CPU", settings)
    model = _int8(core, spec) if precision == "int8" else convert(spec, crop_size)
    compiled = core.compile_model(model, "CPU", settings)
    cached.write(compiled.export_model().getvalue())
    return compiled


def _int8(core: Any, spec: NetworkSpec) -> Any:
    assert spec.int8 is not None
    try:
        return core.read_model(spec.int8.path)
    except RuntimeError as error:
        raise BackendError(
            f"{spec.int8.path.name} cannot be read by this OpenVINO; run `python -m detector "
            "quantize`, or choose openvino-f32."
        ) from error


def convert(spec: NetworkSpec, crop_size: int) -> Any:
    """Convert the weights, with the scaling of their input, to one OpenVINO model."""
    import warnings

    import openvino
    import torch

    from detector.models.face_network import FaceNetwork, load_network, normalise

    class FromCrops(torch.nn.Module):
        """Normalisation and network in one graph, so that every backend sees the same input."""

        def __init__(self, network: FaceNetwork) -> None:
            super().__init__()
            self.network = network

        def forward(self, crops: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(normalise(crops, spec))
            return logits

    example = torch.zeros((2, crop_size, crop_size, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of branches on fixed sizes
        return openvino.convert_model(
            FromCrops(load_network(spec)).eval(),
            example_input=example,
            input=[openvino.PartialShape([-1, crop_size, crop_size, 3])],
        )


class ChecksummedFile:
    """One file of a cache, and its seal.

    Args:
        path: of the file; the seal has `.sha256` behind its name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seal = path.with_name(path.name + ".sha256")

    def read(self) -> bytes | None:
        """Return what was written; None where nothing was, or a single bit is not as it was."""
        with contextlib.suppress(OSError, ValueError):
            content = self.path.read_bytes()
            if hashlib.sha256(content).hexdigest() == self.seal.read_text(encoding="ascii"):
                return content
        return None

    def write(self, content: bytes) -> None:
        """Keep `content`; a folder that is full or cannot be written to is no error."""
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # The seal is moved last: what it does not fit is never used.
            with atomic_write(self.seal) as seal, atomic_write(self.path) as draft:
                draft.write_bytes(content)
                seal.write_text(hashlib.sha256(content).hexdigest(), encoding="ascii")
