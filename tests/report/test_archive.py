"""Many analyses in one file: complete, readable elsewhere, refused where it would be too much."""

from __future__ import annotations

import io
import zipfile

import pandas as pd
import pytest

from detector.errors import ReportError
from detector.library.store import Library
from detector.report import archive as module
from detector.report.archive import archive
from detector.result import Analysis
from tests.helpers.examples import Drawn, example


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def test_everything_that_was_chosen_is_in_it(library: Library) -> None:
    analyses = [example(f"clip {number}.mp4", seed=number) for number in range(3)]
    ids = [library.add(analysis, Drawn()) for analysis in analyses]
    library.set_tags([ids[0]], ["desk", "=cmd()"])
    library.set_note(ids[0], "=1+1")
    files = unpacked(archive(library, ids[:2]))
    assert set(files) == {"analyses.csv", "scores.csv", "scores.parquet"} | {
        f"json/{id}-clip-{number}-{analyses[number].clip.sha256[:8]}-veriframe.json"
        for number, id in enumerate(ids[:2])
    }
    listed = pd.read_csv(io.BytesIO(files["analyses.csv"]))
    assert list(listed["number"]) == ids[:2]
    assert listed["note"][0] == "'=1+1"  # no formula for a spreadsheet
    assert listed["tags"][0] == "'=cmd(); desk"
    scores = pd.read_csv(io.BytesIO(files["scores.csv"]))
    faces = [face for analysis in analyses[:2] for frame in analysis.frames for face in frame.faces]
    assert list(scores["score"].dropna()) == [face.score for face in faces]
    table = pd.read_parquet(io.BytesIO(files["scores.parquet"]))
    assert len(table) == len(scores)
    kept = [Analysis.from_json(files[name]) for name in sorted(files) if name.startswith("json/")]
    assert kept == analyses[:2]


@pytest.mark.parametrize(
    ("forms", "expected"),
    [(["csv"], {"analyses.csv", "scores.csv"}), (["parquet"], {"analyses.csv", "scores.parquet"}),
     ([], {"analyses.csv"})],
    ids=["csv", "parquet", "list-only"],
)  # fmt: skip
def test_only_the_forms_that_were_asked_for(
    library: Library, forms: list[str], expected: set[str]
) -> None:
    id = library.add(example())
    assert set(unpacked(archive(library, [id, 999], forms))) == expected


def test_too_many_or_none_get_one_sentence(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = library.add(example())
    with pytest.raises(ReportError, match="None of these analyses is in the library any more"):
        archive(library, [id + 1])
    monkeypatch.setattr(module, "MOST", 1)
    with pytest.raises(ReportError, match="choose at most 1"):
        archive(library, [id, id + 1])


def test_more_than_one_page_of_the_library(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    ids = [library.add(example(seed=number, frames=1, faces=1)) for number in range(5)]
    listed = unpacked(archive(library, ids, []))["analyses.csv"]
    assert list(pd.read_csv(io.BytesIO(listed))["number"]) == ids
