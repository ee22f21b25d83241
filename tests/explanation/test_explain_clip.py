"""`explain` from the command line: one face, one map, three files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.commands import explain as command
from detector.errors import ClipError, ExplanationError
from detector.explanation.explain_clip import explain, write
from detector.explanation.explainer import Explainer
from detector.files import ASSETS

SAMPLES = ASSETS / "samples"
CLIP = SAMPLES / "demo_selfblend_hopper.mp4"


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def test_the_issues_own_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    assert (
        run(
            str(CLIP),
            "--time",
            "1.2",
            "--method",
            "grad-cam",
            "--layer",
            "resnet50:48",
            "--out",
            str(out),
        )
        == 0
    )
    name = "demo_selfblend_hopper_1.20s_face0_grad-cam_resnet50-48"
    assert sorted(path.name for path in out.iterdir()) == [
        f"{name}.json",
        f"{name}.npz",
        f"{name}.png",
    ]
    said = capsys.readouterr().out
    assert "Grad-CAM at resnet50:48" in said
    assert f"{name}.png" in said

    described = json.loads((out / f"{name}.json").read_text())
    assert described["clip"] == CLIP.name
    assert described["time"] == pytest.approx(1.2)
    assert described["frame"] == 30
    assert described["layers"] == ["resnet50:48"]
    assert described["network"] == "resnet50"
    with np.load(out / f"{name}.npz") as arrays:
        again = Explainer.load().attribute(arrays["crop"], "grad-cam", "resnet50")
        np.testing.assert_allclose(arrays["map"], again.map, atol=1e-4)
        assert float(arrays["logit"]) == pytest.approx(described["logit"])
        picture = cv2.imread(str(out / f"{name}.png"))[..., ::-1]
        np.testing.assert_array_equal(picture, again.overlay(arrays["crop"], 0.55))


def test_the_ensemble_is_explained_where_nothing_is_chosen(tmp_path: Path) -> None:
    assert run(str(CLIP), "--time", "0.5", "--out", str(tmp_path)) == 0
    (description,) = tmp_path.glob("*.json")
    described = json.loads(description.read_text())
    assert described["network"] == "ensemble"
    assert described["layers"] == ["resnet50:48", "xception:36"]
    assert description.stem.endswith("resnet50-48-xception-36")
    assert described["faithfulness"] is None


def test_faces_are_counted_from_the_left() -> None:
    clip = SAMPLES / "grid_two_faces_lbbc2a_lbax4n.mp4"
    left, right = (explain(clip, 1.0, network="resnet50", number=n) for n in (0, 1))
    assert left.face.box[0] < 300 < right.face.box[0]
    assert (left.crop != right.crop).any()


def test_a_map_can_be_tested_on_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(str(CLIP), "--layer", "resnet50:24", "--faithfulness", "--out", str(tmp_path))
    (description,) = tmp_path.glob("*.json")
    described = json.loads(description.read_text())["faithfulness"]
    assert len(described["logits"]) == 21
    assert described["sentence"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([str(CLIP), "--layer", "resnet50:99"], "resnet50:0 to resnet50:48"),
        ([str(CLIP), "--layer", "resnet50:48", "--network", "xception"], "belong together"),
        ([str(CLIP), "--layer", "xception:36", "--method", "occlusion"], "leave the layer out"),
        ([str(CLIP), "--face", "1"], "choose face 0"),
        ([str(CLIP), "--face", "-1"], "choose face 0"),
        ([str(CLIP), "--opacity", "2"], "from 0 to 1"),
        ([str(SAMPLES / "grid_two_faces_lbbc2a_lbax4n.mp4"), "--face", "2"], "choose face 0 to 1"),
        ([str(SAMPLES / "noface_intel_cars.mp4")], "No face was found"),
    ],
    ids=["layer", "network", "method", "face", "negative face", "opacity", "third face", "cars"],
)
def test_bad_input_writes_nothing(tmp_path: Path, arguments: list[str], says: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(ExplanationError, match=says):
        run(*arguments, "--out", str(out))
    assert not out.exists()


def test_a_clip_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ClipError):
        run(str(tmp_path / "missing.mp4"), "--out", str(tmp_path))


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    result = explain(CLIP, 0.0, address="resnet50:48")
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(ExplanationError, match="choose another folder"):
        write(result, blocked / "out", 0.5)
    assert list(tmp_path.iterdir()) == [blocked]
