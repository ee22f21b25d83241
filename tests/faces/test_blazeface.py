"""The same boxes from both, and true crops."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.errors import ModelError
from detector.faces import blazeface
from detector.faces.blazeface import BlazeFace, ConfirmedFaces, _anchors
from detector.faces.face import KEY_POINTS, Face
from detector.faces.geometry import crop_face, iou, weighted_nms
from detector.faces.mediapipe import PRIVACY_NOTE, MediaPipeFaces
from detector.media.reader import frame_at, sample
from detector.samples import samples
from tests.helpers.processes import python

PEOPLE = ("grid_bbaf2n", "grid_brbk7n", "grid_lwbsza", "grid_swiz3n")
CERTAIN = 0.7


@pytest.fixture(scope="module")
def full() -> BlazeFace:
    return BlazeFace("full")


@pytest.fixture(scope="module")
def confirmed() -> ConfirmedFaces:
    return ConfirmedFaces()


@pytest.fixture(scope="module")
def pictures(portraits: dict[str, Path]) -> dict[str, np.ndarray]:
    """Three frames of every shipped clip, and every portrait."""
    found = {
        f"{clip.path.stem} {frame.time:.2f} s": frame.image
        for clip in samples()
        for frame in sample(clip.path, 3)
    }
    found |= {name: frame_at(path, 0).image for name, path in portraits.items()}
    return found


@pytest.fixture(scope="module")
def lincoln(portraits: dict[str, Path]) -> np.ndarray:
    return frame_at(portraits["abraham"], 0).image


# ---------------------------------------------------------------- the two backends


@pytest.fixture(scope="module", params=["full", "short"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[BlazeFace, MediaPipeFaces]]:
    theirs = MediaPipeFaces(request.param)
    yield BlazeFace(request.param), theirs
    theirs._detector.close()  # MediaPipe complains when the interpreter does it


def test_openvino_finds_the_boxes_that_mediapipe_finds(
    both: tuple[BlazeFace, MediaPipeFaces], pictures: dict[str, np.ndarray]
) -> None:
    ours, theirs = both
    compared = 0
    for name, image in pictures.items():
        pair = ours.detect(image), theirs.detect(image)
        for mine, yours in (pair, pair[::-1]):
            for face in mine:
                if face.score > CERTAIN:
                    compared += 1
                    assert best_overlap(face, yours) >= 0.95, (name, face.box)
    people = 2 * (len(PEOPLE) * 3 + 2 * 3 + 4)
    assert compared >= people, "every person shown was compared, in both directions"


def test_scores_and_key_points_agree_with_mediapipe(
    both: tuple[BlazeFace, MediaPipeFaces], lincoln: np.ndarray
) -> None:
    mine, yours = (detector.detect(lincoln) for detector in both)
    assert len(mine) == len(yours) == 1
    assert mine[0].score == pytest.approx(yours[0].score, abs=0.02)
    distance = np.linalg.norm(np.subtract(mine[0].key_points, yours[0].key_points), axis=1)
    assert distance.max() < 0.03 * mine[0].size


def best_overlap(face: Face, others: tuple[Face, ...]) -> float:
    boxes = np.array([other.box for other in others]).reshape(-1, 4)
    return float(iou(np.array(face.box), boxes).max(initial=0))


@pytest.mark.parametrize("problem", [ImportError("No module"), OSError("libEGL.so.1: missing")])
def test_a_machine_without_mediapipe_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    class Refusing:
        def find_spec(self, name: str, *_: object) -> None:
            if name.startswith("mediapipe"):
                raise problem

    for name in [name for name in sys.modules if name.split(".")[0] == "mediapipe"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(ModelError, match="libegl1 and libgles2, or choose BlazeFace on OpenVINO"):
        MediaPipeFaces()


def test_mediapipe_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from mediapipe.tasks.python import vision

    def refuse(_: object) -> None:
        raise RuntimeError("no graph")

    monkeypatch.setattr(vision.FaceDetector, "create_from_options", refuse)
    with pytest.raises(ModelError, match=r"\(no graph\); choose BlazeFace on OpenVINO"):
        MediaPipeFaces()


def test_mediapipe_is_imported_only_when_chosen() -> None:
    assert "Google" in PRIVACY_NOTE

    code = ("import sys, detector.analysis.engine as a; e = a.Engine();"
            "e.face_detector('blazeface-full'); print('mediapipe' in sys.modules)")  # fmt: skip
    printed = python(code)
    assert printed == "False"


# ---------------------------------------------------------------- who is found, who is not


@pytest.mark.parametrize("name", PEOPLE)
def test_one_person_is_one_face(
    confirmed: ConfirmedFaces, sample_clip: Callable[[str], Path], name: str
) -> None:
    for frame in sample(sample_clip(name), 5):
        found = confirmed.detect(frame.image)
        assert len(found) == 1
        assert found[0].score > CERTAIN


def test_two_people_are_two_faces(
    confirmed: ConfirmedFaces, sample_clip: Callable[[str], Path]
) -> None:
    for frame in sample(sample_clip("grid_two_faces_lbbc2a_lbax4n"), 4):
        left, right = sorted(face.box for face in confirmed.detect(frame.image))
        assert left[2] <= frame.image.shape[1] / 2 <= right[0]


def every_frame(path: Path) -> Iterator[np.ndarray]:
    return (frame.image for frame in sample(path, None))


@pytest.mark.parametrize("name", ["noface_nasa_webb_mirror", "noface_intel_cars"])
def test_no_face_is_found_where_there_is_none(
    confirmed: ConfirmedFaces, sample_clip: Callable[[str], Path], name: str
) -> None:
    found = [confirmed.detect(image) for image in every_frame(sample_clip(name))]
    assert not any(found)


def test_the_second_look_is_what_refuses_the_telescope(
    full: BlazeFace, sample_clip: Callable[[str], Path]
) -> None:
    path = sample_clip("noface_nasa_webb_mirror")
    alone = [face.score for image in every_frame(path) for face in full.detect(image)]
    assert alone
    assert max(alone) < blazeface.CERTAIN


def test_only_uncertain_finds_get_a_second_look(
    confirmed: ConfirmedFaces,
    sample_clip: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = frame_at(sample_clip("grid_brbk7n"), 1).image
    (alone,) = confirmed.detect(image)
    assert alone.score > blazeface.CERTAIN
    with monkeypatch.context() as patch:
        patch.setattr(blazeface, "CERTAIN", 1.1)
        assert confirmed.detect(image) == (alone,), "the second look confirms a true face"
    monkeypatch.setattr(confirmed._near, "detect", lambda image: ())
    assert confirmed.detect(image) == (alone,)
    monkeypatch.setattr(blazeface, "CERTAIN", 1.1)
    assert confirmed.detect(image) == ()


@pytest.mark.parametrize(
    ("name", "blaze"), [("full", "blazeface-full"), ("short", "blazeface-short")]
)
def test_a_portrait_has_its_features_where_they_belong(
    pictures: dict[str, np.ndarray], portraits: dict[str, Path], name: str, blaze: str
) -> None:
    detector = BlazeFace(name)  # type: ignore[arg-type]
    assert detector.name == blaze
    for portrait in portraits:
        (face,) = detector.detect(pictures[portrait])
        left, top, right, bottom = face.box
        height, width = pictures[portrait].shape[:2]
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert face.size == max(right - left, bottom - top)
        point = dict(zip(KEY_POINTS, face.key_points, strict=True))
        assert point["right eye"][0] < point["left eye"][0]  # the person's right, our left
        assert point["right ear"][0] < point["left ear"][0]
        for eye in ("right eye", "left eye"):
            assert point[eye][1] < point["nose tip"][1] < point["mouth centre"][1]
            assert left < point[eye][0] < right
            assert top < point[eye][1] < bottom


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 255, np.uint8),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((2000, 32, 3), np.uint8),
        np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8),
    ],
    ids=["black", "white", "32x32", "narrow", "noise"],
)
def test_nothing_is_found_in_nothing(confirmed: ConfirmedFaces, image: np.ndarray) -> None:
    assert confirmed.detect(image) == ()


@pytest.mark.parametrize("shape", [(1400, 900), (900, 1400), (795, 1024)])
def test_boxes_are_in_pixels_of_the_frame(
    full: BlazeFace, lincoln: np.ndarray, shape: tuple[int, int]
) -> None:
    """The same face at twice the size in a corner of a larger frame."""
    small = cv2.resize(lincoln, (397, 512), interpolation=cv2.INTER_AREA)
    (alone,) = full.detect(small)
    frame = np.zeros((shape[1], shape[0], 3), np.uint8)
    frame[-512:, -397:] = small
    (found,) = full.detect(frame)
    shift = np.array([shape[0] - 397, shape[1] - 512] * 2)
    moved = np.array(alone.box) + shift
    assert iou(moved, np.array(found.box)[None])[0] > 0.8


def test_faces_come_most_certain_first_and_not_below_the_limit(
    full: BlazeFace, sample_clip: Callable[[str], Path]
) -> None:
    image = frame_at(sample_clip("grid_two_faces_lbbc2a_lbax4n"), 1).image
    scores = [face.score for face in full.detect(image)]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 2
    between = BlazeFace("full", min_score=sum(scores) / 2)
    assert [face.score for face in between.detect(image)] == scores[:1]


def test_one_detector_serves_many_threads(full: BlazeFace, pictures: dict[str, np.ndarray]) -> None:
    images = list(pictures.values())
    alone = [full.detect(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(full.detect, images)) == alone


def test_an_unknown_range_is_refused() -> None:
    with pytest.raises(ModelError, match="choose full or short"):
        BlazeFace("middle")  # type: ignore[arg-type]


def test_a_missing_or_damaged_model_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blazeface, "MODELS", tmp_path)
    with pytest.raises(ModelError, match=r"blazeface_full_range.tflite is missing; restore"):
        BlazeFace("full")
    (tmp_path / "blazeface").mkdir()
    (tmp_path / "blazeface" / "blazeface_full_range.tflite").write_bytes(b"no model" * 100)
    with pytest.raises(ModelError, match=r"blazeface_full_range.tflite cannot be read; restore"):
        BlazeFace("full")


# ---------------------------------------------------------------- crops


def reference_crop(
    image: np.ndarray, box: tuple[float, ...], factor: float, size: int
) -> np.ndarray:
    """The same crop by OpenCV's own reflection."""
    margin = 2000
    padded = cv2.copyMakeBorder(image, *[margin] * 4, cv2.BORDER_REFLECT_101)
    left, top, right, bottom = box
    side = round(max(right - left, bottom - top) * factor)
    x = round((left + right) / 2 - side / 2) + margin
    y = round((top + bottom) / 2 - side / 2) + margin
    square = padded[y : y + side, x : x + side]
    assert square.shape[:2] == (side, side)
    way = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return cv2.resize(square, (size, size), interpolation=way)


