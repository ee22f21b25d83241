"""Who imports whom: no circles, and every part of the package has its place in the layers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import grimp
import networkx
import pytest

from tests.helpers.processes import ROOT

LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
LAYERS = next(one["layers"] for one in LINTER["contracts"] if one["type"] == "layers")


def circles(imports: grimp.ImportGraph) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or round about."""
    graph = networkx.DiGraph(
        (module, imported)
        for module in imports.modules
        for imported in imports.find_modules_directly_imported_by(module)
    )
    groups = networkx.strongly_connected_components(graph)
    return sorted(sorted(group) for group in groups if len(group) > 1)


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    """All imports between our modules, also those in functions and those only for types."""
    return grimp.build_graph("detector", "pages", cache_dir=None)


def test_no_import_is_a_circle(imports: grimp.ImportGraph) -> None:
    assert circles(imports) == []


@pytest.mark.parametrize(
    "body",
    [
        "from stand_in.first import one",
        "def later():\n    from stand_in.first import one",
        "import typing\nif typing.TYPE_CHECKING:\n    from stand_in.first import one",
    ],
    ids=["plain", "in a function", "only for types"],
)
def test_the_search_finds_every_kind_of_circle(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "stand_in"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "first.py").write_text("from stand_in.second import later\none = 1\n")
    (package / "second.py").write_text(body + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = circles(grimp.build_graph("stand_in", cache_dir=None))
    assert found == [["stand_in.first", "stand_in.second"]]


def test_every_part_of_the_package_has_a_layer(imports: grimp.ImportGraph) -> None:
    placed = [f"detector.{part.strip()}" for layer in LAYERS for part in layer.split("|")]
    assert sorted(placed) == sorted(imports.find_children("detector"))


def test_what_contracts_forbid_is_spelt_as_it_is_imported() -> None:
    """A misspelt name in a contract would forbid nothing."""
    whole = grimp.build_graph("detector", "pages", include_external_packages=True, cache_dir=None)
    forbidden = {
        name
        for contract in LINTER["contracts"]
        for name in contract.get("forbidden_modules", ())
        if not name.endswith("*")
    }
    assert forbidden <= whole.modules
