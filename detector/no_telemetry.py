"""Keep libraries from reporting how they are used.

OpenVINO's model conversion sends usage figures to www.google-analytics.com without asking, by
the package `openvino_telemetry`; without that package it does nothing of the kind. It cannot be
left out of the installation, since OpenVINO requires it; so it is hidden from imports.
"""

from __future__ import annotations

import sys

REPORTING = ("openvino_telemetry",)


def switch_off() -> None:
    """Make the packages that report look as if they were not installed; more calls do nothing."""
    for name in REPORTING:
        sys.modules[name] = None  # type: ignore[assignment]  # importlib's way to say "not here"
