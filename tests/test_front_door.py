"""`import detector` gives seven names, each with an example that runs, and loads nothing heavy."""

from __future__ import annotations

import doctest
import inspect
import json

import pytest

import detector
from detector.analysis.engine import Engine
from detector.files import PACKAGE, ROOT
from detector.version import __version__
from tests.helpers.processes import python

NAMES = ["Analysis", "DetectorError", "Library", "Settings", "explain", "scan", "verify"]
HEAVY = ("av", "cv2", "numpy", "openvino", "pydantic", "sqlalchemy", "streamlit", "torch")


def test_these_names_and_no_others_are_exported() -> None:
    assert detector.__all__ == NAMES
    names: dict[str, object] = {}
    exec("from detector import *", names)
    assert sorted(names.keys() - {"__builtins__"}) == NAMES
    assert set(NAMES) < set(dir(detector))
    assert detector.__version__ == __version__
    with pytest.raises(AttributeError, match="module 'detector' has no attribute 'anything'"):
        detector.anything  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_each_is_at_home_where_it_is_said_to_be(name: str) -> None:
    value = getattr(detector, name)
    assert f"{value.__module__}.{value.__qualname__}" == f"{detector._HOMES[name]}.{name}"


@pytest.mark.parametrize("name", NAMES)
def test_its_example_runs(name: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if name != "scan":  # which loads the models as a reader's program does
        for module in ("scan", "verify"):
            monkeypatch.setattr(f"detector.analysis.{module}.Engine", lambda: engine)
    text = inspect.getdoc(getattr(detector, name))
    assert text is not None
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert example.examples
    said: list[str] = []
    found = doctest.DocTestRunner().run(example, out=said.append)
    assert not found.failed, "".join(said)


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        f"import sys, json, detector; dir(detector); detector.__version__\n"
        f"before = [name for name in {HEAVY} if name in sys.modules]\n"
        "from detector import Analysis, DetectorError, Settings\n"
        f"print(json.dumps([before, [name for name in {HEAVY} if name in sys.modules]]))"
    )
    assert json.loads(python(code)) == [[], []]


def test_its_types_are_for_others_too() -> None:
    assert (PACKAGE / "py.typed").read_bytes() == b""
