"""What a clip, a person and the whole service may cost; each limit can be set from outside.

Every limit is enforced before the memory, time or disk that it guards is spent. The variables of
the environment are named after the fields: `VERIFRAME_MAX_BYTES=500M`, `VERIFRAME_MAX_FRAMES=9000`.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from detector.errors import DetectorError

PREFIX = "VERIFRAME_MAX_"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MOST = 1 << 50


@dataclass(frozen=True)
class Limits:
    """What is refused, and when.

    Attributes:
        bytes: size of a file.
        pixels: of a frame, as stored and as displayed.
        side: least width and height of a frame, pixels; `VERIFRAME_MIN_SIDE`.
        frames: of a clip.
        seconds: duration of a clip.
        streams: of a container: video, sound, subtitles and all others.
        memory: bytes that the process may use which decodes a clip.
        cpu: seconds of computing that one clip may cost in that process.
        stall: seconds without a sign of progress after which that process is stopped.
        analyses: that run at the same time.
        queue: analyses that may wait.
        kept: analyses in the library.
        requests: to the service, from one token in a second.
    """

    bytes: int = 4 << 30
    pixels: int = 8192 * 8192
    side: int = 32
    frames: int = 2_000_000
    seconds: int = 24 * 3600
    streams: int = 64
    memory: int = 4 << 30
    cpu: int = 12 * 3600
    stall: int = 60
    analyses: int = 4
    queue: int = 100
    kept: int = 1_000_000
    requests: int = 500

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Limits:
        """Read the limits that variables of the environment set; others keep their default.

        Args:
            environment: default, that of this process.

        Raises:
            DetectorError: a value is no number, or not above 0.
        """
        environment = os.environ if environment is None else environment
        given = {
            field.name: _number(variable, environment[variable])
            for field in dataclasses.fields(cls)
            if environment.get(variable := variable_of(field.name), "").strip()
        }
        return cls(**given)


def variable_of(name: str) -> str:
    """Return the variable of the environment that sets the field `name`."""
    return "VERIFRAME_MIN_SIDE" if name == "side" else PREFIX + name.upper()


def _number(variable: str, text: str) -> int:
    match = re.fullmatch(r"\s*(\d{1,16})\s*([KMGT]?)(?:I?B)?\s*", text, re.IGNORECASE | re.ASCII)
    number = int(match[1]) * _UNITS[match[2].upper()] if match else 0
    if not 0 < number <= _MOST:
        raise DetectorError(
            f"{variable} is “{text[:40]}”, which is no limit; write a whole number above 0, for "
            "example 2000 or 500M."
        )
    return number
