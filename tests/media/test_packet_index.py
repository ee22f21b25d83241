"""The index knows when each frame is shown, and which frames are spread evenly over time."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from detector.errors import ClipError
from detector.media.containers import Animation, open_container
from detector.media.packet_index import PacketIndex, index_animation, index_packets
from detector.media.reader import ClipReader, probe, sample
from tests.helpers.clips import KINDS, number_of, write

FRAMES = 40
UNEVEN = [0, 40, 80, 81, 90, 500, 510, 1000, 1001, 2340, 2400, 2480]

INDEX = PacketIndex(
    base=Fraction(1, 1000),
    start=100,
    times=np.array([100, 140, 180, 600, 1000], np.int64),
    end=1100,
    keys=(1, 3),
    exact=True,
    damaged=0,
    bytes=5000,
)


def test_times_are_seconds_from_where_a_player_begins() -> None:
    assert INDEX.seconds.tolist() == pytest.approx([0, 0.04, 0.08, 0.5, 0.9])
    assert INDEX.seconds.dtype == np.float64
    assert INDEX.duration == pytest.approx(1.0)
    assert dataclasses.replace(INDEX, end=0).duration == 0


@pytest.mark.parametrize(
    ("count", "places"), [(1, [3]), (2, [2, 3]), (4, [2, 3]), (10, [1, 2, 3, 4])]
)
def test_each_part_of_the_time_gives_the_frame_shown_in_its_middle(
    count: int, places: list[int]
) -> None:
    assert INDEX.spread(count) == places


@pytest.mark.parametrize(("place", "key"), [(0, 0), (1, 1), (2, 1), (3, 3), (4, 3)])
def test_decoding_begins_at_the_key_frame_before(place: int, key: int) -> None:
    assert INDEX.key_before(place) == key


@pytest.mark.parametrize(("time", "place"), [(99, -1), (100, 0), (139, 0), (180, 2), (9999, 4)])
def test_a_frame_is_found_again_by_its_time(time: int, place: int) -> None:
    assert INDEX.place_of(time) == place


@pytest.mark.parametrize(
    ("times", "variable"),
    [([0], False), ([0, 40], False), ([0, 40, 81], False), ([0, 40, 140], True)],
)
def test_a_rate_is_variable_where_steps_differ_by_more_than_a_tenth(
    times: list[int], variable: bool
) -> None:
    assert dataclasses.replace(INDEX, times=np.array(times, np.int64)).is_variable is variable


def test_an_animation_is_indexed_by_its_durations() -> None:
    index = index_animation(Animation(4, 4, (40, 40, 200)), 999)
    assert index.times.tolist() == [0, 40, 80]
    assert (index.end, index.bytes, index.exact, index.keys) == (280, 999, False, (0,))


def test_packets_are_read_without_decoding(tmp_path: Path) -> None:
    path = write(tmp_path / "made.mp4", 30)
    read = 0

    def count() -> None:
        nonlocal read
        read += 1

    with open_container(path) as container:
        index = index_packets(container, container.streams.video[0], path, "made.mp4", 30, count)
    assert read >= len(index.times) == 30
    assert index.seconds.tolist() == pytest.approx([number / 25 for number in range(30)])
    assert index.keys[0] == 0
    assert index.exact
    assert index.damaged == 0
    with (
        open_container(path) as container,
        pytest.raises(ClipError, match="has more than 29 frames"),
    ):
        index_packets(container, container.streams.video[0], path, "made.mp4", 29, count)


# ---------------------------------------------------------------- of true clips


@pytest.mark.parametrize("kind", ["mp4", "m4v", "mov", "webm", "mkv"])
def test_uneven_times_are_kept_exactly(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"uneven.{kind}", len(UNEVEN), kind, times=UNEVEN)
    frames = list(sample(path, None))
    assert [number_of(frame.image) for frame in frames] == list(range(len(UNEVEN)))
    assert [frame.time for frame in frames] == pytest.approx([t / 1000 for t in UNEVEN], abs=1e-9)
    described = probe(path)
    assert described.variable_frame_rate
    assert 2.48 < described.duration < 2.6
    assert described.frame_rate == pytest.approx(len(UNEVEN) / described.duration)


def test_uneven_gif(tmp_path: Path) -> None:
    times = [0, 4, 8, 50, 52, 120]  # hundredths of a second, all that GIF knows
    path = write(tmp_path / "uneven.gif", len(times), "gif", times=times)
    frames = list(sample(path, None))
    assert [frame.time for frame in frames] == pytest.approx([t / 100 for t in times], abs=1e-9)
    assert probe(path).variable_frame_rate


@pytest.mark.parametrize("kind", KINDS)
def test_an_even_rate_is_not_called_variable(tmp_path: Path, kind: str) -> None:
    described = probe(write(tmp_path / f"made.{kind}", FRAMES, kind))
    assert not described.variable_frame_rate
    assert described.frame_rate == pytest.approx(25, rel=0.02)
    assert described.duration == pytest.approx(FRAMES / 25, rel=0.02)


def test_frames_are_spread_over_time_not_over_their_number(tmp_path: Path) -> None:
    """100 frames in the first second, one each second after it."""
    times = [*range(0, 1000, 10), *range(1000, 10000, 1000)]
    path = write(tmp_path / "dense.mp4", len(times), times=times)
    chosen = [frame.time for frame in sample(path, 9)]
    assert [int(time) for time in chosen] == list(range(9))
    assert chosen[0] == pytest.approx(0.5)  # the middle of the first ninth


def test_an_even_clip_is_sampled_from_the_middle_of_each_part(tmp_path: Path) -> None:
    path = write(tmp_path / "even.mp4", 100)
    with ClipReader(path) as reader:
        assert reader.choose(4) == [12, 37, 62, 87]
        assert reader.choose(1) == [50]
        assert reader.choose(None) == reader.choose(100) == reader.choose(5000) == [*range(100)]
        with pytest.raises(ClipError, match="at least one frame"):
            reader.choose(0)


def test_zero_is_where_a_player_begins_although_the_clock_began_before(tmp_path: Path) -> None:
    """A transport stream's clock runs on: here it stands at 2 s where the clip begins."""
    path = write(tmp_path / "late.ts", 10, "ts", times=[2000 + 40 * n for n in range(10)])
    with av.open(str(path)) as container:
        assert container.start_time > 1_900_000
    assert [frame.time for frame in sample(path, None)] == pytest.approx(
        [n / 25 for n in range(10)], abs=1e-6
    )


def test_video_that_begins_after_its_sound_keeps_its_distance(tmp_path: Path) -> None:
    path = write(
        tmp_path / "late.mkv", 10, "mkv", times=[600 + 40 * n for n in range(10)], audio=44100
    )
    assert next(sample(path, None)).time == pytest.approx(0.6, abs=0.03)


def test_frames_that_an_edit_list_cuts_away_are_neither_shown_nor_missed(tmp_path: Path) -> None:
    """A phone that trims a clip keeps the frames from the last key frame, and hides them."""
    path = write(tmp_path / "trimmed.mp4", 30, times=[40 * (n - 7) for n in range(30)])
    with av.open(str(path)) as container:
        assert any(packet.is_discard for packet in container.demux(video=0))
    frames = list(sample(path, None))
    assert [number_of(frame.image) for frame in frames] == list(range(7, 30))
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(23)])
    said = probe(path)
    assert (said.frames, said.damaged) == (23, 0)
    assert said.duration == pytest.approx(23 / 25)
