"""Charts of several analyses."""

from __future__ import annotations

import dataclasses

import pytest

from detector.analysis.comparison import compare
from detector.figures.comparison import (
    DASHES,
    Named,
    changes,
    deciding_scores,
    histogram,
    timelines,
)
from tests.helpers.examples import example


def test_the_face_that_decides_is_drawn() -> None:
    analysis = example(faces=2, level=2.0, seed=3)
    decides = analysis.finding.track
    assert decides is not None
    scores = [
        (frame.index, frame.time, face.score)
        for frame in analysis.frames
        for face in frame.faces
        if face.track == decides
    ]
    assert deciding_scores(analysis) == scores


def test_where_no_face_decides_the_highest_of_each_frame_is_drawn() -> None:
    analysis = example(frames=3, faces=2)
    assert analysis.finding.track is None
    assert [score for _, _, score in deciding_scores(analysis)] == [
        max(face.score for face in frame.faces) for frame in analysis.frames if frame.faces
    ]


@pytest.mark.parametrize(("share", "last"), [(False, 2.25), (True, 0.75)], ids=["seconds", "share"])
def test_timelines_lie_over_each_other(share: bool, last: float) -> None:
    several = [Named(seed, "clip", example(seed=seed)) for seed in range(4)]
    figure = timelines(several, share=share)
    assert [trace.name for trace in figure.data] == ["0 · clip", "1 · clip", "2 · clip", "3 · clip"]
    assert [trace.line.dash for trace in figure.data] == list(DASHES)
    assert figure.data[0].x[-1] == pytest.approx(last, abs=0.02)
    assert len(figure.layout.shapes) == 4  # the bands, which all of them share


def test_bands_that_differ_are_not_drawn() -> None:
    first = example()
    other = dataclasses.replace(first, bands=dataclasses.replace(first.bands, strong=9.0))
    figure = timelines([Named(1, "a", first), Named(2, "b", other)])
    assert len(figure.layout.shapes) == 0


def test_a_histogram_counts_every_score_once() -> None:
    figure = histogram([0.0, 0.01, 0.5, 1.0], "#123456")
    assert sum(figure.data[0].customdata) == 4
    assert sum(figure.data[0].y) == pytest.approx(1.0)
    assert sum(histogram([], "#123456").data[0].y) == 0


def test_changes_are_after_less_before() -> None:
    clip = "c" * 64
    before, after = (example(seed=seed, clip=clip, version=f"v{seed}") for seed in (0, 5))
    comparison = compare(before, after)
    figure = changes(comparison)
    drawn = sorted(value for trace in figure.data for value in trace.y)
    assert drawn == sorted(pair.after.score - pair.before.score for pair in comparison.pairs)
    low, high = figure.layout.yaxis.range
    assert low <= drawn[0]
    assert drawn[-1] <= high