@pytest.mark.parametrize(
    "box",
    [
        (100, 60, 160, 130),
        (100.4, 60.3, 160.9, 130.2),
        (-30, 40, 60, 120),
        (150, -40, 220, 30),
        (250, 150, 340, 260),
        (-200, -200, 520, 440),
        (-350, 20, -250, 120),
        (20, 300, 120, 400),
    ],
    ids=["inside", "fractions", "left", "top", "corner", "around", "beyond left", "beyond bottom"],
)
@pytest.mark.parametrize("factor", [1.15, 2.5])
def test_crops_are_square_centred_and_reflected(
    box: tuple[float, float, float, float], factor: float
) -> None:
    image = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    crop = crop_face(image, box, factor, 64)
    assert crop.shape == (64, 64, 3)
    assert crop.flags.c_contiguous
    np.testing.assert_array_equal(crop, reference_crop(image, box, factor, 64))


def test_a_crop_at_its_own_size_holds_the_pixels_themselves() -> None:
    image = np.random.default_rng(2).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop_face(image, (20, 30, 70, 80), 1, 50), image[30:80, 20:70])


def test_shrinking_averages_and_does_not_pick_pixels() -> None:
    """Single pixels of a checkerboard would be black or white; their mean is grey."""
    y, x = np.mgrid[:400, :400]
    board = np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    crop = crop_face(board, (0, 0, 400, 400), 1, 40)
    assert np.abs(crop.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("box", [(5, 5, 5, 5), (3, 3, 2, 2)], ids=["point", "inverted"])
def test_a_box_without_area_still_gives_a_crop(box: tuple[float, float, float, float]) -> None:
    image = np.random.default_rng(3).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    assert crop_face(image, box, 1.15, 32).shape == (32, 32, 3)


def test_a_frame_of_one_row_is_reflected_onto_itself() -> None:
    row = np.arange(60, dtype=np.uint8).reshape(1, 20, 3)
    crop = crop_face(row, (5, -5, 15, 5), 1, 10)
    np.testing.assert_array_equal(crop, np.repeat(row[:, 5:15], 10, axis=0))


# ---------------------------------------------------------------- boxes by hand


def test_iou_by_hand() -> None:
    box = np.array([0.0, 0.0, 4.0, 2.0])
    others = np.array(
        [[0, 0, 4, 2], [2, 0, 6, 2], [2, 1, 6, 3], [4, 0, 8, 2], [9, 9, 10, 10], [1, 1, 1, 1]],
        dtype=float,
    )
    assert iou(box, others) == pytest.approx([1, 4 / 12, 2 / 14, 0, 0, 0])
    assert iou(np.zeros(4), np.zeros((1, 4)))[0] == 0


def detection(*box: float) -> np.ndarray:
    """A box, with six key points that all lie at its corner."""
    return np.array([*box, *(box[:2] * 6)], dtype=float)


def test_overlapping_boxes_are_averaged_by_their_scores() -> None:
    found = np.stack([
        detection(0, 0, 10, 10),
        detection(100, 100, 110, 110),
        detection(1, 0, 11, 10),  # overlaps the first: 90 / 110
        detection(6, 0, 16, 10),  # overlaps the first by 40 / 160, too little
    ])  # fmt: skip
    merged = weighted_nms(found, np.array([0.6, 0.7, 0.9, 0.5]))
    assert [score for _, score in merged] == [0.9, 0.7]
    # 6..16 and the best, 1..11, overlap by 50 / 150 > 0.3: all three are one face.
    left = (1 * 0.9 + 0 * 0.6 + 6 * 0.5) / 2.0
    np.testing.assert_allclose(merged[0][0][:4], [left, 0, left + 10, 10])
    np.testing.assert_allclose(merged[0][0][4::2], left)
    np.testing.assert_array_equal(merged[1][0], found[1])


def test_boxes_that_touch_little_stay_two_faces() -> None:
    found = np.stack([detection(0, 0, 10, 10), detection(6, 0, 16, 10)])  # 40 / 160 = 0.25
    merged = weighted_nms(found, np.array([0.9, 0.8]))
    assert [values[0] for values, _ in merged] == pytest.approx([0, 6])


def test_a_box_without_area_is_kept_once() -> None:
    merged = weighted_nms(detection(5, 5, 5, 5)[None], np.array([0.9]))
    assert len(merged) == 1
    assert weighted_nms(np.zeros((0, 16)), np.zeros(0)) == []


@pytest.mark.parametrize(
    ("range", "count", "first", "last"),
    [("full", 2304, 0.5 / 48, 47.5 / 48), ("short", 896, 0.5 / 16, 7.5 / 8)],
)
def test_anchors_lie_as_the_model_expects(
    range: str, count: int, first: float, last: float
) -> None:
    anchors = _anchors(blazeface._LAYOUTS[range])
    assert anchors.shape == (count, 2)
    np.testing.assert_allclose(anchors[0], first)
    np.testing.assert_allclose(anchors[-1], last)
    assert anchors[blazeface._LAYOUTS[range].grids[0][1]][0] > first  # x runs first
    assert anchors[1][1] == pytest.approx(first)
