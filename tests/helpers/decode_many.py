"""Reads one hostile file after the other without a sandbox, so that no sandbox hides a mistake.

    python -m tests.helpers.decode_many FOLDER FIRST COUNT

Prints a line before each file and one after it, as JSON: who reads them sees which file it was
that made this process crash or hang.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import av.logging

from detector.errors import DetectorError
from detector.limits import Limits
from detector.media.provenance.container import inspect_here
from detector.media.reader import ClipReader
from tests.helpers.mutations import make, seeds

MEMORY = 3 << 30
LIMITS = Limits(frames=20_000, pixels=4096 * 4096)


def read(path: Path, number: int) -> str:
    """What comes of a file: "result", or the sentence that refuses it."""
    try:
        with ClipReader(path, limits=LIMITS) as reader:
            frames = [frame.index for frame in reader.sample(3)]
            reader.frame_at(0.1)
            clip = reader.describe()
        assert frames == sorted(set(frames))
        assert clip.frames >= 1
        assert clip.width * clip.height <= LIMITS.pixels
        if number % 4 == 0:
            inspect_here(path, limits=LIMITS)
    except DetectorError as error:
        return str(error)
    return "result"


def main(folder: Path, first: int, count: int) -> None:
    av.logging.set_level(None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    whole = seeds()
    for number in range(first, first + count):
        name, content = make(number, whole)
        path = folder / name.replace("%03d", "percent")
        path.write_bytes(content)
        print(json.dumps({"number": number}), flush=True)
        started = time.monotonic()
        try:
            outcome = read(path, number)
        except BaseException as error:
            outcome = f"!{type(error).__name__}: {error}"
        finally:
            path.unlink()
        said = {"number": number, "outcome": outcome, "seconds": time.monotonic() - started,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}  # fmt: skip
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
