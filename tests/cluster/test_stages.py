"""detector.cluster.stages in this process: what fails becomes a row, what is far is fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from detector.cluster import stages
from detector.cluster.plan import ClipOutcome, LookedAt, Plan
from detector.cluster.serialize import from_bytes
from detector.cluster.source import SourceClip, look_up
from detector.cluster.stages import Score, look, look_at, to_table, write
from detector.cluster.target import Target
from detector.errors import OutOfMemory
from detector.limits import Limits
from detector.models.scorer import Crops
from detector.settings import Settings


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    target = Target.at(str(tmp_path / "out"))
    settings = Settings(frames=4, backend="openvino-f32")
    return Plan(settings, Limits(), "f" * 64, "v0", "2031-05-04", target)


class FailsOnMany:
    """A scorer whose memory ends at more than four crops."""

    def __init__(self, scorer: object) -> None:
        self._scorer = scorer
        self.ensemble = scorer.ensemble

    def logits(self, crops: Crops) -> object:
        if len(crops) > 4:
            raise OutOfMemory("There is too little memory.")
        return self._scorer.logits(crops)


def test_scores_that_fail_fail_one_clip(
    plan: Plan, sample_clip: Callable[[str], Path], tmp_path: Path
) -> None:
    names = ("grid_bbaf2n", "grid_two_faces_lbbc2a_lbax4n", "noface_intel_cars")
    clips = [look_up(str(sample_clip(name))) for name in names]
    import pyarrow as pa

    table = pa.concat_tables(look(to_table(clips), plan))
    assert table["crops"][0].as_py() == look_at(clips[0], plan)[1].tobytes()
    score = Score(plan)
    score._scorer = FailsOnMany(score._scorer)  # eight faces of two people are too many
    outcomes = from_bytes(list[ClipOutcome], write(score(table), plan)["outcomes"][0].as_py())
    assert [outcome.state for outcome in outcomes] == ["analysed", "failed", "analysed"]
    assert outcomes[1].error == "There is too little memory."
    assert [outcome.unwritten for outcome in outcomes] == [None] * 3
    assert len(plan.target.known()) == 3


def test_clips_far_away_are_fetched(
    plan: Plan, sample_clip: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "fetched"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    system = fsspec.filesystem("memory")
    system.put_file(str(sample_clip("grid_bbaf2n")), "/far/a.mp4")
    try:
        far, crops = look_at(look_up("memory://far/a.mp4"), plan)
        near, same = look_at(look_up(str(sample_clip("grid_bbaf2n"))), plan)
        assert far.clip is not None
        assert far.clip.name == "a.mp4"
        assert near.clip is not None
        assert far.clip.sha256 == near.clip.sha256
        assert far.frames == near.frames
        assert (crops == same).all()
        gone, _ = look_at(SourceClip("memory://far/b.mp4"), plan)
        assert gone.error is not None
        assert gone.error.startswith("memory://far/b.mp4 cannot be fetched (")
        large, _ = look_at(SourceClip("memory://far/a.mp4", 5 << 30), plan)
        assert "more than the 4.0 GiB" in str(large.error)
    finally:
        system.rm("/far", recursive=True)
    assert list(folder.iterdir()) == []


def test_too_many_faces_are_refused(
    plan: Plan, sample_clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "MOST_CROPS", 3)
    found, crops = look_at(look_up(str(sample_clip("grid_bbaf2n"))), plan)
    assert "shows more than 3 faces in its frames" in str(found.error)
    assert len(crops) == 0


def test_what_nobody_expected_is_a_failed_row(
    plan: Plan, sample_clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr(stages, "search_frames", broken)
    found, _ = look_at(look_up(str(sample_clip("grid_bbaf2n"))), plan)
    assert isinstance(found, LookedAt)
    assert found.error == (
        "“grid_bbaf2n.mp4” cannot be analysed (ZeroDivisionError: of nothing); scan it alone."
    )
