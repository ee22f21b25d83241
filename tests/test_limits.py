"""detector.limits: each can be set from outside, and what is no limit is refused."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.errors import ClipError, DetectorError
from detector.limits import Limits, variable_of
from detector.media.sandboxed_clip import open_clip
from tests.helpers.clips import write

NAMES = [field.name for field in dataclasses.fields(Limits)]


def test_without_variables_the_defaults_hold() -> None:
    assert Limits.from_environment({}) == Limits()
    assert Limits.from_environment({"VERIFRAME_MAX_FRAMES": "  "}) == Limits()
    assert all(type(value) is int and value > 0 for value in dataclasses.asdict(Limits()).values())


@pytest.mark.parametrize("name", NAMES)
def test_each_limit_can_be_set(name: str) -> None:
    found = Limits.from_environment({variable_of(name): "77"})
    assert found == dataclasses.replace(Limits(), **{name: 77})


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), (" 250 ", 250), ("4K", 4096), ("500M", 500 << 20), ("2g", 2 << 30),
     ("3GiB", 3 << 30), ("1 TB", 1 << 40), ("9000B", 9000)],
)  # fmt: skip
def test_sizes_may_have_units(text: str, number: int) -> None:
    assert Limits.from_environment({"VERIFRAME_MAX_BYTES": text}).bytes == number


@pytest.mark.parametrize(
    "text", ["0", "-1", "many", "1.5G", "1e9", "\u0661", "9" * 17, "9999T", "inf", "0x10", "1;2"]
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(DetectorError) as caught:
        Limits.from_environment({"VERIFRAME_MAX_MEMORY": text})
    assert str(caught.value).startswith("VERIFRAME_MAX_MEMORY is “")
    assert str(caught.value).endswith("for example 2000 or 500M.")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("VERIFRAME_MAX_BYTES", "1000", "more than the 0.0 GiB"),
        ("VERIFRAME_MAX_PIXELS", "9000", "128×96 pixels, more than"),
        ("VERIFRAME_MIN_SIDE", "97", "too small"),
        ("VERIFRAME_MAX_FRAMES", "19", "more than 19 frames"),
        ("VERIFRAME_MAX_SECONDS", "0", "is no limit"),
        ("VERIFRAME_MAX_STREAMS", "1", "holds 2 streams"),
    ],
)
def test_what_the_environment_says_holds_for_every_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    path = write(tmp_path / "clip.mp4", 20, audio=44100)
    with open_clip(path) as clip:
        assert clip.frames == 20
    monkeypatch.setenv(variable, value)
    with pytest.raises(DetectorError, match=says):
        open_clip(path)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A file with a hole: a terabyte that takes no room, and would take an hour to read."""
    path = tmp_path / "huge.mp4"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ClipError, match=r"1024.0 GiB, more than the 4.0 GiB allowed"):
        open_clip(path)


def test_what_a_header_claims_is_refused_before_it_is_allocated(
    tmp_path: Path, claim: Callable[[Path, int, int], Path]
) -> None:
    from tests.helpers.bad_clips import still

    path = claim(still(tmp_path / "claims.png"), 60_000, 60_000)
    with pytest.raises(ClipError):
        open_clip(path)


@pytest.mark.parametrize("memory", [1 << 30, 4 << 30], ids=["1 GiB", "4 GiB"])
def test_a_table_that_claims_millions_of_frames_is_refused(tmp_path: Path, memory: int) -> None:
    """The index alone would take gigabytes."""
    path = write(tmp_path / "claims.mp4", 8)
    data = bytearray(path.read_bytes())
    struct.pack_into(">III", data, data.find(b"stsz") + 4, 0, 1, 150_000_000)
    struct.pack_into(">I", data, data.find(b"stsc") + 16, 150_000_000)
    path.write_bytes(data)
    with pytest.raises(ClipError):
        open_clip(path, limits=Limits(memory=memory))


@pytest.fixture
def claim() -> Callable[[Path, int, int], Path]:
    """Write another width and height into the header of a PNG, with the right checksum."""
    import zlib

    def make(path: Path, width: int, height: int) -> Path:
        data = bytearray(path.read_bytes())
        data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
        path.write_bytes(data)
        return path

    return make
