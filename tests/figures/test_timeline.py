"""detector.figures.timeline: what the charts say is what the result says."""

from __future__ import annotations

import dataclasses
import itertools
import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from detector.figures.timeline import axis_range, band_edges, deletion_curve, on_axis, timeline
from detector.models.ensemble import probability
from detector.models.networks.registry import NETWORKS
from detector.palette import BAND_COLOURS, TRACK_COLOURS, track_colour
from detector.result import Analysis
from detector.wording import BAND_ORDER, BAND_SHORT
from tests.helpers.examples import BANDS, example


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return example(frames=12, faces=3, seed=4)


def lines(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data}


def test_every_point_is_a_face_with_its_score(analysis: Analysis) -> None:
    drawn = lines(timeline(analysis.frames, BANDS))
    assert set(drawn) == {"Face 1", "Face 2", "Face 3"}
    for track, line in ((1, drawn["Face 1"]), (2, drawn["Face 2"]), (3, drawn["Face 3"])):
        faces = [
            (frame, face)
            for frame in analysis.frames
            for face in frame.faces
            if face.track == track
        ]
        assert list(line.x) == [frame.time for frame, _ in faces]
        assert list(line.y) == [on_axis(face.logit, BANDS) for _, face in faces]
        assert [text.split("score ")[1] for text in line.text] == [
            f"{face.score:.3f}" for _, face in faces
        ]
        assert [list(data) for data in line.customdata] == [[f.index, track] for f, _ in faces]
        assert line.line.color == track_colour(track)


def test_points_are_drawn_so_that_a_click_can_choose_them(analysis: Analysis) -> None:
    figure = timeline(analysis.frames, BANDS)
    assert {trace.mode for trace in figure.data} == {"lines+markers"}
    assert "select" in figure.layout.clickmode


def test_points_wear_the_colour_of_their_band(analysis: Analysis) -> None:
    line = lines(timeline(analysis.frames, BANDS))["Face 1"]
    expected = [
        BAND_COLOURS[BANDS.band_of(face.logit)]
        for frame in analysis.frames
        for face in frame.faces
        if face.track == 1
    ]
    assert list(line.marker.color) == expected
    assert len(set(expected)) > 1


def test_both_networks_are_drawn_on_demand_with_their_temperatures(analysis: Analysis) -> None:
    temperatures = {"resnet50": 2.0, "xception": 0.5}
    models = [replace(model, temperature=temperatures[model.name]) for model in analysis.models]
    figure = timeline(analysis.frames, BANDS, networks=True, models=models)
    drawn = lines(figure)
    assert len(drawn) == 9
    faces = [face for frame in analysis.frames for face in frame.faces if face.track == 2]
    for name, title in (("resnet50", "ResNet50, face 2"), ("xception", "Xception, face 2")):
        line = drawn[title]
        expected = [on_axis(face.logits[name] / temperatures[name], BANDS) for face in faces]
        assert list(line.y) == pytest.approx(expected)
        assert line.line.dash == NETWORKS[name].dash
        assert line.mode == "lines"
        assert line.customdata is None, "only the ensemble's points can be chosen"
    plain = lines(timeline(analysis.frames, BANDS, networks=True))["Xception, face 2"]
    assert list(plain.y) == pytest.approx([on_axis(f.logits["xception"], BANDS) for f in faces])


def test_bands_fill_the_chart_from_bottom_to_top(analysis: Analysis) -> None:
    figure = timeline(analysis.frames, BANDS)
    shapes = figure.layout.shapes
    low, high = axis_range(BANDS)
    edges = [low, -0.2, 0.3, 1.3, high]
    assert [(shape.y0, shape.y1) for shape in shapes] == list(itertools.pairwise(edges))
    assert [shape.fillcolor for shape in shapes] == [BAND_COLOURS[band] for band in BAND_ORDER]
    words = [note.text for note in figure.layout.annotations]
    assert words == [BAND_SHORT[band] for band in BAND_ORDER]


def test_band_edges_are_the_limits_as_scores() -> None:
    edges = band_edges(BANDS)
    assert edges == [0, *map(probability, (-0.2, 0.3, 1.3)), 1]
    assert edges == sorted(edges)
    middle = (edges[1] + edges[2]) / 2
    assert BANDS.band_of(float(np.log(middle / (1 - middle)))) == "inconclusive"


