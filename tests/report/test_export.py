"""Reports: every format round trips, and the PDF's pages are rendered and read."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pypdfium2
import pytest

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.errors import ReportError, ResultError
from detector.library.store import Library
from detector.library.types import FrameFilter
from detector.media.sandboxed_provenance import inspect
from detector.report import export, tables
from detector.report.pdf import sections
from detector.report.strongest_faces import STRONGEST, strongest_faces
from detector.result import Analysis, json_schema
from detector.settings import Settings
from detector.wording import BANDS, LIMITATIONS, STATES
from tests.helpers.examples import Drawn, example
from tests.helpers.processes import ROOT

SAMPLES = ROOT / "assets" / "samples"

EXAMPLES = {
    "two faces": example(),
    "strong": example(level=4.0),
    "no face": example(faces=0),
    "picture": example(frames=1, faces=1, duration=0.0),
    "many faces": example(frames=8, faces=9, seed=4),
    "every frame": dataclasses.replace(
        example(frames=150, faces=1, seed=5),
        sampling=dataclasses.replace(example().sampling, requested=None),
    ),
}


@pytest.fixture(scope="module")
def scanned(engine: Engine) -> Analysis:
    return scan(SAMPLES / "grid_two_faces_lbbc2a_lbax4n.mp4", Settings(frames=3), engine)


# --- JSON and its schema --------------------------------------------------------------------


def test_published_schema_is_that_of_the_code() -> None:
    published = json.loads(export.SCHEMA_FILE.read_text())
    hint = 'python -c "from detector.report.export import write_schema; write_schema()"'
    assert published == json_schema(), f"the schema has changed; write it again: {hint}"
    jsonschema.Draft202012Validator.check_schema(published)


@pytest.mark.parametrize("analysis", EXAMPLES.values(), ids=EXAMPLES)
def test_results_fit_the_schema(analysis: Analysis) -> None:
    schema = json.loads(export.SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(export.to_json(analysis)))
    assert Analysis.from_json(export.to_json(analysis)) == analysis


def test_a_real_result_fits_the_schema(scanned: Analysis) -> None:
    schema = json.loads(export.SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(export.to_json(scanned)))
    assert Analysis.from_json(export.to_json(scanned)) == scanned


HAND_EDITS = {
    "score that is text": ('"score":', '"score": "high", "_":'),
    "band that there is not": ('"band": "little"', '"band": "fake"'),
    "field taken out": ('"sha256":', '"sha":'),
    "cut off": (None, None),
}


@pytest.mark.parametrize(("old", "new"), HAND_EDITS.values(), ids=HAND_EDITS)
def test_a_report_edited_by_hand_is_refused(old: str | None, new: str | None) -> None:
    text = export.to_json(example(level=-3.0)).decode()
    edited = text[:-200] if old is None else text.replace(old, str(new), 1)
    assert edited != text
    schema = json.loads(export.SCHEMA_FILE.read_text())
    if old is not None:
        assert not jsonschema.Draft202012Validator(schema).is_valid(json.loads(edited))
    with pytest.raises(ResultError) as caught:
        Analysis.from_json(edited)
    assert "\n" not in str(caught.value)


# --- CSV and Parquet ------------------------------------------------------------------------


def read_csv(content: bytes) -> list[dict[str, str]]:
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def check_rows(rows: list[dict], analysis: Analysis) -> None:
    expected = [
        (frame, face) for frame in analysis.frames for face in (frame.faces or [None])
    ]  # fmt: skip
    assert len(rows) == len(expected)
    for row, (frame, face) in zip(rows, expected, strict=True):
        assert row["clip_sha256"] == analysis.clip.sha256
        assert row["software"] == f"Veriframe {analysis.software}"
        assert row["schema_version"] == analysis.schema_version
        assert row["face_detector"] == analysis.sampling.face_detector
        for model in analysis.models:
            assert row[f"{model.name}_sha256"] == model.sha256
            assert row[f"{model.name}_version"] == model.version
        assert int(row["frame"]) == frame.index
        assert float(row["time"]) == frame.time
        if face is None:
            assert row["score"] in (None, "")
            continue
        assert int(row["track"]) == face.track
        assert float(row["score"]) == face.score
        assert float(row["logit"]) == face.logit
        for name, logit in face.logits.items():
            assert float(row[f"logit_{name}"]) == logit
        assert [float(row[k]) for k in ("left", "top", "right", "bottom")] == list(face.box)
        assert float(row["sharpness"]) == face.quality.sharpness
        assert str(row["usable"]) == str(face.quality.usable)


@pytest.mark.parametrize("analysis", EXAMPLES.values(), ids=EXAMPLES)
def test_csv_holds_every_score_in_full(analysis: Analysis) -> None:
    check_rows(read_csv(tables.to_csv(analysis)), analysis)


@pytest.mark.parametrize("analysis", EXAMPLES.values(), ids=EXAMPLES)
def test_parquet_holds_every_score_in_full(analysis: Analysis) -> None:
    table = pq.read_table(io.BytesIO(tables.to_parquet(analysis)))
    check_rows(table.to_pylist(), analysis)
    about = json.loads(table.schema.metadata[b"veriframe"])
    assert [entry["clip_sha256"] for entry in about] == [analysis.clip.sha256]
    assert about[0]["xception_sha256"] == analysis.models[1].sha256
    assert about[0]["frames_requested"] == analysis.sampling.requested


def test_several_analyses_in_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_BATCH", 7)  # so that parts with other columns meet
    other = example("b.mp4", seed=2)
    fewer = dataclasses.replace(
        other,
        models=other.models[:1],
        frames=tuple(
            dataclasses.replace(
                frame,
                faces=tuple(
                    dataclasses.replace(face, logits={"resnet50": face.logits["resnet50"]})
                    for face in frame.faces
                ),
            )
            for frame in other.frames
        ),
    )
    both = [fewer, example()]
    rows = pq.read_table(io.BytesIO(tables.to_parquet(both))).to_pylist()
    check_rows(rows[: len(rows) // 2], fewer)
    check_rows(rows[len(rows) // 2 :], example())
    assert rows[0]["logit_xception"] is None
    lines = read_csv(tables.to_csv(both))
    assert [line["clip_name"] for line in lines] == ["b.mp4"] * 11 + ["clip.mp4"] * 11
    assert lines[0]["logit_xception"] == ""
    assert len(read_csv(tables.to_csv([]))) == 0
    assert pq.read_table(io.BytesIO(tables.to_parquet([]))).num_rows == 0


NAMES = {
    "formula": '=HYPERLINK("http://x","y").mp4',
    "plus": "+1.mp4",
    "minus": "-1.mp4",
    "at": "@SUM(A1).mp4",
    "tab": "\t=1.mp4",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_name_becomes_a_formula(name: str) -> None:
    rows = read_csv(tables.to_csv(example(name)))
    assert rows[0]["clip_name"] == "'" + name
    # Only text: a number that is negative stays a number.
    assert any(row["logit"].startswith("-") for row in rows)


def test_what_is_filtered_is_exported(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library.sqlite") as library:
        library.add(example("a.mp4", seed=1, frames=9))
        library.add(example("b.mp4", seed=2, version="v1"))
        chosen = FrameFilter(disagree=True, usable=True)
        expected = library.frames(chosen, sort="-score").items
        lines = read_csv(tables.filtered_csv(library, chosen, "-score"))
        table = pq.read_table(io.BytesIO(tables.filtered_parquet(library, chosen, "-score")))
        nothing = read_csv(tables.filtered_csv(library, FrameFilter(score=(2, None))))
    assert 0 < len(expected) < 16
    assert [float(line["score"]) for line in lines] == [row.score for row in expected]
    assert [row["score"] for row in table.to_pylist()] == [row.score for row in expected]
    assert {line["xception_version"] for line in lines} == {"v0", "v1"}
    assert len(json.loads(table.schema.metadata[b"veriframe"])) == 2
    assert nothing == []


def test_exports_of_the_store_and_of_the_analysis_are_the_same(tmp_path: Path) -> None:
    analysis = example(frames=9)
    with Library.open(tmp_path / "library.sqlite") as library:
        id = library.add(analysis)
        kept = tables.filtered_csv(library, FrameFilter(analyses=[id]))
    assert kept == tables.to_csv(analysis)


# --- PDF ------------------------------------------------------------------------------------


def pages(content: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(content)
    return [page.get_textpage().get_text_bounded() for page in document]


def grey(content: bytes, number: int) -> np.ndarray:
    page = pypdfium2.PdfDocument(content)[number]
    return np.asarray(page.render(scale=1.5, grayscale=True).to_pil().convert("L"))


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("analysis", EXAMPLES.values(), ids=EXAMPLES)
def test_pdf_says_what_the_analysis_says(analysis: Analysis) -> None:
    content = export.to_pdf(analysis, Drawn())
    texts = pages(content)
    text = flat(" ".join(texts))
    finding = analysis.finding
    assert BANDS[finding.band] in text if finding.band else STATES[finding.states[0]] in text
    for reason in finding.reasons:
        assert flat(reason)[:60] in text
    for limit in LIMITATIONS:
        assert flat(limit)[:60] in text
    for model in analysis.models:
        assert model.sha256 in text.replace(" ", "")
    assert analysis.clip.sha256 in text
    assert f"Veriframe {analysis.software}" in text
    assert "python -m detector verify" in text
    for number, page in enumerate(texts, 1):
        assert f"Page {number} of {len(texts)}" in page
        assert analysis.clip.sha256 in page
    lower = text.lower()
    assert "fake" not in lower
    assert "is real" not in lower


def test_pdf_is_a4_and_the_same_every_time() -> None:
    content = export.to_pdf(example(), Drawn())
    assert content == export.to_pdf(example(), Drawn())
    document = pypdfium2.PdfDocument(content)
    for page in document:
        assert page.get_size() == pytest.approx((595.28, 841.89), abs=0.1)
    assert document.get_metadata_value("Title") == "Veriframe report: clip.mp4"


def test_pdf_pages_are_drawn_within_their_margins() -> None:
    content = export.to_pdf(example(frames=12, faces=2, level=2.0), Drawn(), heat_maps(example(
        frames=12, faces=2, level=2.0)), inspect(SAMPLES / "grid_bbaf2n.mp4"))  # fmt: skip
    for number in range(len(pages(content))):
        image = grey(content, number)
        _, width = image.shape
        margin = round(11 / 210 * width)
        border = np.ones_like(image, bool)
        border[margin:-margin, margin:-margin] = False
        assert (image[border] > 250).all(), f"ink in the margin of page {number + 1}"
        assert (image < 100).mean() > 0.005, f"page {number + 1} is empty"


def heat_maps(analysis: Analysis) -> dict:
    return {
        (frame.index, face.track): np.full((40, 40, 3), (200, 30, 30), np.uint8)
        for frame in analysis.frames
        for face in frame.faces
    }


def test_chart_shows_scores_in_black_on_white() -> None:
    low, high = (export.to_pdf(example(faces=1, level=v, frames=12)) for v in (-2.0, 2.0))

    def middle_of_ink(content: bytes) -> float:
        image = grey(content, 0)
        height, width = image.shape
        text = pypdfium2.PdfDocument(content)[0].get_textpage()
        found = text.search("Scores over time").get_next()
        assert found is not None
        _, bottom, _, _ = text.get_charbox(found[0])
        top = round((841.89 - bottom) / 841.89 * height)
        left, right = round(0.2 * width), round(0.7 * width)
        chart = image[top + 12 : top + round(48 / 297 * height), left:right]
        inside = chart[:, :] < 60
        rows = np.nonzero(inside.mean(axis=1) < 0.6)[0]  # the frame of the chart fills its row
        weight = inside[rows].sum(axis=1)
        return float((rows * weight).sum() / weight.sum() / len(chart))

    assert middle_of_ink(high) < 0.4 < 0.6 < middle_of_ink(low)  # 0 is the top


def test_pictures_of_the_strongest_frames_are_in_the_pdf() -> None:
    analysis = example(frames=12, faces=2)
    bare, full = export.to_pdf(analysis), export.to_pdf(analysis, Drawn(), heat_maps(analysis))
    assert count_images(bare) == 0
    assert count_images(full) == 3 * STRONGEST
    assert "No pictures were kept" in flat(" ".join(pages(bare)))
    assert "where the networks looked" in flat(" ".join(pages(full)))


def count_images(content: bytes) -> int:
    image = pypdfium2.raw.FPDF_PAGEOBJ_IMAGE
    return sum(
        len(list(page.get_objects(filter=[image]))) for page in pypdfium2.PdfDocument(content)
    )


def test_strongest_frames_are_the_highest_usable_ones_apart_in_time() -> None:
    analysis = example(frames=40, faces=2, duration=40.0)
    chosen = strongest_faces(analysis, 6)
    assert len(chosen) == 6
    assert all(face.quality.usable for _, face in chosen)
    times = [frame.time for frame, _ in chosen]
    assert times == sorted(times)
    assert min(b - a for a, b in itertools.pairwise(times)) >= 40 / 12
    best = max(f.logit for frame in analysis.frames for f in frame.faces if f.quality.usable)
    assert best in [face.logit for _, face in chosen]


def test_pdf_of_what_the_library_kept(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library.sqlite") as library:
        id = library.add(example(), Drawn())
        content = export.to_pdf(library.get(id), library.pictures(id))
    assert count_images(content) == 2 * 5


def test_pdf_names_provenance() -> None:
    content = export.to_pdf(example(), provenance=inspect(SAMPLES / "grid_bbaf2n.mp4"))
    text = flat(" ".join(pages(content)))
    assert "QuickTime / MOV" in text
    assert "The file carries no Content Credentials." in text
    assert "no evidence of manipulation: metadata can be changed" in text


STRANGE_NAMES = {
    "markup": ("<b>bold</b> & <font color='red'>.mp4", "<b>bold</b> & <font color='red'>.mp4"),
    "cyrillic and greek": ("видео Ωμέγα.mp4", "видео Ωμέγα.mp4"),
    "right-to-left override": ("clip\u202e4pm.exe", "clip<U+202E>4pm.exe"),
    "no text": ("a\x00b\x1b[31m.mp4", "a<U+0000>b<U+001B>[31m.mp4"),
    "emoji": ("🫠.mp4", "<U+1FAE0>.mp4"),
    "a sign that one font has": ("\u2603.mp4", "\u2603.mp4"),
    "very long": ("x" * 400 + ".mp4", "xxx.mp4"),
    "chinese": ("新闻.mp4", ".mp4"),
    "japanese": ("ニュース映像.mp4", ".mp4"),
    "korean": ("뉴스.mp4", ".mp4"),
}


@pytest.mark.parametrize(("name", "shown"), STRANGE_NAMES.values(), ids=STRANGE_NAMES)
def test_strange_names_are_printed_whole(name: str, shown: str) -> None:
    content = export.to_pdf(example(name))
    text = "".join(pages(content)[0].split())
    assert "".join(shown.split()) in text


def test_letters_that_are_not_embedded_are_spelt_out_too() -> None:
    text = "".join(pages(export.to_pdf(example("新闻.mp4")))[0].split())
    assert "<U+65B0><U+95FB>.mp4" in text
    assert "<U+" not in "".join(pages(export.to_pdf(example("видео.mp4"))))


def test_thousands_of_scores_stay_printable() -> None:
    analysis = example(frames=4000, faces=1)
    texts = pages(export.to_pdf(analysis))
    assert len(texts) < 12
    assert f"The first {sections.MOST_ROWS} of 3,999 scores" in flat(" ".join(texts))


# --- files ----------------------------------------------------------------------------------


def test_save_writes_each_format(tmp_path: Path) -> None:
    for name in export.FORMATS:
        path = tmp_path / export.file_name(example(), name)
        assert export.save(example(), path, Drawn()) == path
        assert path.stat().st_size > 1000
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [
        ".csv", ".json", ".parquet", ".pdf",
    ]  # fmt: skip


def test_save_refuses_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReportError, match=r"\.json, \.csv, \.parquet, \.pdf"):
        export.save(example(), tmp_path / "report.docx")
    with pytest.raises(ReportError, match="choose another place"):
        export.save(example(), tmp_path / "not there" / "report.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ReportError, match="choose another place"):
        export.save(example(), tmp_path / "folder.json")
    old = tmp_path / "old.json"
    old.write_text("as it was")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ReportError, match="No space left"):
        export.save(example(), old)
    assert old.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.json", "old.json"]


DOWNLOADS = {
    "plain": ("interview.mp4", "interview-"),
    "spaces and signs": ("my  clip: 1?.mov", "my-clip-1-"),
    "a path": ("../../etc/clip.mov", "clip-"),
    "no letters": ("…?!.mp4", "clip-"),
    "dots": ("..mp4", "clip-"),
    "other script": ("видео.mp4", "видео-"),
    "long": ("y" * 300 + ".mp4", "y" * 60 + "-"),
}


@pytest.mark.parametrize(("name", "start"), DOWNLOADS.values(), ids=DOWNLOADS)
def test_downloads_have_a_sensible_name(name: str, start: str) -> None:
    analysis = example(name)
    expected = f"{start}{analysis.clip.sha256[:8]}-veriframe.pdf"
    assert export.file_name(analysis, "pdf") == expected


def test_report_starts_without_its_heavy_libraries() -> None:
    code = (
        "import sys; import detector.report.export; "
        "print([m for m in ('torch', 'reportlab', 'pyarrow', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
