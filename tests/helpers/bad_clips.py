"""Files that are no clips, each with what must be said of it, and names that try to do harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.helpers.clips import HEIGHT, WIDTH, Kind, picture, write, write_audio

STILLS = {"jpg": {"quality": 95}, "png": {}, "webp": {"lossless": True}}


def still(path: Path, image: np.ndarray | None = None, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x112] = orientation
    drawn = Image.fromarray(picture(77) if image is None else image)
    drawn.save(path, exif=exif, **STILLS[path.suffix[1:]])
    return path


def text(path: Path) -> None:
    path.write_text("Dear editor, here is the video.\n" * 200)


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(20_000))


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(3).bytes(20_000))


def cut(part: float, kind: str = "mp4", **options: object) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        whole = write(path, 40, kind, **options).read_bytes()
        path.write_bytes(whole[: int(len(whole) * part)])

    return make


def _cut_picture(path: Path) -> None:
    whole = still(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _no_frames(path: Path) -> None:
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.start_encoding()


def _encrypted(path: Path) -> None:
    write(path, 10, muxer={"encryption_scheme": "cenc-aes-ctr", "encryption_key": "5a" * 16,
                           "encryption_kid": "01" * 16})  # fmt: skip


def _sample_entry(code: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(write(path, 10).read_bytes().replace(b"avc1", code))

    return make


def _narrow(path: Path) -> None:
    rows = [np.zeros((96, 1, 3), np.uint8)] * 5
    write(path, rows, Kind("mkv", "matroska", "mpeg4"))


def _playlist(path: Path) -> None:
    write(path.parent / "secret.ts", 10, "ts")
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")


def _concatenation(path: Path) -> None:
    write(path.parent / "secret.mp4", 10)
    path.write_text("ffconcat version 1.0\nfile 'secret.mp4'\n")


# (name of the file, who writes it, what the sentence says)
BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("text.mp4", text, "is not a video or image"),
    ("text.jpg", text, "holds no frame that can be decoded"),
    ("text.txt", text, "is not a video or image"),
    ("empty.mp4", Path.touch, "is empty"),
    ("zeros.mp4", _zeros, "is not a video or image"),
    ("noise.mp4", _noise, "is not a video or image"),
    ("noise.ts", _noise, "is not a video or image"),
    ("cut-index-last.mp4", cut(0.7), "or it was cut off"),
    ("cut-in-index.mp4", cut(0.9), "or it was cut off"),
    ("cut-index-first.mp4", cut(0.03, muxer={"movflags": "faststart"}), "or it was cut off"),
    ("cut.png", _cut_picture, "it was cut off"),
    ("cut.webp", _cut_picture, "it was cut off"),
    ("sound.m4a", write_audio, "holds no video"),
    ("sound.mp4", lambda path: write_audio(path, picture(1)), "holds no video"),
    ("sound.mka", lambda path: write_audio(path, format="matroska"), "holds no video"),
    ("sound.mp3", lambda path: write_audio(path, picture(1), "mp3"), "is not a video or image"),
    ("noframes.avi", _no_frames, "holds no frame"),
    ("encrypted.mp4", _encrypted, "is encrypted"),
    ("unnamed-encryption.mp4", _sample_entry(b"encv"), "cannot be decoded here"),
    ("unknown-codec.mp4", _sample_entry(b"zzzz"), "cannot be decoded here"),
    ("narrow.mkv", _narrow, "1×96 pixels, too small"),
    ("narrow.png", lambda path: still(path, np.zeros((90, 1, 3), np.uint8)), "1×90 pixels, too"),
    ("list.m3u8", _playlist, "is not a video or image"),
    ("list.mp4", _playlist, "is not a video or image"),
    ("list.ts", _playlist, "is not a video or image"),
    ("list.ffconcat", _concatenation, "is not a video or image"),
    ("concat.mp4", _concatenation, "is not a video or image"),
    ("folder.mp4", Path.mkdir, "is not a file"),
    ("missing.mp4", lambda path: None, "cannot be opened"),
    ("x" * 300 + ".mp4", lambda path: None, "cannot be opened"),
    ("nul\0.mp4", lambda path: None, "cannot be opened"),
]  # fmt: skip

NAMES = {
    "quotes": 'it\'s "quoted" `so`.mp4',
    "html": "<img src=x onerror=alert(1)><b>bold</b>.mp4",
    "long": "long " * 60 + ".mp4",
    "emoji": "🎬 clip 🧑‍🎤.mp4",
    "newline": "two\nlines\tand\x07bell.mp4",
    "colon": "http:example.mp4",
    "markdown": "[a](javascript:b) *c* $d$ :red[e].mp4",
}


def one_sentence(said: str) -> str:
    """Return what was said, which must be one sentence fit for a person."""
    assert said.endswith(".")
    assert "\n" not in said
    assert "Traceback" not in said
    assert said.count(". ") == 0
    assert len(said) < 260
    return said
