"""The demonstration pair: alike in everything but the blend, and it works as an example."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from detector.errors import ExplanationError
from detector.explanation.explainer import Explainer
from detector.faces.blazeface import BlazeFace
from detector.faces.face import Face
from detector.files import ASSETS
from detector.models.spec import read_ensemble
from detector.training.demonstration import SelfBlend, make_pair, pan_and_zoom, self_blended
from tests.helpers.crops import crop_of

FACE = Face(
    (60.0, 60.0, 140.0, 140.0),
    ((85.0, 85.0), (115.0, 85.0), (100.0, 100.0), (100.0, 115.0), (65.0, 90.0), (135.0, 90.0)),
    0.9,
)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)


def test_a_self_blend_changes_the_inner_face_only(picture: np.ndarray) -> None:
    found = self_blended(picture, FACE, SelfBlend())
    changed = (found != picture).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert changed[80:120, 80:120].mean() > 0.95
    assert rows.min() > 50
    assert rows.max() < 150
    assert columns.min() > 55
    assert columns.max() < 145


@pytest.mark.parametrize(
    "blend",
    [SelfBlend(ratio=0.0),
     SelfBlend(shift=(0, 0), scale=1.0, gains=(1, 1, 1), contrast=1.0, softness=0.0)],
    ids=["nothing blended", "nothing altered"],
)  # fmt: skip
def test_a_blend_of_nothing_is_the_picture_itself(picture: np.ndarray, blend: SelfBlend) -> None:
    np.testing.assert_allclose(self_blended(picture, FACE, blend), picture, atol=1)


def test_the_camera_moves_slowly_and_keeps_the_face_in_view(picture: np.ndarray) -> None:
    frames = list(pan_and_zoom(picture, FACE, side=96, frames=10))
    assert len(frames) == 10
    assert {frame.shape for frame in frames} == {(96, 96, 3)}
    assert (frames[0] != frames[-1]).any()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_pair(tmp_path_factory.mktemp("pair"))


def test_a_pair_is_made_alike(made: tuple[Path, Path]) -> None:
    assert [path.name for path in made] == ["demo_original_hopper.mp4", "demo_selfblend_hopper.mp4"]
    assert sorted(made[0].parent.iterdir()) == list(made)
    assert describe(made[0]) == describe(made[1])


def describe(path: Path) -> tuple:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        return (stream.codec_context.name, stream.width, stream.height, stream.average_rate, frames)


@pytest.mark.parametrize(
    ("name", "says"),
    [("demo_original_hopper", "untouched"), ("demo_selfblend_hopper", "blended into itself")],
)
def test_the_shipped_clips_say_what_they_are(name: str, says: str) -> None:
    path = ASSETS / "samples" / f"{name}.mp4"
    assert describe(path) == ("h264", 480, 480, 25, 75)
    assert path.stat().st_size < 600_000
    with av.open(str(path)) as container:
        assert says in container.metadata["comment"]


def test_the_shipped_pair_is_the_one_this_code_makes(made: tuple[Path, Path]) -> None:
    for path in made:
        for seconds in (0.0, 2.0):
            ours, shipped = (frame_of(p, seconds) for p in (path, ASSETS / "samples" / path.name))
            assert np.abs(ours.astype(int) - shipped).mean() < 2


def frame_of(path: Path, seconds: float) -> np.ndarray:
    from detector.media.reader import frame_at

    return frame_at(path, seconds).image


@pytest.mark.parametrize("seconds", [0.2, 1.2, 2.4])
def test_the_blend_raises_the_score_and_the_original_stays_low(seconds: float) -> None:
    crops = np.stack(
        [crop_of(f"demo_{kind}_hopper", seconds) for kind in ("original", "selfblend")]
    )
    original, manipulated = Explainer.load().logits(crops)
    bands = read_ensemble().bands
    assert original < bands.inconclusive
    assert manipulated > bands.some
    assert manipulated - original > 1


@pytest.mark.parametrize("content", [b"", b"no picture", None], ids=["empty", "text", "no face"])
def test_a_picture_that_will_not_do(tmp_path: Path, content: bytes | None) -> None:
    portrait = tmp_path / "portrait_someone.png"
    if content is None:
        cv2.imwrite(str(portrait), np.zeros((200, 200, 3), np.uint8))
    else:
        portrait.write_bytes(content)
    with pytest.raises(ExplanationError, match=r"portrait_someone\.png"):
        make_pair(tmp_path, portrait)
    assert list(tmp_path.iterdir()) == [portrait]


def test_the_portrait_shows_one_face() -> None:
    from detector.training.demonstration import PORTRAIT

    image = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    assert len(BlazeFace().detect(image)) == 1
