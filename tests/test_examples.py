"""The scripts of examples/ and docs/quickstart.md run as a reader would start them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from detector.files import ASSETS
from tests.helpers.processes import ROOT
from tests.helpers.served import serve

CLIP = ASSETS / "samples" / "grid_brbk7n.mp4"
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


def run(module: str, *arguments: object, data: Path) -> str:
    """Run `python -m MODULE` in the project's folder; return what it says, or fail with it."""
    ended = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"VERIFRAME_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_each_is_short_and_says_how_it_is_started(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= 40
    assert f"python -m examples.{script.stem} " in text
    readme = (ROOT / "examples" / "README.md").read_text()
    assert f"]({script.name})" in readme


def test_scan_a_clip(tmp_path: Path) -> None:
    said = run("examples.scan_a_clip", CLIP, data=tmp_path)
    assert re.match(r"band (little|inconclusive|some|strong), score 0\.\d\d, face 1\n", said)
    assert len(re.findall(r"^ +\d\.\d\d s  face 1  \d\.\d\d", said, re.MULTILINE)) == 16


def test_a_file_that_is_no_clip_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"nothing\.mp4") as refused:
        run("examples.scan_a_clip", tmp_path / "nothing.mp4", data=tmp_path)
    assert "Traceback" not in str(refused.value)


def test_feature_maps(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    said = run("examples.feature_maps", CLIP, 1.2, folder, data=tmp_path)
    assert [line.split(": ")[1].split()[0] for line in said.splitlines()] == ["64", "1024", "2048"]
    names = ["face.png", "resnet50-1.png", "resnet50-24.png", "resnet50-48.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        picture = cv2.imread(str(folder / name))
        assert picture is not None
        assert picture.std() > 1


def test_folder_to_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet

    (tmp_path / "clips" / "deeper").mkdir(parents=True)
    shutil.copy(CLIP, tmp_path / "clips" / "deeper")
    shutil.copy(CLIP.with_name("noface_intel_cars.mp4"), tmp_path / "clips")
    (tmp_path / "clips" / "broken.mp4").write_bytes(b"nothing")
    table = tmp_path / "scores.parquet"
    said = run("examples.folder_to_parquet", tmp_path / "clips", table, data=tmp_path)
    assert said.count("scanned") == 2
    rows = pyarrow.parquet.read_table(table).to_pylist()
    scored = [row for row in rows if row["score"] is not None]
    assert len(scored) == 8
    assert {row["clip_name"] for row in scored} == {CLIP.name}


def test_follow_a_job(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        token = run("detector", "token", "create", "an example", data=server.data).split()[0]
        report = tmp_path / "report.pdf"
        said = run(
            "examples.follow_a_job", server.url, token, CLIP, report, data=tmp_path / "elsewhere"
        )
    assert "done: 16 of 16 frames" in said
    assert said.splitlines()[-1] in {"little", "inconclusive", "some", "strong"}
    assert report.read_bytes().startswith(b"%PDF")


def test_the_quickstart_is_true(tmp_path: Path) -> None:
    """Its commands run in order, then its snippets, in a folder of their own with one library."""
    text = (ROOT / "docs" / "quickstart.md").read_text().replace("assets/", f"{ASSETS}/")
    text, server = text.split("## Ask a server")
    blocks = re.findall(r"```(bash|python)\n(.*?)```", text, re.DOTALL)
    commands = [line for kind, block in blocks if kind == "bash" for line in block.splitlines()]
    snippets = "\n".join(block for kind, block in blocks if kind == "python")
    assert commands.pop(0).startswith("make setup ")
    starts = [command.removeprefix(".venv/bin/python ").split() for command in commands]
    said = ""
    for words in (*starts, ["-c", snippets]):
        ended = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=os.environ | {"VERIFRAME_DATA": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{words}\n{ended.stderr}"
        said += ended.stdout
    assert "face 1: 8 usable frames, some" in said
    assert "(304, 304)" in said
    assert "1 grid_brbk7n.mp4 little" in said
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert len(list((tmp_path / "explained").iterdir())) == 3
    assert "examples.follow_a_job http" in server  # which is run above
