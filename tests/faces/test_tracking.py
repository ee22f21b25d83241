"""detector.faces.tracking: one person is one track, two people are two, whatever the order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.faces.blazeface import ConfirmedFaces
from detector.faces.face import Face
from detector.faces.geometry import crop_face
from detector.faces.tracking import Tracker, _look
from detector.media.reader import sample

PEOPLE = ("grid_bbaf2n", "grid_brbk7n", "grid_lwbsza", "grid_swiz3n")


@dataclass(frozen=True)
class Seen:
    """The faces of one frame, and their crops."""

    faces: tuple[Face, ...]
    crops: tuple[np.ndarray, ...]

    def backwards(self) -> Seen:
        return Seen(self.faces[::-1], self.crops[::-1])


NOBODY = Seen((), ())


@pytest.fixture(scope="module")
def seen(sample_clip: Callable[[str], Path]) -> Callable[[str], list[Seen]]:
    """Eight frames of a shipped clip, with faces and crops as the pipeline makes them."""
    detector = ConfirmedFaces()
    known: dict[str, list[Seen]] = {}

    def look_at(name: str) -> list[Seen]:
        if name not in known:
            known[name] = []
            for frame in sample(sample_clip(name), 8):
                faces = detector.detect(frame.image)
                crops = tuple(crop_face(frame.image, face.box, 1.15, 304) for face in faces)
                known[name].append(Seen(faces, crops))
        return known[name]

    return look_at


def follow(frames: Sequence[Seen]) -> list[list[int]]:
    tracker = Tracker()
    return [tracker.update(frame.faces, frame.crops) for frame in frames]


def face_at(left: float, top: float, size: float = 100) -> Face:
    return Face((left, top, left + size, top + size), ((left, top),) * 6, 0.9)


def crop_of(seed: int, noise: float = 0) -> np.ndarray:
    """A picture of its own for each seed, coarse enough to be seen from afar."""
    coarse = np.random.default_rng(seed).uniform(40, 215, (6, 6, 3)).astype(np.float32)
    fine = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)
    fine += np.random.default_rng(99).normal(0, noise, fine.shape) if noise else 0
    return np.clip(fine, 0, 255).astype(np.uint8)


# ---------------------------------------------------------------- real faces


@pytest.mark.parametrize("name", PEOPLE)
def test_one_person_is_one_track(seen: Callable[[str], list[Seen]], name: str) -> None:
    assert follow(seen(name)) == [[1]] * 8


def test_two_people_are_two_tracks_over_the_whole_clip(
    seen: Callable[[str], list[Seen]],
) -> None:
    frames = seen("grid_two_faces_lbbc2a_lbax4n")
    ids = follow(frames)
    left = [frame.faces[0].box[0] < frame.faces[1].box[0] for frame in frames]
    sides = [pair if first else pair[::-1] for pair, first in zip(ids, left, strict=True)]
    assert sorted(sides[0]) == [1, 2]
    assert sides == [sides[0]] * 8


def test_the_order_of_detections_does_not_matter(seen: Callable[[str], list[Seen]]) -> None:
    frames = seen("grid_two_faces_lbbc2a_lbax4n")
    straight = follow(frames)
    turned = [frame.backwards() if number % 2 else frame for number, frame in enumerate(frames)]
    again = follow(turned)
    assert [ids[::-1] if n % 2 else ids for n, ids in enumerate(again)] == straight


@pytest.mark.parametrize(("before", "after"), itertools.permutations(PEOPLE, 2))
def test_a_cut_to_another_person_in_the_same_place_begins_a_track(
    seen: Callable[[str], list[Seen]], before: str, after: str
) -> None:
    first, second = seen(before)[:4], seen(after)[:4]
    assert follow(first + second) == [[1]] * 4 + [[2]] * 4


def test_a_face_that_comes_back_is_the_same_track(seen: Callable[[str], list[Seen]]) -> None:
    one, two = seen(PEOPLE[0]), seen(PEOPLE[1])
    shots = one[:3] + [NOBODY] * 5 + two[:3] + one[3:6] + two[3:5]
    assert follow(shots) == [[1]] * 3 + [[]] * 5 + [[2]] * 3 + [[1]] * 3 + [[2]] * 2


def test_all_people_in_turn_and_again(seen: Callable[[str], list[Seen]]) -> None:
    shots = [frame for half in (0, 4) for name in PEOPLE for frame in seen(name)[half : half + 4]]
    expected = [[number] for number in (1, 2, 3, 4) for _ in range(4)]
    assert follow(shots) == expected * 2


@pytest.mark.parametrize(
    "change",
    [
        lambda crop: np.clip(crop * 0.6, 0, 255).astype(np.uint8),
        lambda crop: np.clip(crop * 1.2 + 10, 0, 255).astype(np.uint8),
        lambda crop: cv2.GaussianBlur(crop, (0, 0), 3),
        lambda crop: cv2.imdecode(
            cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 15])[1], cv2.IMREAD_COLOR
        ),
    ],
    ids=["darker", "brighter", "blurred", "compressed"],
)
@pytest.mark.parametrize("name", PEOPLE)
def test_light_and_compression_do_not_split_a_track(
    seen: Callable[[str], list[Seen]], name: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    frames = seen(name)
    changed = [Seen(frame.faces, tuple(map(change, frame.crops))) for frame in frames[4:]]
    assert follow(frames[:4] + changed) == [[1]] * 8


# ---------------------------------------------------------------- by hand


def test_a_face_that_moves_far_between_frames_stays_itself() -> None:
    moving = [Seen((face_at(300 * n, 0),), (crop_of(1, noise=n),)) for n in range(5)]
    assert follow(moving) == [[1]] * 5


def test_two_faces_of_one_frame_never_share_a_track() -> None:
    """Twins, or one person and the mirror: the same look, side by side."""
    twins = Seen((face_at(0, 0), face_at(300, 0)), (crop_of(1), crop_of(1)))
    assert follow([twins] * 3) == [[1, 2]] * 3
    assert follow([twins, twins.backwards()]) == [[1, 2], [2, 1]]
    alone = Seen(twins.faces[:1], twins.crops[:1])
    assert follow([alone, twins]) == [[1], [1, 2]]


def test_faces_that_cross_keep_their_numbers() -> None:
    frames = [
        Seen((face_at(80 * n, 0), face_at(400 - 80 * n, 0)), (crop_of(1), crop_of(2)))
        for n in range(6)
    ]
    assert follow(frames) == [[1, 2]] * 6


def test_a_newcomer_gets_the_next_number() -> None:
    alone = Seen((face_at(0, 0),), (crop_of(1),))
    both = Seen((face_at(300, 0), face_at(0, 0)), (crop_of(2), crop_of(1)))
    assert follow([alone, both, NOBODY, both]) == [[1], [2, 1], [], [2, 1]]


def test_where_boxes_overlap_the_look_may_change_more() -> None:
    """A face that turns in its place stays one track; the same change elsewhere is another."""
    middle = (crop_of(1) * 0.76 + crop_of(2) * 0.24).astype(np.uint8)
    distance = float(np.linalg.norm(_look(crop_of(1)) - _look(middle)))
    assert 0.6 < distance < 0.9
    here = Seen((face_at(0, 0),), (crop_of(1),))
    assert follow([here, Seen((face_at(20, 0),), (middle,))]) == [[1], [1]]
    assert follow([here, Seen((face_at(500, 0),), (middle,))]) == [[1], [2]]


def test_slow_change_is_followed_although_it_adds_up() -> None:
    shares = np.linspace(0, 1, 12)
    crops = [(crop_of(1) * (1 - s) + crop_of(2) * s).astype(np.uint8) for s in shares]
    assert follow([Seen((face_at(0, 0),), (crop,)) for crop in crops]) == [[1]] * 12
    assert follow([Seen((face_at(0, 0),), (crop,)) for crop in (crops[0], crops[-1])]) == [[1], [2]]


def test_a_frame_without_faces_gives_no_numbers() -> None:
    assert follow([NOBODY, NOBODY]) == [[], []]


def test_faces_and_crops_must_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        Tracker().update([face_at(0, 0)], [])


def test_a_look_is_coarse_and_keeps_no_light_level() -> None:
    look = _look(crop_of(1))
    assert look.shape == (432,)
    assert look.dtype == np.float32
    grey = np.repeat(crop_of(1)[..., :1], 3, axis=2)
    darker = (grey * 0.6).astype(np.uint8)
    assert np.linalg.norm(_look(grey) - _look(darker)) < 0.1
    flat = _look(np.full((304, 304, 3), 128, np.uint8))
    assert np.abs(flat).max() < 0.01  # grey has no look, and divides by no zero
