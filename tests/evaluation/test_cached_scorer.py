"""detector.evaluation.cached_scorer: a crop is scored once, by one scorer, and never mixed up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.errors import ModelError
from detector.evaluation.cached_scorer import CHUNK, CachedScorer
from tests.helpers.stand_ins import BrightnessScorer


def crops(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (count, 8, 8, 3), dtype=np.uint8)


def test_a_crop_is_scored_once_also_by_the_next_process(tmp_path: Path) -> None:
    scorer = BrightnessScorer()
    first = CachedScorer(scorer, tmp_path / "kept")
    many = crops(CHUNK + 5)
    expected = BrightnessScorer().logits(many)
    for name, values in first.logits(many).items():
        assert values == pytest.approx(expected[name])
        assert values.dtype == np.float32
    first.close()
    scorer.batches.clear()
    again = CachedScorer(scorer, tmp_path / "kept")
    mixed = np.concatenate([many[3:9], crops(2, seed=1)])
    found = again.logits(mixed)
    assert scorer.batches == [2]
    assert found["xception"] == pytest.approx(BrightnessScorer().logits(mixed)["xception"])
    assert again.logits(crops(0))["xception"].shape == (0,)


def test_another_precision_finds_nothing_of_the_first(tmp_path: Path) -> None:
    CachedScorer(BrightnessScorer(), tmp_path / "kept").logits(crops(3))
    other = BrightnessScorer()
    other.precision = "int8"
    CachedScorer(other, tmp_path / "kept").logits(crops(3))
    assert other.batches == [3]


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"no database" * 100)
    with pytest.raises(ModelError, match="name another file"):
        CachedScorer(BrightnessScorer(), tmp_path / "kept")
