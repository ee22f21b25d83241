"""detector.evaluation.known_failures: what is listed, what is not judged, what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.analysis.engine import Engine
from detector.commands import cli
from detector.errors import EvaluationError
from detector.evaluation import known_failures
from detector.evaluation.alterations import ALTERATIONS
from detector.evaluation.known_failures import BLENDED, Failures, Shipped, find_failures, shipped
from detector.evaluation.result import read
from detector.models.scorer import Scorer
from detector.settings import Settings
from tests.helpers.stand_ins import BrightnessScorer, StandInEngine

ORIGINAL, CRF23 = (a for a in ALTERATIONS if a.name in ("original", "h264-crf23"))


class Fixed(BrightnessScorer):
    """The same logit for every face."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = logit

    def logits(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        each = np.full(len(crops), self.logit, np.float32)
        return {
            network.name: each * np.float32(network.temperature)
            for network in self.ensemble.networks
        }


class Always(Engine):
    """Real face detectors, and the scorer above."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.fixed = Fixed(logit)

    def load(self, backend: str, models: str = "") -> Scorer:
        return self.fixed


@pytest.fixture
def files(portraits: dict[str, Path], sample_clip: Any) -> tuple[Shipped, ...]:
    return (
        Shipped(portraits["grace"], "Portrait", False),
        Shipped(sample_clip("grid_swiz3n"), "Blended", True),  # as if it were
        Shipped(sample_clip("noface_nasa_webb_mirror"), "No face", False),
    )


@pytest.mark.parametrize(
    ("logit", "expected"),
    [(9.0, [("Portrait", False, "strong")]), (-3.0, [("Blended", True, "little")])],
    ids=["all-high", "all-low"],
)
def test_what_is_on_the_wrong_side_is_listed(
    logit: float, expected: list[Any], files: tuple[Shipped, ...]
) -> None:
    seen: list[tuple[int, int]] = []
    found = find_failures(
        Always(logit),
        Settings(frames=6),
        files=files,
        alterations=(ORIGINAL,),
        on_progress=lambda *at: seen.append(at),
    )
    assert [(f.title, f.manipulated, f.band) for f in found.failures] == expected
    assert found.failures[0].logit == pytest.approx(logit, abs=1e-4)
    assert (found.unaltered, found.manipulated, found.abstained, found.failed) == (1, 1, 1, 0)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_stills_and_clips_are_altered_before(files: tuple[Shipped, ...]) -> None:
    found = find_failures(Always(9.0), Settings(frames=6), files=files[:2], alterations=(CRF23,))
    assert [failure.alteration for failure in found.failures] == ["h264-crf23"]
    assert found.run.data.items == 2
    assert found.run.data.name == "shipped samples"


def test_a_file_that_cannot_be_read_is_counted(files: tuple[Shipped, ...], tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no clip")
    broken = Shipped(tmp_path / "broken.mp4", "Broken", False)
    found = find_failures(
        Always(9.0), Settings(frames=4), files=(files[0], broken), alterations=(ORIGINAL,)
    )
    assert found.failed == 1
    with pytest.raises(EvaluationError, match="No sample can be analysed"):
        find_failures(StandInEngine(), files=(broken,), alterations=(ORIGINAL,))


def test_every_shipped_sample_is_looked_at() -> None:
    names = [one.path.name for one in shipped()]
    assert set(BLENDED) < set(names)
    assert sum(one.manipulated for one in shipped()) == len(BLENDED)
    assert len(names) == len(set(names)) == 13


def test_the_command_writes_what_it_found(
    files: tuple[Shipped, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("detector.analysis.engine.Engine", lambda: Always(9.0))
    monkeypatch.setattr(known_failures, "shipped", lambda: files[:1])
    out = tmp_path / "failures.json"
    options = ["--frames", "4", "--alterations", "original"]
    assert cli.main(["failures", "--out", str(out), *options]) == 0
    assert read(Failures, out).alterations == ("As it is",)
    assert read(Failures, out).failures[0].sample == files[0].path.name
    assert "strong evidence (+9.00) although unaltered" in capsys.readouterr().out
    assert str(files[0].path.parent) not in json.dumps(json.loads(out.read_text()))
    assert cli.main(["failures", "--out", str(tmp_path / "no" / "x.json")]) == 2
