"""Libraries that report how they are used do not."""

from __future__ import annotations

from tests.helpers.processes import python


def test_what_reports_is_not_there_for_openvino() -> None:
    program = (
        "import detector, sys, openvino.tools.ovc.convert_impl as convert;"
        "print(convert.tm.__name__, sys.modules['openvino_telemetry'])"
    )
    assert python(program).split() == ["openvino.tools.ovc.telemetry_stub", "None"]


def test_without_us_it_would_report() -> None:
    """The day this fails, OpenVINO has changed and `no_telemetry` can go."""
    program = "import openvino.tools.ovc.convert_impl as convert; print(convert.tm.__name__)"
    assert python(program) == "openvino_telemetry"
