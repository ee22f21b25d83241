"""detector.cluster.scan on a local Ray of several processes: every clip one row, whatever dies."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import psutil
import pyarrow.parquet
import pytest

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.cluster import scan as cluster_module
from detector.cluster.connection import cluster
from detector.cluster.scan import ClusterOutcome, ClusterProgress, scan_cluster
from detector.cluster.source import find_source
from detector.cluster.target import Target
from detector.errors import ClusterError, ModelError
from detector.result import Analysis
from detector.settings import Settings
from tests.helpers.clips import write
from tests.helpers.cluster_looks import hostile_look
from tests.helpers.processes import ROOT

SAMPLES = ROOT / "assets" / "samples"
FOUR = Settings(frames=4)
SCORES = "MapWorker(MapBatches(Score))"


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """A Ray on two cores of this machine, of which nothing is left afterwards."""
    before = set(Path("/tmp").glob("vf-ray-*"))
    with cluster("local"):
        yield
    assert set(Path("/tmp").glob("vf-ray-*")) == before
    assert not [
        child
        for child in psutil.Process().children(recursive=True)
        if "ray::" in " ".join(child.cmdline())
    ]


@dataclass
class Scanned:
    """A folder of clips that was scanned while workers died, and what became of them."""

    folder: Path
    table: Path
    target: Target
    outcome: ClusterOutcome
    killed: list[int] = field(default_factory=list)

    def tries(self, name: str) -> int:
        return len((self.target_folder.parent / f"tries-{name}").read_text())

    @property
    def target_folder(self) -> Path:
        return Path(self.target.place)


@pytest.fixture(scope="module")
def scanned(ray: None, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """Eight clips of a table that lists one twice; two kill their worker, the scorer is killed.

    They are looked at in two groups, "a two" to "gone" and "late one" to "once", so that workers
    die when some of their group's clips have gone on to be scored.
    """
    place = tmp_path_factory.mktemp("cluster")
    folder = place / "clips"
    folder.mkdir()
    shutil.copyfile(SAMPLES / "grid_two_faces_lbbc2a_lbax4n.mp4", folder / "a two.mp4")
    shutil.copyfile(SAMPLES / "grid_bbaf2n.mp4", folder / "once.mp4")
    write(folder / "late one.mp4", 6)
    write(folder / "late two.mp4", 7)
    write(folder / "always.mp4", 8)
    write(folder / "none.mp4", 9)
    (folder / "broken.mp4").write_bytes(b"no clip" * 100)
    table = place / "clips.csv"
    names = [path.name for path in sorted(folder.iterdir())]
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["number", "clip"], *enumerate(f"clips/{name}" for name in names)])
        rows.writerows([[98, "clips/a two.mp4"], [99, "clips/gone.mp4"]])
    found = Scanned(folder, table, Target.at(str(place / "out")), ClusterOutcome(0, 0, 0, 0, 0))

    def kill_scorer(progress: ClusterProgress) -> None:
        if progress.done and not found.killed:
            for process in psutil.process_iter(["pid", "cmdline"]):
                if SCORES in " ".join(process.info["cmdline"] or ()):
                    process.kill()
                    found.killed.append(process.pid)
            (place / "go").touch()

    with mock.patch.object(cluster_module, "_group_size", return_value=4):
        found.outcome = scan_cluster(
            find_source(str(table)), found.target, FOUR, on_progress=kill_scorer, look=hostile_look
        )
    return found


def rows_of(target: Target) -> list[dict]:
    """All rows of a target, as any reader of partitioned Parquet sees them."""
    return pyarrow.parquet.read_table(target.place).to_pylist()


def files_of(target: Target) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path(target.place).rglob("*.parquet")}


# ---------------------------------------------------------------- what dies loses nothing


def test_every_clip_is_one_row_though_workers_were_killed(scanned: Scanned) -> None:
    assert scanned.killed, "the scoring actor was to be killed"
    rows = rows_of(scanned.target)
    states = {Path(row["path"]).name: row["state"] for row in rows}
    assert len(rows) == len(states) == 8
    assert states == {
        "a two.mp4": "analysed",
        "once.mp4": "analysed",
        "late one.mp4": "analysed",
        "late two.mp4": "analysed",
        "none.mp4": "analysed",
        "always.mp4": "failed",
        "broken.mp4": "failed",
        "gone.mp4": "failed",
    }
    assert scanned.outcome == ClusterOutcome(8, 5, 0, 3, 0)
    assert scanned.outcome.exit_code == 1


def test_a_clip_may_kill_three_workers(scanned: Scanned) -> None:
    assert scanned.tries("once.mp4") == 2
    assert scanned.tries("always.mp4") == 3
    errors = {Path(row["path"]).name: row["error"] for row in rows_of(scanned.target)}
    assert errors["always.mp4"].startswith("“always.mp4” ended 2 workers that read nothing else;")
    assert "is not a video" in errors["broken.mp4"]
    assert "“gone.mp4” cannot be opened" in errors["gone.mp4"]
    assert errors["a two.mp4"] is None


def test_a_clip_answers_for_itself_alone(ray: None, tmp_path: Path) -> None:
    """One that meets a worker's death in a group with a worse one has its own two workers left."""
    clips = tmp_path / "clips"
    clips.mkdir()
    write(clips / "always.mp4", 3)
    write(clips / "once.mp4", 4)
    (tmp_path / "go").touch()
    target = Target.at(str(tmp_path / "out"))
    with mock.patch.object(cluster_module, "_group_size", return_value=2):
        outcome = scan_cluster(find_source(str(clips)), target, FOUR, look=hostile_look)
    assert outcome == ClusterOutcome(2, 1, 0, 1, 0)
    assert (tmp_path / "tries-always.mp4").read_text() == "xxx"
    assert (tmp_path / "tries-once.mp4").read_text() == "xx"


