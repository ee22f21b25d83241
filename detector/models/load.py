"""Load the scorer that a backend's name asks for."""

from __future__ import annotations

import logging

from detector.errors import BackendError
from detector.models.backends import check_name, choose
from detector.models.scorer import Scorer
from detector.models.spec import EnsembleSpec, read_ensemble
from detector.settings import Backend


def load_scorer(backend: Backend = "auto", ensemble: EnsembleSpec | None = None) -> Scorer:
    """Load the fastest scorer this machine offers, or the one asked for.

    Where "auto" finds that its first choice does not start, it goes on to the next.

    Raises:
        ModelError: weights are missing or altered, or the backend cannot start.
    """
    check_name(backend)
    ensemble = ensemble or read_ensemble()
    if backend != "auto":
        return _load(backend, ensemble)
    first = choose(ensemble)
    others: tuple[Backend, ...] = ("openvino-f32", "torch-cpu")
    for name in (first, *(other for other in others if other != first)):
        try:
            return _load(name, ensemble)
        except BackendError as error:
            logging.getLogger("veriframe").warning("%s", error)
            refused = error
    raise refused


def _load(backend: Backend, ensemble: EnsembleSpec) -> Scorer:
    if backend.startswith("torch"):
        from detector.models.torch_scorer import TorchScorer

        return TorchScorer(ensemble, "cuda" if backend == "torch-cuda" else "cpu")
    from detector.models.openvino_scorer import OpenVinoScorer

    return OpenVinoScorer(ensemble, backend.removeprefix("openvino-"))
