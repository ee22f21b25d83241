"""Send a clip to a running server, follow the job, and fetch the report.

TOKEN=$(python -m detector token create "an example")
python -m examples.follow_a_job http://localhost:8501 "$TOKEN" clip.mp4 report.pdf
"""

import sys
from pathlib import Path
from typing import Any

from detector import DetectorError
from detector.client import Client


def show(job: dict[str, Any]) -> None:
    progress = job["progress"]
    print(f"{job['state']}: {progress['done']} of {progress['total']} frames")


def main(address: str, token: str, clip: Path, report: Path) -> None:
    with Client(address, token) as veriframe:
        # The same clip with the same options is not scanned twice.
        job = veriframe.send(clip, frames=16)
        done = veriframe.wait(job, on_progress=show)
        print(veriframe.result(done).finding.band)
        veriframe.save(done, report)  # .pdf, .json or .csv
        veriframe.delete(done)  # nothing of the clip stays on the server


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    except DetectorError as error:
        sys.exit(str(error))
