"""What all machines of a cluster must agree on before a scan begins: code, models, and target."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass

from detector.analysis.engine import Engine
from detector.cluster.connection import Node
from detector.cluster.target import Target
from detector.errors import ClusterError, DetectorError, ModelError
from detector.files import ROOT
from detector.models.backends import backend_named
from detector.models.installed import get_model
from detector.settings import Backend, Settings
from detector.version import __version__

_ANSWERS_WITHIN = 120.0  # seconds: libraries and networks are loaded from a cold disk


@dataclass(frozen=True)
class Agreed:
    """What every worker uses.

    Attributes:
        backend: never "auto".
        fingerprint: of models and settings, see `detector.result.fingerprint`.
        model_version: as in `detector.library.types.Summary`.
    """

    backend: Backend
    fingerprint: str
    model_version: str


def agree(target: Target, settings: Settings, machines: Sequence[Node]) -> Agreed:
    """Ask every machine whether it can take part, and one what it scores with.

    Raises:
        ClusterError: a machine cannot import the detector, has another version or other models,
            or does not see the target.
        ModelError: weights or backend are not there.
    """
    import ray

    if not machines:
        raise ClusterError("The Ray cluster has no machine with processors; start some workers.")
    try:
        with target.marker() as marker:
            errors, agreed = _ask(target, marker, settings, machines)
    except ray.exceptions.GetTimeoutError as error:
        raise ClusterError(
            f"The workers of the Ray cluster did not answer within {_ANSWERS_WITHIN:.0f} s; check "
            "that it has free processors, and GPUs if it has any."
        ) from error
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise ClusterError(
            f"The workers of the Ray cluster cannot run the detector ({last[:200]}); install "
            f"Veriframe {__version__} and its requirements at {ROOT} on every machine."
        ) from error
    if errors:
        raise ClusterError(errors[0])
    if isinstance(agreed, str):
        raise ModelError(agreed)
    return agreed


def _ask(
    target: Target, marker: str, settings: Settings, machines: Sequence[Node]
) -> tuple[list[str], Agreed | str]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    gpus = 1 if any(node.gpus for node in machines) else 0
    ask = ray.remote(num_cpus=0, max_retries=0)(_node)
    choose = ray.remote(num_cpus=0, num_gpus=gpus, max_retries=0)(_agreed)
    about = (target, marker, settings.models, __version__, _hashes(settings.models))
    chosen = choose.remote(settings)
    answers = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(
            *about
        )
        for node in machines
    ]
    errors = [error for error in ray.get(answers, timeout=_ANSWERS_WITHIN) if error]
    return errors, ray.get(chosen, timeout=_ANSWERS_WITHIN)


def _node(target: Target, marker: str, models: str, version: str, hashes: list[str]) -> str | None:
    """Return one sentence why this machine cannot take part; None if it can."""
    name = platform.node()
    if __version__ != version:
        return (
            f"{name} has Veriframe {__version__}, not {version}; install the same on "
            "every machine of the cluster."
        )
    try:
        if _hashes(models) != hashes:
            return f"{name} has other models than this machine; install the same on every machine."
        if not target.sees(marker):
            return (
                f"{name} does not see {target.place} as this machine does; name a shared folder "
                "or an address such as s3://bucket/folder with --out."
            )
        target.check()
    except DetectorError as error:
        return f"On {name}: {error}"
    return None


def _hashes(models: str) -> list[str]:
    return [network.sha256 for network in get_model(models).read().networks]


def _agreed(settings: Settings) -> Agreed | str:
    """Return what this machine, one that scores, uses, or one sentence why it cannot."""
    engine = Engine()
    try:
        engine.face_detector(settings.face_detector)
        loaded = engine.models_for(settings)
    except DetectorError as error:
        return str(error)
    scorer = loaded.scorer
    backend = backend_named(scorer.backend, scorer.precision, scorer.device)
    version = ", ".join(f"{model.name} {model.version}" for model in loaded.models)
    return Agreed(backend, loaded.fingerprint, version)
