"""The files around the code are true: hooks, citation, and what the documentation points at."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from detector import __version__
from tests.helpers.processes import ROOT

BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "deploy").glob("*.md"),
    *(ROOT / "examples").glob("*.md"),
    ROOT / "assets" / "README.md",
]


def hooks() -> list[dict[str, object]]:
    [repository] = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    return list(repository["hooks"])


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["id"])
def test_each_hook_runs_a_program_that_is_installed(hook: dict[str, object]) -> None:
    assert hook["language"] == "system"
    program, *_ = str(hook["entry"]).split()
    assert Path(program).parent == Path(".venv/bin")
    subprocess.run([BIN / Path(program).name, "--version"], check=True, capture_output=True)


def test_hooks_and_make_lint_check_the_same() -> None:
    makefile = (ROOT / "Makefile").read_text()
    linted = re.findall(r"^\t\$\(BIN\)/(ruff check|ruff format|mypy|lint-imports)", makefile, re.M)
    hooked = [
        re.sub(r" -.*", "", str(hook["entry"])).removeprefix(".venv/bin/") for hook in hooks()
    ]
    assert hooked == linted


def test_the_citation_is_valid_and_of_this_version() -> None:
    path = ROOT / "CITATION.cff"
    subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.citation-file-format", path],
        check=True,
    )
    citation = YAML(typ="safe").load(path)
    assert citation["version"] == PROJECT["version"] == __version__
    assert citation["license"] == PROJECT["license"]
    assert citation["title"].lower() == PROJECT["name"]
    assert [
        (work["authors"][0]["family-names"], work["year"]) for work in citation["references"]
    ] == [
        ("Lin", 2017),
        ("Chollet", 2017),
        ("He", 2016),
        ("Bazarevsky", 2019),
        ("Shiohara", 2022),
        ("Kokhlikyan", 2020),
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_documentation_points_at_what_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    named = re.findall(
        r"`((?:detector|pages|tests|docs|deploy|examples|benchmarks)/[\w./*]*)`", text
    )
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []
    modules = re.findall(r"`(detector(?:\.\w+)+)`", text)
    assert [name for name in modules if not known(name)] == []


def known(name: str) -> bool:
    """Whether a dotted name is a module, or a name that stands in one."""
    path = ROOT / name.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module = path.parent / "__init__.py" if path.parent.is_dir() else path.parent.with_suffix(".py")
    return module.is_file() and re.search(rf"\b{path.name}\b", module.read_text()) is not None
