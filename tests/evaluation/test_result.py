"""detector.evaluation.result: what was written is read back, and the shipped files are whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detector.errors import EvaluationError
from detector.evaluation.result import (
    MODEL_CARD,
    Abstention,
    Calibration,
    Evaluation,
    Robustness,
    read,
    to_json,
    write,
)
from detector.files import MODELS
from detector.models.spec import read_ensemble
from tests.helpers.processes import python

SHIPPED: list[tuple[Any, Path]] = [
    (Evaluation, MODEL_CARD / "evaluation.json"),
    (Robustness, MODEL_CARD / "robustness.json"),
    (Abstention, MODEL_CARD / "abstention.json"),
    (Calibration, MODELS / "calibration.json"),
]
IDS = [kind.__name__ for kind, _ in SHIPPED]


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=IDS)
def test_the_shipped_files_are_as_the_commands_write_them(kind: Any, path: Path) -> None:
    found = read(kind, path)
    assert to_json(found) == path.read_text(encoding="utf-8")
    installed = {network.name: network.sha256 for network in read_ensemble().networks}
    assert {model.name: model.sha256 for model in found.run.models} == installed


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=IDS)
def test_the_shipped_files_name_no_item_and_no_path(kind: Any, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for ending in (".jpg", ".webp", ".png", ".mp4"):
        assert ending not in text
    assert "/" not in text.replace("test/", "")


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=IDS)
def test_written_and_read_again(kind: Any, path: Path, tmp_path: Path) -> None:
    found = read(kind, path)
    write(found, tmp_path / "new" / path.name)
    assert read(kind, tmp_path / "new" / path.name) == found
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entry: entry.update(version="2.0"), "newer than"),
        (lambda entry: entry.pop("run"), "is damaged"),
        (lambda entry: entry["clip"]["auc"].update(value="high"), "is damaged"),
        (lambda entry: entry.pop("version"), "is missing or is no evaluation"),
    ],
    ids=["newer", "cut", "no number", "no version"],
)
def test_what_cannot_be_read_is_said_in_one_sentence(
    tmp_path: Path, change: Any, words: str
) -> None:
    entry = json.loads((MODEL_CARD / "evaluation.json").read_text())
    change(entry)
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(entry))
    with pytest.raises(EvaluationError, match=words):
        read(Evaluation, path)


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[]", b"null"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "evaluation.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EvaluationError, match="python -m detector evaluate"):
        read(Evaluation, path)


def test_a_newer_minor_version_is_read(tmp_path: Path) -> None:
    entry = json.loads((MODEL_CARD / "robustness.json").read_text())
    path = tmp_path / "robustness.json"
    path.write_text(json.dumps(entry | {"version": "1.9", "more": 1}))
    assert read(Robustness, path).version == "1.9"


def test_nothing_half_written_where_it_cannot_be_written(tmp_path: Path) -> None:
    found = read(Evaluation, MODEL_CARD / "evaluation.json")
    (tmp_path / "evaluation.json").mkdir()
    with pytest.raises(EvaluationError, match="cannot be written"):
        write(found, tmp_path / "evaluation.json")
    assert [entry.name for entry in tmp_path.iterdir()] == ["evaluation.json"]


def test_reading_needs_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from detector.evaluation.result import *; "
        "read(Evaluation, MODEL_CARD / 'evaluation.json'); "
        "print(sorted({'torch', 'pandas', 'sklearn', 'cv2'} & set(sys.modules)))"
    )
    assert python(code) == "[]"