def test_the_axis_is_labelled_by_scores_and_has_room_for_every_band(analysis: Analysis) -> None:
    axis = timeline(analysis.frames, BANDS).layout.yaxis
    assert [probability(tick) for tick in axis.tickvals] == pytest.approx(
        [float(text) for text in axis.ticktext]
    )
    far = dataclasses.replace(BANDS, strong=7.0)
    assert axis_range(far) == (-5.0, 9.5)
    assert on_axis(3.0, far) == 3.0
    assert far.strong < on_axis(99.0, far) < 9.5, "what lies beyond stays in sight"
    assert -5.0 < on_axis(-99.0, far) < far.inconclusive


def test_the_axis_spans_the_clip(analysis: Analysis) -> None:
    low, high = timeline(analysis.frames, BANDS, span=(0.0, 10.0)).layout.xaxis.range
    assert (low, high) == pytest.approx((-0.2, 10.2))
    assert timeline(analysis.frames, BANDS).layout.xaxis.range is None
    assert tuple(timeline(analysis.frames, BANDS).layout.yaxis.range) == axis_range(BANDS)
    low, high = timeline(analysis.frames, BANDS, span=(0.0, 0.0)).layout.xaxis.range
    assert low < 0 < high


def test_the_legend_is_there_where_lines_must_be_told_apart(analysis: Analysis) -> None:
    alone = example(faces=1)
    assert timeline(analysis.frames, BANDS).layout.showlegend
    assert not timeline(alone.frames, BANDS).layout.showlegend
    assert timeline(alone.frames, BANDS, networks=True).layout.showlegend


@pytest.mark.parametrize("frames", [(), example(faces=0).frames], ids=["nothing", "no face"])
def test_a_chart_without_faces_still_shows_the_bands(frames: tuple) -> None:
    figure = timeline(frames, BANDS, networks=True)
    assert len(figure.data) == 0
    assert len(figure.layout.shapes) == 4


def test_a_chart_can_be_sent_to_a_browser(analysis: Analysis) -> None:
    sent = json.loads(timeline(analysis.frames, BANDS, networks=True).to_json())
    assert len(sent["data"]) == 9


def test_a_face_that_appears_once_is_one_point(analysis: Analysis) -> None:
    first = analysis.frames[0]
    lonely = dataclasses.replace(first, faces=(dataclasses.replace(first.faces[0], track=9),))
    drawn = lines(timeline([*analysis.frames, lonely], BANDS))
    assert len(drawn["Face 9"].x) == 1


def test_neighbouring_tracks_have_colours_of_their_own() -> None:
    several = [track_colour(track) for track in range(1, len(TRACK_COLOURS) + 1)]
    assert len(set(several)) == len(several)
    assert track_colour(len(several) + 1) == several[0]
    assert not set(several) & set(BAND_COLOURS.values())


@dataclasses.dataclass
class Curve:
    """Stands for detector.faithfulness.Faithfulness, of which the figure reads these."""

    shares: np.ndarray
    logits: np.ndarray
    random_logits: np.ndarray

    @property
    def random_mean(self) -> np.ndarray:
        return self.random_logits.mean(axis=0)


def test_a_deletion_curve_shows_the_map_against_chance() -> None:
    orders = np.array([[2.0, 1.0, 0.0], [2.0, 0.5, -1.0], [2.0, 1.5, 0.5]])
    found = Curve(np.array([0, 0.5, 1]), np.array([2.0, -1.0, -2.0]), orders)
    drawn = lines(deletion_curve(found))  # type: ignore[arg-type]
    assert list(drawn["Marked first"].x) == [0, 50, 100]
    assert list(drawn["Marked first"].y) == [2, -1, -2]
    assert list(drawn["Random orders, mean"].y) == pytest.approx([2, 1, -1 / 6])
    band = drawn["Random orders, lowest to highest"]
    assert list(band.y) == [2, 1.5, 0.5, -1, 0.5, 2]
    assert list(band.x) == [0, 50, 100, 100, 50, 0]
