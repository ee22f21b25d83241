"""Milliseconds a face of every backend, beside what one would write without Veriframe.

    python -m benchmarks.scoring [--repeats 7]

Both networks, batches of 8 crops; all take turns in one run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.clips import faces_of_portraits
from benchmarks.record import Record, Row, arguments, finish, in_turns
from detector.models.backends import has_int8
from detector.models.face_network import load_network, normalise
from detector.models.openvino_scorer import OpenVinoScorer
from detector.models.scorer import Scorer
from detector.models.spec import read_ensemble
from detector.models.torch_scorer import TorchScorer

EAGER = "PyTorch, eager"


def main() -> None:
    """Run and print."""
    import torch

    options = arguments(str(__doc__), 7)
    ensemble = read_ensemble()
    crops = np.stack((faces_of_portraits(ensemble.crop_size) * 8)[:8])
    acts: dict[str, Callable[[], object]] = {}
    notes: list[str] = []
    acts[EAGER] = _scoring(TorchScorer(ensemble), crops)
    acts["PyTorch, channels-last"] = _channels_last(ensemble, crops)
    try:
        scorer = TorchScorer(ensemble, compiled=True, batch=8)
        scorer.logits(crops)
        acts["PyTorch, compiled"] = lambda: scorer.logits(crops)
    except Exception as error:
        notes.append(f"torch.compile: {str(error).splitlines()[0][:90]}")
    with TemporaryDirectory() as folder:
        try:
            acts["ONNX Runtime, float32"] = _onnx(ensemble, crops, Path(folder))
        except Exception as error:
            notes.append(f"ONNX Runtime: {type(error).__name__}: {str(error).splitlines()[0][:90]}")
        for precision in ("f32", "bf16", *(["int8"] if has_int8(ensemble) else [])):
            acts[f"Veriframe, OpenVINO {precision}"] = _scoring(
                OpenVinoScorer(ensemble, precision), crops
            )
        with torch.inference_mode():
            seconds = in_turns(acts, options.repeats)
    rows = []
    for name, taken in seconds.items():
        ratio = seconds[EAGER] / taken
        values = {"ms a face": taken / len(crops) * 1000, "times eager": ratio}
        if name.endswith("int8"):
            rows.append(Row(name, values, "at least 7 times eager PyTorch", ratio >= 7))
        else:
            rows.append(Row(name, values))
    title = "Scoring a face with both networks (batch of 8)"
    finish(Record("scoring", title, rows, notes), options.out)


def _scoring(scorer: Scorer, crops: Any) -> Callable[[], object]:
    return lambda: scorer.logits(crops)


def _channels_last(ensemble: Any, crops: Any) -> Callable[[], object]:
    import torch

    networks = [
        (spec, load_network(spec).to(memory_format=torch.channels_last))  # type: ignore[call-overload]
        for spec in ensemble.networks
    ]
    batch = torch.from_numpy(crops)
    return lambda: [
        network(normalise(batch, spec).contiguous(memory_format=torch.channels_last))
        for spec, network in networks
    ]


def _onnx(ensemble: Any, crops: Any, folder: Path) -> Callable[[], object]:
    import onnxruntime
    import torch

    sessions = []
    batch = torch.from_numpy(crops)
    for spec in ensemble.networks:
        path = folder / f"{spec.name}.onnx"
        example = normalise(batch, spec)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(load_network(spec), (example,), str(path), dynamo=False)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        sessions.append((spec, session))
    return lambda: [
        session.run(None, {session.get_inputs()[0].name: normalise(batch, spec).numpy()})
        for spec, session in sessions
    ]


if __name__ == "__main__":
    main()
