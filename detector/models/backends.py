"""Which engine scores: what this machine has, and what it should use (no torch, no OpenVINO).

Names say engine and precision or device, as a person types them and as a result shows them.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import ModelError
from detector.settings import BACKENDS, Backend

if TYPE_CHECKING:
    from detector.models.spec import EnsembleSpec


# Instructions that multiply 8-bit numbers four at a time; without them int8 gains nothing.
_DOT_PRODUCTS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "FEAT_DotProd"}


@functools.cache
def cpu_features() -> frozenset[str]:
    """Return the processor's instruction sets as Linux and macOS name them; empty if unknown."""
    try:
        if platform.system() == "Darwin":
            listed = subprocess.run(
                ["/usr/sbin/sysctl", "hw.optional.arm", "machdep.cpu"],
                capture_output=True,
                text=True,
                timeout=5,
                check=False,
            ).stdout
            arm = {
                line.split(".")[-1].split(":")[0]
                for line in listed.splitlines()
                if line.startswith("hw.optional.arm.FEAT") and line.endswith(": 1")
            }
            return frozenset(arm | set(listed.lower().replace(".", "_").split()))
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return frozenset(line.split(":", 1)[1].split())
    except (OSError, subprocess.SubprocessError):
        pass
    return frozenset()


def cpu_remark() -> str | None:
    """Return one sentence where this processor is too old to be quick; None elsewhere."""
    features = cpu_features()
    if platform.machine() in ("x86_64", "AMD64") and features and "avx2" not in features:
        return (
            "This processor has no AVX2, so a scan takes several times as long; "
            "use a machine built since 2014 for long clips."
        )
    return None


@functools.cache
def cuda_devices() -> int:
    """Return the number of CUDA devices that the driver offers, asked without loading PyTorch."""
    for name in ("libcuda.so.1", "libcuda.so", "nvcuda.dll"):
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        count = ctypes.c_int()
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0


def has_int8(ensemble: EnsembleSpec) -> bool:
    """Return True if every network has an int8 model, built from the weights installed."""
    return all(
        network.int8 is not None
        and network.int8.of == network.sha256
        and network.int8.path.is_file()
        for network in ensemble.networks
    )


def available(ensemble: EnsembleSpec) -> tuple[Backend, ...]:
    """Return the backends that this machine and these models offer, "auto" first."""
    missing = set() if cuda_devices() else {"torch-cuda"}
    if not has_int8(ensemble):
        missing.add("openvino-int8")
    return tuple(name for name in BACKENDS if name not in missing)


def choose(ensemble: EnsembleSpec) -> Backend:
    """Return what “auto” means here: CUDA, else the precision that the processor likes."""
    if cuda_devices():
        return "torch-cuda"
    features = cpu_features()
    if has_int8(ensemble) and features & _DOT_PRODUCTS:
        return "openvino-int8"
    # bf16 without matrix tiles is slower than float32.
    return "openvino-bf16" if "amx_bf16" in features else "openvino-f32"


def backend_named(engine: str, precision: str, device: str) -> Backend:
    """Return the backend that a result names in its own words; "auto" if none fits."""
    if engine == "openvino":
        for backend in BACKENDS:
            if backend == f"openvino-{precision}":
                return backend
    if engine == "torch":
        return "torch-cpu" if device == "CPU" else "torch-cuda"
    return "auto"


def check_name(backend: str) -> None:
    """Raise ModelError unless `backend` is one of `BACKENDS`."""
    if backend not in BACKENDS:
        raise ModelError(f"There is no backend {backend!r}; choose one of: {', '.join(BACKENDS)}.")
