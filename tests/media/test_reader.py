"""True times, true pictures, and one sentence for whatever cannot be read."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from detector.errors import ClipError
from detector.limits import Limits
from detector.media.clip import Frame
from detector.media.reader import ClipReader, frame_at, probe, sample
from tests.helpers.bad_clips import BAD, NAMES, STILLS, cut, one_sentence, still, text
from tests.helpers.clips import HEIGHT, KINDS, WIDTH, Kind, decode_all, number_of, picture, write

FRAMES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def clip(folder: Path) -> Callable[[str], Path]:
    """A clip of 40 numbered frames at 25 a second, of each kind, written once."""

    def make(kind: str) -> Path:
        path = folder / f"made.{kind}"
        return path if path.exists() else write(path, FRAMES, kind)

    return make


def refusal(path: Path, **options: object) -> str:
    """The sentence with which a file is refused, by every way of opening it."""
    sentences = set()
    for way in (
        lambda: probe(path, **options),
        lambda: list(ClipReader(path, **options).sample(4)),
        lambda: ClipReader(path, **options).frame_at(0),
    ):
        with pytest.raises(ClipError) as caught:
            way()
        sentences.add(str(caught.value))
    assert len(sentences) == 1
    return one_sentence(sentences.pop())


# ---------------------------------------------------------------- true pictures, true times


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_comes_in_order(clip: Callable[[str], Path], kind: str) -> None:
    frames = list(sample(clip(kind), None))
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [number_of(frame.image) for frame in frames] == list(range(FRAMES))
    assert all(frame.image.dtype == np.uint8 for frame in frames)
    assert all(frame.image.shape == (HEIGHT, WIDTH, 3) for frame in frames)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "divx"])
def test_frames_carry_their_presentation_time(clip: Callable[[str], Path], kind: str) -> None:
    times = [frame.time for frame in sample(clip(kind), None)]
    assert times == pytest.approx([number / 25 for number in range(FRAMES)], abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 5, 13, 39])
@pytest.mark.parametrize("kind", KINDS)
def test_sampled_frames_equal_a_full_decode(
    clip: Callable[[str], Path], kind: str, count: int
) -> None:
    whole = decode_all(clip(kind))
    frames = list(sample(clip(kind), count))
    assert len(frames) == count
    for frame in frames:
        np.testing.assert_array_equal(frame.image, whole[frame.index])


@pytest.mark.parametrize("name", ["grid_brbk7n", "noface_nasa_webb_mirror", "noface_intel_cars"])
def test_sampled_frames_of_shipped_clips_equal_a_full_decode(
    sample_clip: Callable[[str], Path], name: str
) -> None:
    whole = decode_all(sample_clip(name))
    for frame in sample(sample_clip(name), 7):
        np.testing.assert_array_equal(frame.image, whole[frame.index])


def test_only_groups_that_hold_a_chosen_frame_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Kind("mp4", "mp4", "libx264", {"preset": "ultrafast", "g": "5", "bf": "0"})
    path = write(tmp_path / "groups.mp4", 200, group)
    decoded = 0
    raw_frames = ClipReader._raw_frames

    def counted(self: ClipReader):
        nonlocal decoded
        for frame in raw_frames(self):
            decoded += 1
            yield frame

    monkeypatch.setattr(ClipReader, "_raw_frames", counted)
    with ClipReader(path) as reader:
        decoded = 0
        frames = list(reader.sample(4))
        assert [number_of(frame.image) for frame in frames] == [25, 75, 125, 175]
        assert decoded == 4  # all four are key frames
        decoded = 0
        assert number_of(reader.frame_at(100.8 / 25).image) == 100
        assert decoded == 1
        decoded = 0
        assert [frame.index for frame in reader.sample(7)] == [14, 42, 71, 100, 128, 157, 185]
        assert decoded == 5 + 3 + 2 + 1 + 4 + 3 + 1


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, 0), (0, 0), (0.039, 0), (0.04, 1), (0.0799999999, 2), (0.79, 2), (0.8, 3), (99, 4)],
)
def test_frame_at_shows_what_a_player_shows(tmp_path: Path, seconds: float, shown: int) -> None:
    path = write(tmp_path / "at.mp4", 5, times=[0, 40, 80, 800, 1000])
    frame = frame_at(path, seconds)
    assert (frame.index, number_of(frame.image)) == (shown, shown)


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_end_the_last_frame_is_shown(clip: Callable[[str], Path], kind: str) -> None:
    assert number_of(frame_at(clip(kind), 99).image) == FRAMES - 1


def test_a_clip_can_be_sampled_again_and_again(clip: Callable[[str], Path]) -> None:
    with ClipReader(clip("mp4")) as reader:
        first = [frame.image for frame in reader.sample(5)]
        assert number_of(reader.frame_at(0.5).image) == 12
        np.testing.assert_array_equal([frame.image for frame in reader.sample(5)], first)


def test_a_closed_clip_holds_no_file_open(clip: Callable[[str], Path]) -> None:
    def held() -> list[str]:
        links = Path("/dev/fd").iterdir()
        return [os.readlink(link) for link in links if link.is_symlink()]

    path = clip("mp4")
    with ClipReader(path) as reader:
        next(reader.sample(3))
    if Path("/proc/self/fd").is_dir():  # macOS does not name open files here
        assert str(path) not in held()
    reader.close()  # more calls do nothing


# ---------------------------------------------------------------- what a clip says of itself


def test_description_of_a_video(tmp_path: Path) -> None:
    path = write(
        tmp_path / "said.mp4",
        50,
        audio=44100,
        metadata={"creation_time": "2024-02-03T04:05:06.000000Z"},
    )
    said = probe(path)
    video = 0
    with av.open(str(path)) as container:
        video = sum(packet.size for packet in container.demux(video=0))
    assert dataclasses.asdict(said) == {
        "name": "said.mp4",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "codec": "h264",
        "width": WIDTH,
        "height": HEIGHT,
        "rotation": 0,
        "frame_rate": pytest.approx(25),
        "variable_frame_rate": False,
        "frames": 50,
        "duration": pytest.approx(2),
        "bits_per_pixel": pytest.approx(video * 8 / (50 * WIDTH * HEIGHT)),
        "has_audio": True,
        "creation_time": "2024-02-03T04:05:06.000000Z",
        "encoder": said.encoder,
        "damaged": 0,
    }
    assert said.encoder is not None
    assert said.encoder.startswith("Lavf")
    assert not said.still


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        ("mp4", "h264"),
        ("mov", "hevc"),
        ("webm", "vp9"),
        ("avi", "mpeg4"),
        ("gif", "gif"),
        ("mpg", "mpeg2video"),
        (Kind("mp4", "mp4", "libsvtav1", {"preset": "12"}), "av1"),  # decoded by libdav1d
    ],
)
def test_a_codec_goes_by_its_own_name_not_the_decoders(
    tmp_path: Path, kind: Kind | str, codec: str
) -> None:
    assert probe(write(tmp_path / "named", 2, kind)).codec == codec


def test_a_silent_clip_has_no_audio(clip: Callable[[str], Path]) -> None:
    assert not probe(clip("mp4")).has_audio


@pytest.mark.parametrize("ending", STILLS)
def test_a_picture_is_a_clip_of_one_frame(tmp_path: Path, ending: str) -> None:
    path = still(tmp_path / f"photo.{ending}")
    said = probe(path)
    assert said.still
    assert (said.frames, said.duration, said.frame_rate) == (1, 0, 0)
    assert (said.width, said.height) == (WIDTH, HEIGHT)
    for count in (None, 1, 32):
        frames = list(sample(path, count))
        assert [(frame.index, frame.time) for frame in frames] == [(0, 0.0)]
        assert number_of(frames[0].image) == 77


def test_a_gif_of_one_frame_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "one.gif"
    Image.fromarray(picture(5)).save(path)
    assert probe(path).still
    assert not probe(write(tmp_path / "two.gif", 2, "gif")).still


def test_one_frame_of_video_is_no_picture(tmp_path: Path) -> None:
    said = probe(write(tmp_path / "one.mp4", 1))
    assert said.frames == 1
    assert said.duration == pytest.approx(0.04)
    assert not said.still


# ---------------------------------------------------------------- wrong, damaged, too large


@pytest.mark.parametrize("named", ["txt", "jpg", "png", "webm", "avi", "gif", "mp4", ""])
@pytest.mark.parametrize("kind", ["mp4", "gif", "webm"])
def test_the_name_may_lie_about_a_video(tmp_path: Path, kind: str, named: str) -> None:
    path = write(tmp_path / f"made.{kind}", 6, kind)
    renamed = path.rename(tmp_path / f"renamed.{named}".rstrip("."))
    assert [number_of(frame.image) for frame in sample(renamed, None)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("named", ["jpg", "png", "webp", "mp4", ""])
@pytest.mark.parametrize("ending", STILLS)
def test_the_name_may_lie_about_a_picture(tmp_path: Path, ending: str, named: str) -> None:
    path = still(tmp_path / f"photo.{ending}")
    renamed = path.rename(tmp_path / f"renamed.{named}".rstrip("."))
    assert number_of(frame_at(renamed, 0).image) == 77
    assert probe(renamed).still


def test_a_name_with_wildcards_is_no_series_of_other_pictures(tmp_path: Path) -> None:
    for number in (1, 2):
        still(tmp_path / f"shot{number:03d}.jpg", picture(number))
    path = still(tmp_path / "shot%03d.jpg", picture(99))
    assert [number_of(frame.image) for frame in sample(path, None)] == [99]
    assert [number_of(f.image) for f in sample(still(tmp_path / "shot*.jpg"), None)] == [77]


@pytest.mark.parametrize(
    ("name", "make", "says"), BAD, ids=[name.replace("\0", "")[:24] for name, _, _ in BAD]
)
def test_bad_input_gets_one_sentence(
    tmp_path: Path, name: str, make: Callable[[Path], object], says: str
) -> None:
    path = tmp_path / name
    make(path)
    sentence = refusal(path)
    assert says in sentence
    assert name.split("\0", maxsplit=1)[0][:20] in sentence
    assert str(tmp_path) not in sentence


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_are_kept_and_never_interpreted(
    tmp_path: Path, clip: Callable[[str], Path], name: str
) -> None:
    assert probe(clip("mp4"), name=name).name == name
    bad = tmp_path / "bad"
    text(bad)
    sentence = refusal(bad, name=name)
    assert sentence.isprintable()
    assert sentence.startswith(f"“{name[:3]}")


@pytest.mark.parametrize("name", [n for n in NAMES.values() if len(n.encode()) < 250])
def test_files_may_be_called_anything(
    tmp_path: Path, clip: Callable[[str], Path], name: str
) -> None:
    path = tmp_path / name.replace("/", "|")
    path.write_bytes(clip("mp4").read_bytes())
    assert number_of(frame_at(path, 0.2).image) == 5
    assert probe(path).name == path.name


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(pixels=WIDTH * HEIGHT - 1), "128×96 pixels, more than can be analysed"),
        (Limits(side=100), "128×96 pixels, too small"),
        (Limits(bytes=1000), "GiB"),
        (Limits(frames=FRAMES - 1), "more than 39 frames"),
        (Limits(seconds=1), "lasts 1.6 s, more than the 1.0 s allowed"),
    ],
    ids=["pixels", "side", "bytes", "frames", "seconds"],
)
def test_a_clip_beyond_a_limit_is_refused(
    clip: Callable[[str], Path], limits: Limits, says: str
) -> None:
    assert says in refusal(clip("mp4"), limits=limits)


def test_a_file_of_many_streams_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "sound.mp4", FRAMES, audio=44100)
    assert probe(path, limits=Limits(streams=2)).has_audio
    assert "holds 2 streams, more than the 1 allowed" in refusal(path, limits=Limits(streams=1))


def test_an_anamorphic_clip_counts_as_it_is_displayed(tmp_path: Path) -> None:
    def widen(stream: object) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 1)  # type: ignore[attr-defined]

    path = write(tmp_path / "wide.mp4", 3, prepare=widen)
    assert probe(path).width == 4 * WIDTH
    assert "512×96 pixels, more" in refusal(path, limits=Limits(pixels=WIDTH * HEIGHT * 3))


def test_a_clip_at_its_limits_is_read(clip: Callable[[str], Path]) -> None:
    path = clip("mp4")
    limits = Limits(path.stat().st_size, WIDTH * HEIGHT, HEIGHT, FRAMES)
    assert probe(path, limits=limits).frames == FRAMES


def test_8k_is_read_and_more_is_refused(tmp_path: Path) -> None:
    fast = Kind("mp4", "mp4", "mpeg4", {"qscale": "31"})
    large = np.zeros((4320, 7680, 3), np.uint8)
    large[:2160] = 200
    path = write(tmp_path / "8k.mp4", [large], fast)
    frame = frame_at(path, 0)
    assert frame.image.shape == (4320, 7680, 3)
    assert frame.image[1000, 1000].mean() == pytest.approx(200, abs=4)
    assert frame.image[3300, 1000].mean() == pytest.approx(0, abs=4)
    beyond = tmp_path / "beyond.png"
    Image.new("L", (16384, 4097)).save(beyond)
    assert "16384×4097 pixels, more than can be analysed" in refusal(beyond)


# ---------------------------------------------------------------- damaged, yet of use


def test_a_cut_clip_gives_the_frames_it_still_has(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    cut(0.7, muxer={"movflags": "faststart"})(path)
    with ClipReader(path) as reader:
        frames = list(reader.sample(None))
        said = reader.describe()
    assert 10 < len(frames) < FRAMES
    assert [number_of(frame.image) for frame in frames] == numbers_by_time(frames)
    assert said.damaged >= FRAMES - said.frames > 0


@pytest.mark.parametrize("kind", ["webm", "mkv", "avi", "gif", "ts", "mpg"])
def test_cut_streams_give_the_frames_they_still_have(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"cut.{kind}"
    cut(0.7, kind)(path)
    frames = list(sample(path, None))
    assert FRAMES / 5 < len(frames) < FRAMES
    assert [number_of(frame.image) for frame in frames] == numbers_by_time(frames)
    assert probe(path).damaged > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_clip_is_not_called_damaged(clip: Callable[[str], Path], kind: str) -> None:
    assert probe(clip(kind)).damaged == 0


@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_half_a_jpeg_is_refused(tmp_path: Path, part: float) -> None:
    path = still(tmp_path / "half.jpg")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    assert "it was cut off" in refusal(path)
    path.write_bytes(whole + b"what a camera may append")
    assert number_of(frame_at(path, 0).image) == 77


@pytest.fixture
def animation(tmp_path: Path) -> Path:
    """An animated WebP of twelve frames: six quick ones, then six slow ones."""
    frames = [Image.fromarray(picture(number)) for number in range(12)]
    frames[0].save(
        tmp_path / "moving.webp",
        save_all=True,
        append_images=frames[1:],
        duration=[40] * 6 + [200] * 6,
        lossless=True,
    )
    return tmp_path / "moving.webp"


def test_an_animated_webp_is_a_clip(animation: Path) -> None:
    said = probe(animation)
    assert (said.codec, said.frames, said.duration) == ("webp", 12, 1.44)
    assert said.variable_frame_rate
    assert not said.still
    frames = list(sample(animation, None))
    assert [number_of(frame.image) for frame in frames] == list(range(12))
    assert frames[7].time == pytest.approx(0.44)
    assert [number_of(frame.image) for frame in sample(animation, 3)] == [6, 8, 10]
    assert number_of(frame_at(animation, 0.1).image) == 2
    assert "more than 11 frames" in refusal(animation, limits=Limits(frames=11))
    assert "128×96 pixels, more than" in refusal(animation, limits=Limits(pixels=9999))
    assert "lasts 1.4 s, more than" in refusal(animation, limits=Limits(seconds=1))


def test_half_an_animated_webp_is_refused(animation: Path) -> None:
    whole = animation.read_bytes()
    for part in (0.1, 0.6):
        animation.write_bytes(whole[: int(len(whole) * part)])
        assert "it was cut off" in refusal(animation)


def numbers_by_time(frames: list[Frame]) -> list[int]:
    return [round(frame.time * 25) for frame in frames]


@pytest.mark.parametrize("kept", [0, 8], ids=["packet", "picture"])
def test_no_picture_is_guessed_where_data_was_lost(tmp_path: Path, kept: int) -> None:
    """A decoder fills a hole with its own guess, which would be scored as a face.

    Either the whole packet of a key frame is lost, or all but its header.
    """
    path = write(tmp_path / "hole.mp4", 100, muxer={"movflags": "faststart"})
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    first = next(p for p in packets if p.is_keyframe and p.pts * p.time_base * 25 >= 30)
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0).bytes(first.size)
    data[first.pos + kept : first.pos + first.size] = noise[kept:]
    path.write_bytes(data)
    with ClipReader(path) as reader:
        frames = list(reader.sample(None))
        said = reader.describe()
    assert [number_of(frame.image) for frame in frames] == [frame.index for frame in frames]
    assert {*range(28), *range(40, 100)} <= {frame.index for frame in frames}
    assert not {30, 35, 38} & {frame.index for frame in frames}
    assert said.damaged > 0


@pytest.mark.parametrize("kind", ["ts", "mpg"])
def test_a_recording_that_was_joined_midway_begins_at_its_first_key_frame(
    tmp_path: Path, kind: str
) -> None:
    path = write(tmp_path / f"joined.{kind}", 60, kind)
    whole = path.read_bytes()
    unit = 188 if kind == "ts" else 2048
    path.write_bytes(whole[len(whole) * 3 // 10 // unit * unit :])
    every = list(sample(path, None))
    numbers = [number_of(frame.image) for frame in every]
    assert numbers == list(range(numbers[0], 60))
    assert 10 < numbers[0] <= 30
    by_index = {frame.index: frame.image for frame in every}
    for frame in sample(path, 6):
        np.testing.assert_array_equal(frame.image, by_index[frame.index])


def test_a_moment_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tail.mp4"
    group = Kind("mp4", "mp4", "libx264", {"preset": "ultrafast", "g": "10", "bf": "0"})
    write(path, 30, group, muxer={"movflags": "faststart"})
    with av.open(str(path)) as container:
        last = [p.pos for p in container.demux(video=0) if p.size and p.is_keyframe][-1]
    data = path.read_bytes()
    path.write_bytes(data[:last] + bytes(len(data) - last))
    with ClipReader(path) as reader:
        assert number_of(reader.frame_at(0.2).image) == 5
        with pytest.raises(ClipError) as caught:
            reader.frame_at(1.1)
    assert "cannot be decoded at 1.10 s" in one_sentence(str(caught.value))
