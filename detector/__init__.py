"""Veriframe: evidence of face manipulation in video, and a look inside the networks.

`scan` looks at a clip with `Settings` and returns an `Analysis`; `explain` shows where a face's
score comes from; `verify` scans again and compares; a `Library` keeps analyses. All errors that a
person should read are a `DetectorError`. Each of these seven has an example in its docstring.
Everything in this package works without Streamlit.

Each name is imported when it is first used, so that ``import detector`` is instant.
"""

from detector.no_telemetry import switch_off
from detector.version import __version__ as __version__

switch_off()

__all__ = ["Analysis", "DetectorError", "Library", "Settings", "explain", "scan", "verify"]

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from detector.analysis.scan import scan
    from detector.analysis.verify import verify
    from detector.errors import DetectorError
    from detector.explanation.explain_clip import explain
    from detector.library.store import Library
    from detector.result import Analysis
    from detector.settings import Settings
else:
    _HOMES = {
        "Analysis": "detector.result",
        "DetectorError": "detector.errors",
        "Library": "detector.library.store",
        "Settings": "detector.settings",
        "explain": "detector.explanation.explain_clip",
        "scan": "detector.analysis.scan",
        "verify": "detector.analysis.verify",
    }

    def __getattr__(name):
        """Import a name of the front door where it is first used."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value

    def __dir__():
        """List what is here, and what can be imported."""
        return sorted({*globals(), *__all__})
