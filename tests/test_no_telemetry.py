"""Libraries that report how they are used do not."""

from __future__ import annotations

import subprocess
import sys

from tests.helpers.processes import ROOT


def test_what_reports_is_not_there_for_openvino() -> None:
    program = (
        "import detector, sys, openvino.tools.ovc.convert_impl as convert;"
        "print(convert.tm.__name__, sys.modules['openvino_telemetry'])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True,
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "None"]


def test_without_us_it_would_report() -> None:
    """The day this fails, OpenVINO has changed and `no_telemetry` can go."""
    program = "import openvino.tools.ovc.convert_impl as convert; print(convert.tm.__name__)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True,
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout.strip() == "openvino_telemetry"
