"""What a clip and a frame of it are, and which files are looked at.

Nothing heavy is imported here, not even NumPy: results and the REST client read these types too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from detector.errors import ClipError
from detector.limits import Limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Image: TypeAlias = "NDArray[np.uint8]"

EXTENSIONS = (
    *("mp4", "m4v", "mov", "webm", "mkv", "avi", "gif", "mpg", "mpeg", "ts"),
    *("jpg", "jpeg", "png", "webp"),
)


@dataclass(frozen=True)
class Clip:
    """What is known of a clip without looking at its pictures.

    Attributes:
        name: file name as the person gave it.
        sha256: hash of the file, hex.
        bytes: size of the file.
        container, codec: FFmpeg's short names, for example "mov,mp4,…" and "h264".
        width, height: pixels as displayed, after rotation and pixel aspect ratio.
        rotation: degrees clockwise that were applied to show the picture upright.
        frame_rate: mean frames per second; 0 for a still image.
        variable_frame_rate: the times between frames differ by more than a tenth.
        frames: number of frames.
        duration: seconds; 0 for a still image.
        bits_per_pixel: bits of video for one displayed pixel of one frame.
        has_audio: an audio stream is there (the detector does not listen to it).
        creation_time: as the container says, or None.
        encoder: tag that the writing software left, or None.
        damaged: packets that could not be read, or frames the header promises in vain.
    """

    name: str
    sha256: str
    bytes: int
    container: str
    codec: str
    width: int
    height: int
    rotation: int
    frame_rate: float
    variable_frame_rate: bool
    frames: int
    duration: float
    bits_per_pixel: float
    has_audio: bool
    creation_time: str | None
    encoder: str | None
    damaged: int

    @property
    def still(self) -> bool:
        """True for a picture without time."""
        return self.frames == 1 and self.duration == 0


@dataclass(frozen=True)
class Frame:
    """One picture of a clip.

    Attributes:
        index: number in presentation order, from 0.
        time: presentation time, seconds from the start of the clip as a player shows it.
        image: RGB uint8 [height, width, 3], upright.
    """

    index: int
    time: float
    image: Image


def check_file(path: Path, label: str, limits: Limits) -> None:
    """Check that there is a file that may be read, of a size that is allowed.

    Raises:
        ClipError: no; the sentence calls it `label`.
    """
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise ClipError(f"“{label}” cannot be opened; check that it exists.") from error
    if not path.is_file():
        raise ClipError(f"“{label}” is not a file; choose a video or an image.")
    if size == 0:
        raise ClipError(f"“{label}” is empty; choose a file with content.")
    check_size(size, label, limits)


def check_size(size: int, label: str, limits: Limits) -> None:
    """Check that a file of so many bytes is allowed; raises ClipError."""
    if size > limits.bytes:
        raise ClipError(
            f"“{label}” is {size / 2**30:.1f} GiB, more than the {limits.bytes / 2**30:.1f} GiB "
            "allowed here; cut the part you need."
        )


def too_much_memory(label: str) -> ClipError:
    """Return what is said where decoding needs more than it may use."""
    return ClipError(
        f"“{label}” needs more memory to be decoded than is allowed here; export a smaller copy, "
        "at most 4K."
    )


def lasting(seconds: float) -> str:
    """Return a duration for a sentence: 95.0 s, 2.5 minutes."""
    return f"{seconds:,.1f} s" if seconds < 120 else f"{seconds / 60:,.1f} minutes"


def shortened(name: str, most: int = 60) -> str:
    """Make a name fit for a sentence: printable, and its middle left out where it is long."""
    name = "".join(letter if letter.isprintable() else " " for letter in name)
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 + 1 :]}"
