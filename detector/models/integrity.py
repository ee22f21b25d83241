"""Are the weights the ones that the ensemble names?"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from detector.errors import ModelError
from detector.files import sha256_of
from detector.models.spec import NetworkSpec


@functools.lru_cache(maxsize=16)
def _checked(path: Path, expected: str, _changed: int) -> None:
    found = sha256_of(path)
    if found != expected:
        raise ModelError(
            f"{path.name} is not the file it should be (SHA-256 {found[:12]}…, expected "
            f"{expected[:12]}…); restore it from the repository."
        )


def check_hash(spec: NetworkSpec) -> None:
    """Raise ModelError unless the weights' file has the SHA-256 that the ensemble names."""
    try:
        _checked(spec.path, spec.sha256, spec.path.stat().st_mtime_ns)
    except OSError as error:
        raise ModelError(
            f"{spec.path.name} cannot be read; restore assets/models from the repository."
        ) from error


@functools.lru_cache(maxsize=16)
def _checked_pair(path: Path, expected: str, _changed: tuple[int, int]) -> None:
    if sha256_of_pair(path) != expected:
        raise ModelError(
            f"{path.name} or its .bin is not the file it should be; restore assets/models from the "
            "repository or run `python -m detector quantize`."
        )


def sha256_of_pair(path: Path) -> str:
    """Return the SHA-256, hex, of an OpenVINO `.xml` followed by its `.bin`."""
    digest = hashlib.sha256(path.read_bytes())
    with path.with_suffix(".bin").open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def check_int8(spec: NetworkSpec) -> None:
    """Raise ModelError unless the int8 model is the one that the ensemble names, of its weights."""
    if spec.int8 is None or spec.int8.of != spec.sha256:
        raise ModelError(
            f"There is no int8 model of {spec.path.name}; run `python -m detector quantize`."
        )
    path = spec.int8.path
    try:
        changed = path.stat().st_mtime_ns, path.with_suffix(".bin").stat().st_mtime_ns
        _checked_pair(path, spec.int8.sha256, changed)
    except OSError as error:
        raise ModelError(
            f"{path.name} cannot be read; restore assets/models from the repository."
        ) from error