def test_rows_say_what_analyse_says(scanned: Scanned, engine: Engine) -> None:
    rows = {Path(row["path"]).name: row for row in rows_of(scanned.target)}
    for name in ("a two.mp4", "once.mp4", "none.mp4"):
        row, alone = rows[name], scan(scanned.folder / name, FOUR, engine)
        found = Analysis.from_json(row["analysis"])
        assert (found.clip, found.sampling, found.bands) == (
            alone.clip,
            alone.sampling,
            alone.bands,
        )
        assert found.models == alone.models
        assert row["sha256"] == alone.clip.sha256
        assert row["fingerprint"] == engine.models_for(FOUR).fingerprint
        assert row["model_version"] == ", ".join(f"{m.name} {m.version}" for m in alone.models)
        assert str(row["date"]) == row["created"][:10] or row["created"] > str(row["date"])
        assert (row["tracks"], row["frames"]) == (len(alone.tracks), len(alone.frames))
        assert row["band"] == alone.finding.band
        assert row["score"] == pytest.approx(alone.finding.score, abs=1e-3)
        assert row["logit"] == pytest.approx(alone.finding.logit, abs=5e-3)
        for ours, theirs in zip(found.frames, alone.frames, strict=True):
            assert (ours.index, ours.time) == (theirs.index, theirs.time)
            for face, other in zip(ours.faces, theirs.faces, strict=True):
                assert (face.track, face.box, face.quality) == (
                    other.track,
                    other.box,
                    other.quality,
                )
                assert face.score == pytest.approx(other.score, abs=1e-3)
        assert found.finding.states == alone.finding.states


def test_nothing_but_whole_files_is_left(scanned: Scanned) -> None:
    names = [path.name for path in scanned.target_folder.rglob("*") if path.is_file()]
    assert names
    assert all(name.startswith("part-") and name.endswith(".parquet") for name in names)


# ---------------------------------------------------------------- again


def test_a_second_scan_does_nothing(scanned: Scanned) -> None:
    before = files_of(scanned.target)
    seen: list[ClusterProgress] = []
    source = find_source(str(scanned.folder))  # another way to name seven of the same clips
    outcome = scan_cluster(source, scanned.target, FOUR, on_progress=seen.append)
    assert outcome == ClusterOutcome(7, 0, 5, 0, 2)
    assert outcome.exit_code == 1
    assert [(one.done, one.total) for one in seen] == [(7, 7)]
    assert files_of(scanned.target) == before


def test_failed_clips_are_tried_again_when_asked(scanned: Scanned, tmp_path: Path) -> None:
    copy = Target.at(f"file://{tmp_path}/copy")  # an address that fsspec knows
    shutil.copytree(scanned.target.place, tmp_path / "copy")
    outcome = scan_cluster(find_source(str(scanned.table)), copy, FOUR, retry_failed=True)
    assert outcome == ClusterOutcome(8, 1, 5, 2, 0)
    rows = pyarrow.parquet.read_table(tmp_path / "copy").to_pylist()
    states = {Path(row["path"]).name: row["state"] for row in rows}
    assert len(rows) == len(states) == 8
    failed = sorted(name for name, state in states.items() if state == "failed")
    assert failed == ["broken.mp4", "gone.mp4"]
    assert states["always.mp4"] == "analysed"


def test_command_connects_by_address(ray: None, scanned: Scanned) -> None:
    import ray as library

    address = library.get_runtime_context().gcs_address
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "detector",
            "scan",
            str(scanned.folder),
            "--ray",
            address,
            "--out",
            scanned.target.place,
            "--frames",
            "4",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == (
        f"0 analysed, 7 known already (2 failed before), 0 failed; written to "
        f"{scanned.target.place}\n"
    )


# ---------------------------------------------------------------- what cannot be


def test_target_that_fills_up_ends_the_scan(ray: None, scanned: Scanned, tmp_path: Path) -> None:
    def block(progress: ClusterProgress) -> None:
        if not progress.done:  # after the checks, before the first row
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "date=2031").touch()
            day = next(scanned.target_folder.iterdir()).name
            (tmp_path / "out" / day).write_text("no folder")

    source = find_source(str(scanned.folder / "none.mp4"))
    with pytest.raises(ClusterError, match="Nothing can be written to"):
        scan_cluster(source, Target.at(str(tmp_path / "out")), FOUR, on_progress=block)
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_models_that_are_not_there(ray: None, scanned: Scanned, tmp_path: Path) -> None:
    target = Target.at(str(tmp_path / "out"))
    source = find_source(str(scanned.folder))
    with pytest.raises(ModelError, match="no face detector"):
        scan_cluster(source, target, Settings(face_detector="none"))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
