"""Comparing two analyses of the same clip."""

from __future__ import annotations

import dataclasses

import pytest

from detector.analysis.comparison import compare
from detector.errors import ResultError
from detector.result import Analysis
from tests.helpers.examples import example


def changed(analysis: Analysis, version: str, shift: float) -> Analysis:
    """The same clip as another model might score it, its faces in another order."""
    return dataclasses.replace(
        analysis,
        models=example(version=version).models,
        frames=tuple(
            dataclasses.replace(
                frame,
                faces=tuple(
                    dataclasses.replace(
                        face,
                        track=face.track + 10,
                        box=tuple(value + 2 for value in face.box),
                        score=face.score + shift * (frame.index + 1) / 100,
                    )
                    for face in reversed(frame.faces)
                ),
            )
            for frame in analysis.frames
        ),
    )


def test_faces_are_matched_by_frame_and_box() -> None:
    before = example()
    result = compare(before, changed(before, "v1", 0.2))
    assert [(p.index, p.before.track) for p in result.pairs] == [
        (frame.index, face.track) for frame in before.frames for face in frame.faces
    ]
    assert all(p.after.track == p.before.track + 10 for p in result.pairs)
    assert (result.only_before, result.only_after, result.frames) == (0, 0, 6)
    assert not result.same_models
    assert result.largest is not None
    assert result.largest.index == 40
    assert result.largest.change == pytest.approx(0.2 * 41 / 100)
    changes = [p.change for p in result.pairs]
    assert result.mean_change == pytest.approx(sum(changes) / len(changes))


def test_faces_and_frames_that_only_one_has() -> None:
    before = example()
    fewer = dataclasses.replace(
        before,
        frames=tuple(
            dataclasses.replace(frame, faces=frame.faces[:1]) for frame in before.frames[::2]
        ),
    )
    result = compare(before, fewer)
    assert (result.frames, len(result.pairs)) == (3, 3)
    assert (result.only_before, result.only_after) == (3, 0)
    assert compare(fewer, before).only_after == 3
    assert result.same_models
    assert result.mean_change == 0
    far = dataclasses.replace(
        fewer,
        frames=tuple(
            dataclasses.replace(
                frame,
                faces=tuple(
                    dataclasses.replace(face, box=(500.0, 300.0, 560.0, 350.0))
                    for face in frame.faces
                ),
            )
            for frame in fewer.frames
        ),
    )
    apart = compare(fewer, far)
    assert (apart.pairs, apart.only_before, apart.only_after) == ((), 3, 3)
    assert (apart.largest, apart.mean_change) == (None, None)


def test_different_clips_are_refused() -> None:
    with pytest.raises(ResultError, match="different clips"):
        compare(example(), example(seed=1))
