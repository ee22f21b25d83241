"""detector.pictures.drawing: boxes where the faces are, on a copy."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from detector.palette import track_colour
from detector.pictures.drawing import decode, draw_faces
from detector.result import ScoredFace
from tests.helpers.examples import example

FACE = dataclasses.replace(
    example().frames[0].faces[0],
    box=(200.0, 100.0, 400.0, 300.0),
    key_points=tuple((220.0 + 30 * n, 150.0) for n in range(6)),
)
WIDTH, HEIGHT = 640, 480


def canvas(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.full((height, width, 3), 127, np.uint8)


def colour(track: int) -> tuple[int, ...]:
    code = track_colour(track)
    return tuple(int(code[i : i + 2], 16) for i in (1, 3, 5))


def has(image: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    """Where an image has exactly that colour, bool [h, w]."""
    return (image == wanted).all(axis=-1)


def other_track(face: ScoredFace, track: int) -> ScoredFace:
    left, top, right, bottom = face.box
    return dataclasses.replace(face, track=track, box=(left + 210, top, right + 210, bottom))


def test_the_frame_itself_is_left_alone() -> None:
    image = canvas()
    drawn = draw_faces(image, [FACE], WIDTH)
    assert (image == 127).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert not (drawn == image).all()


def test_without_faces_nothing_is_drawn() -> None:
    np.testing.assert_array_equal(draw_faces(canvas(), [], WIDTH), canvas())


def test_a_box_lies_around_the_face_in_the_tracks_colour() -> None:
    drawn = has(draw_faces(canvas(), [FACE], WIDTH), colour(1))
    rows, columns = np.nonzero(drawn)
    assert columns.min() == pytest.approx(200, abs=2)
    assert columns.max() == pytest.approx(400, abs=2)
    assert rows.max() == pytest.approx(300, abs=2)
    assert not drawn[150:250, 250:350].any(), "the face itself stays visible"


@pytest.mark.parametrize("width", [320, 640, 960])
def test_boxes_are_scaled_to_the_preview(width: int) -> None:
    """The boxes are in pixels of a frame of 1280, the picture is a smaller preview."""
    image = canvas(width, width * 3 // 4)
    drawn = has(draw_faces(image, [FACE], 1280), colour(1))
    columns = np.nonzero(drawn)[1]
    assert columns.min() == pytest.approx(200 * width / 1280, abs=3)
    assert columns.max() == pytest.approx(400 * width / 1280, abs=3)


def test_each_track_has_its_colour_and_number() -> None:
    one = draw_faces(canvas(), [FACE], WIDTH)
    two = draw_faces(canvas(), [dataclasses.replace(FACE, track=2)], WIDTH)
    assert has(one, colour(1)).any()
    assert not has(one, colour(2)).any()
    assert has(two, colour(2)).any()
    both = draw_faces(canvas(), [FACE, other_track(FACE, 2)], WIDTH)
    assert has(both, colour(1)).any()
    assert has(both, colour(2)).any()
    labels = [image[80:100, 195:215].astype(int) for image in (one, two)]
    shapes = [has(label, (255, 255, 255)) for label in labels]
    assert shapes[0].any()
    assert (shapes[0] != shapes[1]).any(), "the numbers 1 and 2"


def test_the_chosen_face_is_drawn_thicker() -> None:
    plain, chosen, other = (
        has(draw_faces(canvas(), [FACE], WIDTH, chosen=track), colour(1))[150:250].sum()
        for track in (None, 1, 2)
    )
    assert chosen > 1.5 * plain
    assert other == plain


def test_key_points_and_boxes_can_be_drawn_apart() -> None:
    points = draw_faces(canvas(), [FACE], WIDTH, key_points=True, boxes=False)
    for x, y in FACE.key_points:
        assert tuple(points[round(y), round(x)]) == colour(1)
    assert not has(points, colour(1))[290:310].any()
    box_only = draw_faces(canvas(), [FACE], WIDTH)
    assert tuple(box_only[150, 220]) == (127, 127, 127)


@pytest.mark.parametrize(
    "box",
    [(-80.0, -50.0, 120.0, 150.0), (600.0, 440.0, 800.0, 640.0), (-9e4, -9e4, 9e4, 9e4)],
    ids=["above left", "below right", "around"],
)
def test_boxes_beyond_the_border_are_clipped(box: tuple[float, float, float, float]) -> None:
    drawn = draw_faces(canvas(), [dataclasses.replace(FACE, box=box)], WIDTH)
    assert drawn.shape == (HEIGHT, WIDTH, 3)


def test_the_number_stays_in_the_picture_at_its_upper_border() -> None:
    drawn = draw_faces(canvas(), [dataclasses.replace(FACE, box=(50.0, 0.0, 250.0, 200.0))], WIDTH)
    assert has(drawn, (255, 255, 255))[3:20, 55:70].any()


@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_pictures_are_decoded_in_rgb(kind: str) -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[..., 0], image[:30, :, 2] = 200, 90
    encoded = cv2.imencode(kind, image[..., ::-1])[1].tobytes()
    decoded = decode(encoded)
    assert decoded.shape == image.shape
    assert decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - image).mean() < (3 if kind == ".jpg" else 1e-9)
