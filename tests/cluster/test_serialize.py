"""detector.cluster.serialize: what passes between stages comes back equal, whatever it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector.cluster.plan import ClipOutcome, LookedAt, Plan, Scores
from detector.cluster.serialize import from_bytes, to_bytes
from detector.cluster.source import SourceClip
from detector.cluster.stages import Score, look_at
from detector.cluster.target import Target
from detector.limits import Limits
from detector.settings import Settings
from tests.helpers.clips import write
from tests.helpers.processes import ROOT


def test_a_real_clip_comes_back_equal(tmp_path: Path) -> None:
    path = ROOT / "assets" / "samples" / "grid_brbk7n.mp4"
    plan = Plan(Settings(2), Limits(), "0" * 64, "v", "2031-05-04", Target.at(str(tmp_path)))
    found, crops = look_at(SourceClip(str(path)), plan)
    assert found.error is None
    assert from_bytes(LookedAt, to_bytes(found)) == found
    (scores,) = Score(plan)._score([crops])
    assert scores.faces
    assert from_bytes(Scores, to_bytes(scores)) == scores


def test_a_failed_clip_comes_back_equal(tmp_path: Path) -> None:
    plan = Plan(Settings(2), Limits(), "0" * 64, "v", "2031-05-04", Target.at(str(tmp_path)))
    found, _ = look_at(SourceClip(str(tmp_path / "none.mp4"), 5, "now"), plan)
    assert found.error is not None
    assert from_bytes(LookedAt, to_bytes(found)) == found


@pytest.mark.parametrize("name", ["a.mp4", "ä\n\0“.mp4", "no text \udcff.mp4"])
def test_every_name_of_a_file_passes(name: str) -> None:
    clip = SourceClip(name, 1, "x")
    assert from_bytes(SourceClip, to_bytes(clip)) == clip
    outcomes = [ClipOutcome(name, "i", "failed", "because"), ClipOutcome(name, "j", "analysed")]
    assert from_bytes(list[ClipOutcome], to_bytes(outcomes)) == outcomes


def test_clips_of_other_kinds_pass(tmp_path: Path) -> None:
    plan = Plan(Settings(2), Limits(), "0" * 64, "v", "2031-05-04", Target.at(str(tmp_path)))
    found, _ = look_at(SourceClip(str(write(tmp_path / "a.mp4", 3))), plan)
    assert from_bytes(LookedAt, to_bytes(found)) == found


def test_it_is_plain_json() -> None:
    assert json.loads(to_bytes(SourceClip("a"))) == {"path": "a", "bytes": -1, "modified": ""}
