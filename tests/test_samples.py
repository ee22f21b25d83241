"""detector.samples: every shipped clip is there, with its title and credit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector import samples as module
from detector.files import ASSETS
from detector.media.clip import EXTENSIONS
from detector.media.reader import probe
from detector.samples import Sample, samples


def test_every_listed_clip_is_shipped() -> None:
    listed = json.loads((ASSETS / "samples" / "samples.json").read_text())
    assert [sample.path.name for sample in samples()] == [entry["file"] for entry in listed]


def test_every_shipped_clip_is_listed() -> None:
    shipped = {path for path in (ASSETS / "samples").iterdir() if path.suffix[1:] in EXTENSIONS}
    assert {sample.path for sample in samples()} == shipped


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.path.stem)
def test_a_sample_can_be_read_and_names_its_source(sample: Sample) -> None:
    clip = probe(sample.path)
    assert clip.frames > 1
    assert clip.damaged == 0
    assert sample.path.stat().st_size < 1_000_000
    assert sample.title
    assert sample.about.endswith(".")
    assert sample.credit.endswith(".")
    assert any(source in sample.credit for source in ("CC BY", "public domain", "Public domain"))


def test_titles_are_apart() -> None:
    titles = [sample.title for sample in samples()]
    assert len(set(titles)) == len(titles)


def test_a_file_that_is_gone_is_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "samples").mkdir()
    entry = {"title": "T", "about": "A.", "credit": "C."}
    (tmp_path / "samples" / "samples.json").write_text(
        json.dumps([{"file": "gone.mp4", **entry}, {"file": "here.mp4", **entry}])
    )
    (tmp_path / "samples" / "here.mp4").touch()
    monkeypatch.setattr(module, "ASSETS", tmp_path)
    samples.cache_clear()
    try:
        assert [sample.path.name for sample in samples()] == ["here.mp4"]
    finally:
        samples.cache_clear()
