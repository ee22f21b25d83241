"""The command line: the page's numbers, one sentence for what went wrong, and a quick --help."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detector.analysis import scan as pipeline
from detector.analysis.engine import Engine
from detector.commands.cli import COMMANDS, main
from detector.errors import ClipError
from detector.jobs import scan_and_keep
from detector.result import Analysis
from detector.wording import BAND_SHORT, headline
from tests.helpers.bad_clips import BAD
from tests.helpers.clips import write
from tests.helpers.processes import ROOT, python
from tests.helpers.stand_ins import StandInEngine

HEAVY = {
    "torch", "timm", "cv2", "av", "numpy", "openvino", "streamlit", "plotly", "captum",
    "mediapipe", "pandas", "pyarrow", "sqlalchemy", "pydantic", "reportlab", "rich",
}  # fmt: skip


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandInEngine:
    """Every scan of the test uses models that answer at once."""
    engine = StandInEngine()
    monkeypatch.setattr(pipeline, "Engine", lambda: engine)
    return engine


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(tmp_path / "clip.mp4", 40)


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "detector", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "COLUMNS": "200"},
        **options,
    )


# ---------------------------------------------------------------- scan


def test_a_sample_scanned_as_a_person_would(
    engine: Engine,
    sample_clip: Callable[[str], Path],
    sample_analyses: dict[str, Analysis],
    tmp_path: Path,
) -> None:
    """The same numbers as the library gives, in the table and in the JSON."""
    engine.warm_up()  # the converted networks lie in the cache
    name, file = "grid_lwbsza", tmp_path / "result.json"
    done = command("scan", str(sample_clip(name)), "--frames", "4", "--json", str(file))
    assert done.returncode == 0, done.stderr
    expected = sample_analyses[name]
    found = Analysis.from_json(file.read_text("utf-8"))
    assert (found.frames, found.tracks, found.finding, found.clip, found.models) == (
        expected.frames,
        expected.tracks,
        expected.finding,
        expected.clip,
        expected.models,
    )
    for track in expected.tracks:
        (row,) = (line for line in done.stdout.splitlines() if re.match(rf"│ +{track.id} ", line))
        cells = [cell.strip() for cell in row.strip("│").split("│")]
        assert track.logit is not None
        assert track.band is not None
        assert cells == [
            str(track.id),
            f"{track.first:.2f} s",
            f"{track.last:.2f} s",
            "4/4",
            f"{track.logit:+.3f}",
            f"{track.score:.3f}",
            BAND_SHORT[track.band],
        ]
    assert headline(expected) in done.stdout
    for reason in expected.finding.reasons:
        assert f"- {reason}" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_scan_prints_what_was_found(
    stand_in: StandInEngine, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(clip), "--frames", "5"]) == 0
    printed = capsys.readouterr().out
    assert "clip.mp4  128×96, 1.60 s, 5 frames analysed" in printed
    assert re.search(r"│ 1 +│ 0\.16 s +│ [01]\.\d\d s +│ \d/\d +│ [+–]", printed)
    assert stand_in.faces.seen == [4, 12, 20, 28, 36]


@pytest.mark.parametrize(("frames", "looked_at"), [("3", 3), ("all", 40), ("1000", 40), (None, 32)])
def test_frames_are_asked_for_by_number_or_all(
    stand_in: StandInEngine, clip: Path, frames: str | None, looked_at: int
) -> None:
    assert main(["scan", str(clip), *(["--frames", frames] if frames else [])]) == 0
    assert len(stand_in.faces.seen) == looked_at


@pytest.mark.parametrize("frames", ["0", "-3", "many", "1.5", ""])
def test_a_wrong_number_of_frames_is_refused(
    clip: Path, frames: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["scan", str(clip), f"--frames={frames}"])
    assert caught.value.code == 2
    assert "is not a number of frames from 1, or “all”" in capsys.readouterr().err


def test_json_is_written_whole(stand_in: StandInEngine, clip: Path, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text("an older result " * 9999)
    assert main(["scan", str(clip), "--frames", "2", "--json", str(file)]) == 0
    found = Analysis.from_json(file.read_bytes())
    assert found.clip.name == "clip.mp4"
    assert found.sampling.analysed == 2


def test_a_clip_without_faces_is_no_error(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = StandInEngine(lambda number: [])
    monkeypatch.setattr(pipeline, "Engine", lambda: engine)
    assert main(["scan", str(clip), "--frames", "3"]) == 0
    printed = capsys.readouterr().out
    assert "No face found" in printed
    assert "Face " not in printed.replace("No face", "")


def test_tracks_without_a_band_say_why(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = StandInEngine(lambda number: [(10.0, 0.0)] if 2 < number < 10 else [])
    monkeypatch.setattr(pipeline, "Engine", lambda: few)
    assert main(["scan", str(clip), "--frames", "16"]) == 0
    assert "too few usable frames" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["[bold]x.mp4", "[].mp4", "a\x1b[31mred.mp4", ":x:.mp4"])
def test_a_file_name_is_printed_as_it_is_and_rules_no_terminal(
    stand_in: StandInEngine, clip: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = clip.rename(clip.with_name(name))
    assert main(["scan", str(path), "--frames", "1"]) == 0
    printed = capsys.readouterr().out
    assert name.replace("\x1b", " ") in printed
    assert "\x1b" not in printed


# ---------------------------------------------------------------- what goes wrong

FILES = [(name, make, says) for name, make, says in BAD if name != "folder.mp4"]


@pytest.mark.parametrize(
    ("name", "make", "says"), FILES, ids=[name.replace("\0", "")[:24] for name, _, _ in FILES]
)
def test_bad_input_is_one_line_on_stderr_and_exit_code_2(
    stand_in: StandInEngine,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    make: Callable[[Path], object],
    says: str,
) -> None:
    make(tmp_path / name)
    capfd.readouterr()  # encoders talk
    file = tmp_path / "result.json"
    assert main(["scan", str(tmp_path / name), "--json", str(file)]) == 2
    out, err = capfd.readouterr()
    assert err.startswith("veriframe: “")
    assert says in err
    assert err.count("\n") == 1
    assert out.strip() == ""
    assert not file.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--face-detector", "retina"], "There is no face detector 'retina'; choose one of:"),
        (["--json", "/nowhere/result.json"], "does not exist; make it first."),
        (["--json", "."], "cannot be written"),
    ],
    ids=["detector", "no folder", "a folder"],
)
def test_bad_options_are_one_line_too(
    clip: Path, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(clip), "--frames", "1", *options]) == 2
    err = capsys.readouterr().err.strip()
    assert err.startswith("veriframe: ")
    assert says in err
    assert "\n" not in err


def test_a_full_disk_is_one_line(
    stand_in: StandInEngine,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(self: Path, *_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert main(["scan", str(clip), "--frames", "1", "--json", str(tmp_path / "r.json")]) == 2
    assert "cannot be written (No space left on device); choose" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("problem", "code", "says"),
    [
        (ClipError("“x” is odd; try another."), 2, "veriframe: “x” is odd; try another."),
        (KeyboardInterrupt(), 130, "veriframe: stopped; nothing was kept."),
        (BrokenPipeError(), 0, ""),
    ],
    ids=["error", "ctrl-c", "pipe"],
)
def test_exit_codes(
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    problem: BaseException,
    code: int,
    says: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr(scan_and_keep, "scan", fail)
    assert main(["scan", str(clip)]) == code
    assert capsys.readouterr().err.strip() == says


@pytest.mark.parametrize(
    "arguments", [[], ["unknown"], ["scan"], ["scan", "a", "b"], ["scan", "a", "--unknown"]]
)
def test_wrong_usage_is_refused_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m detector" in capsys.readouterr().err


# ---------------------------------------------------------------- quick to answer


@pytest.mark.parametrize("arguments", [["--help"], ["scan", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom detector.commands.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as end: code = end.code\n"
        "print('|', code, *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    printed = python(code)
    _, _, loaded = printed.rpartition("| ")
    status, *modules = loaded.split()
    assert status == "0"
    assert not HEAVY & set(modules)


@pytest.mark.parametrize("module", ["detector", "detector.errors", "detector.commands.cli"])
def test_importing_the_package_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    printed = python(code)
    assert not HEAVY & set(printed.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert f"usage: python -m detector {name}" in printed
    assert COMMANDS[name][1].capitalize()[:30] in printed


def test_the_whole_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    assert all(re.search(rf"^ +{name}\b", printed, re.M) for name in COMMANDS)


def test_a_reader_that_goes_away_is_no_error(clip: Path) -> None:
    """`python -m detector --help | head -0`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "detector", "scan", "--help"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.wait(60)
    assert "Traceback" not in errors


def test_doctor_says_what_is_ready(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.warm_up()
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for network in engine.scorer().ensemble.networks:
        assert f"{network.name} {network.version}, {network.sha256[:12]}…: ready" in printed
    assert "OpenCV" in printed
    assert "openvino" in printed
    assert "Around the decoder, memory: at most 4 GiB" in printed


def test_doctor_names_a_limit_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERIFRAME_MAX_FRAMES", "plenty")
    assert main(["doctor"]) == 2
    assert "VERIFRAME_MAX_FRAMES is “plenty”, which is no limit" in capsys.readouterr().err


def test_doctor_names_a_missing_library(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert main(["doctor"]) == 2
    assert "apt install libgl1 libglib2.0-0" in capsys.readouterr().err
