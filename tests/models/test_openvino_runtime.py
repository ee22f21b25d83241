"""OpenVINO begun by many threads at once: none of them waits for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from detector.faces.blazeface import ConfirmedFaces
from detector.models.openvino_scorer import OpenVinoScorer
from detector.models.spec import read_ensemble
from tests.helpers.processes import ROOT

TOGETHER = """
import sys, threading, numpy as np
from detector.faces.blazeface import BlazeFace
sys.setswitchinterval(1e-5)
together, found = threading.Barrier(6), []

def look():
    together.wait()
    found.append(BlazeFace("short").detect(np.zeros((64, 64, 3), np.uint8)))

threads = [threading.Thread(target=look, daemon=True) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(100)
print(len(found))
"""


def test_threads_that_begin_together_all_end() -> None:
    done = subprocess.run([sys.executable, "-c", TOGETHER], cwd=ROOT, check=True, timeout=120,
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout == "6\n"


def test_the_table_is_filled_before_anybody_has_a_core() -> None:
    """Nobody else makes a core: a search of the sources."""
    makers = [
        path.name
        for path in (ROOT / "detector").rglob("*.py")
        if path.name != "openvino_runtime.py"
        and "openvino.Core(" in path.read_text(encoding="utf-8")
    ]
    assert makers == ["quantization.py"]  # a command of one thread


def test_no_model_holds_on_to_a_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinned to the same one, the networks and the face detector halve each other's speed."""
    monkeypatch.setenv("VERIFRAME_CACHE", str(tmp_path))
    compiled, cached = (OpenVinoScorer(read_ensemble(), "int8") for _ in range(2))
    faces = ConfirmedFaces()
    models = [*compiled._models.values(), *cached._models.values(), faces._far._model,
              faces._near._model]  # fmt: skip
    assert [model.get_property("ENABLE_CPU_PINNING") for model in models] == [False] * 6
