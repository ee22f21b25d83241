"""What Veriframe is made of: pinned with hashes, and nothing that runs by being opened."""

from __future__ import annotations

import ast
import re
import zipfile
from pathlib import Path

import pytest

from tests.helpers.processes import ROOT

SOURCES = [
    *(ROOT / "detector").rglob("*.py"),
    *(ROOT / "pages").rglob("*.py"),
    *(ROOT / "benchmarks").rglob("*.py"),
    *(ROOT / "examples").rglob("*.py"),
    *(ROOT / "assets").rglob("*.py"),
    ROOT / "app.py",
    ROOT / "server.py",
]
LOCKS = {
    "app": ("requirements.txt", "requirements.lock"),
    "tests": ("tests/requirements.txt", "tests/requirements.lock"),
}

PICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Their errors carry no code with them.
HARMLESS = {("pickle", "UnpicklingError"), ("pickle", "PicklingError")}
OPENERS = {"read_pickle", "load_from_checkpoint", "unsafe_load", "full_load", "eval", "exec"}


def name_of(node: ast.expr) -> str:
    """The dotted name of what is called, such as `torch.load`."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def constant(call: ast.Call, keyword: str) -> object:
    """The value that a call gives to a keyword, where it is written out."""
    found = [word.value for word in call.keywords if word.arg == keyword]
    return found[0].value if found and isinstance(found[0], ast.Constant) else None


def dangerous(source: str) -> list[str]:
    """What in a Python source can run a program by opening data."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names if one.name.split(".")[0] in PICKLING]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLING:
            names = [(node.module, one.name) for one in node.names]
            found += [f"{module}.{name}" for module, name in names
                      if (module, name) not in HARMLESS]  # fmt: skip
        elif isinstance(node, ast.Call):
            found += dangerous_call(node)
    return found


def dangerous_call(call: ast.Call) -> list[str]:
    """The same, of one call."""
    name = name_of(call.func)
    module, _, last = name.rpartition(".")
    pickled = (
        (name in ("torch.load", "torch.jit.load") and constant(call, "weights_only") is not True)
        or (last == "fit" and any(word.arg == "ckpt_path" for word in call.keywords)
            and constant(call, "weights_only") is not True)
        or constant(call, "allow_pickle") is True
        or (name == "yaml.load" and "Loader" not in {word.arg for word in call.keywords})
        or (last in OPENERS and (bool(module) is (last not in ("eval", "exec"))))
    )  # fmt: skip
    return [name] if pickled else []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_opens_what_can_run(path: Path) -> None:
    assert dangerous(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import joblib.numpy_pickle",
        "from dill import load",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "trainer.fit(module, ckpt_path=last)",
        "numpy.load(path, allow_pickle=True)",
        "pandas.read_pickle(path)",
        "yaml.load(text)",
        "Module.load_from_checkpoint(path)",
        "eval(text)",
        "exec(text)",
    ],
)
def test_the_search_finds_what_it_is_for(source: str) -> None:
    assert len(dangerous(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path, weights_only=True)",
        "numpy.load(path)",
        "yaml.safe_load(text)",
        "json.load(stream)",
        "model.eval()",
        "Network(name).eval()",
        "from pickle import UnpicklingError",
    ],
)
def test_the_search_leaves_alone_what_is_safe(source: str) -> None:
    assert dangerous(source) == []


def pins(path: Path) -> dict[str, str]:
    """Package -> version, of the lines that pin one."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"^([A-Za-z0-9_.\-]+)(?:\[[\w,]+\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize(("asked", "locked"), LOCKS.values(), ids=LOCKS)
def test_the_lock_holds_what_is_asked_for(asked: str, locked: str) -> None:
    wanted, held = pins(ROOT / asked), pins(ROOT / locked)
    different = {name: version for name, version in wanted.items() if held.get(name) != version}
    assert different == {}, "run `make lock`"


def test_tests_run_with_the_versions_of_the_app() -> None:
    app, tests = (pins(ROOT / locked) for _, locked in LOCKS.values())
    both = app.keys() & tests.keys()
    assert {name: app[name] for name in both} == {name: tests[name] for name in both}


@pytest.mark.parametrize(("asked", "locked"), LOCKS.values(), ids=LOCKS)
def test_every_package_has_its_hashes_and_none_its_place(asked: str, locked: str) -> None:
    text = (ROOT / locked).read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) >= len(pins(ROOT / asked))
    for block in blocks:
        assert re.match(r"[\w.\-]+(\[[\w,]+\])?==[^\s]+", block), block.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]
    assert "://" not in text
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)", text)


class Runs:
    """Pickled, it makes a file when it is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.trace), "w")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".pkl", ".safetensors", ".npz"])
def test_weights_that_could_run_are_refused(tmp_path: Path, suffix: str) -> None:
    import torch

    from detector.errors import TrainingError
    from detector.training.initial_weights import make_network

    trace, path = tmp_path / "ran", tmp_path / f"weights{suffix}"
    torch.save(Runs(trace), path)
    with pytest.raises(TrainingError, match=r"safetensors") as refused:
        make_network("resnet50", str(path), 0.0)
    assert not trace.exists()
    assert str(refused.value).count(". ") == 0


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    import numpy as np

    from detector.errors import TrainingError
    from detector.training.initial_weights import make_network

    trace, path = tmp_path / "ran", tmp_path / "weights.npz"
    np.savez(path, weight=np.array([Runs(trace)], dtype=object))
    assert zipfile.is_zipfile(path)
    with pytest.raises(TrainingError, match="cannot be read as weights"):
        make_network("resnet50", str(path), 0.0)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_a_checkpoint_that_could_run_is_refused(tmp_path: Path, name: str) -> None:
    import torch

    from detector.errors import TrainingError
    from detector.training import runs

    trace, path = tmp_path / "ran", tmp_path / name
    torch.save({"epoch": 3, "state_dict": Runs(trace)}, path)
    with pytest.raises(TrainingError, match="could run a program"):
        runs._checkpoint(path)
    assert not trace.exists()


def test_installed_weights_must_be_safetensors(tmp_path: Path) -> None:
    import json

    import torch

    from detector.errors import ModelError
    from detector.files import MODELS
    from detector.models.spec import read_ensemble

    trace = tmp_path / "ran"
    entry = json.loads((MODELS / "ensemble.json").read_text())
    for network in entry["networks"].values():
        network["file"] = "weights.pt"
    (tmp_path / "ensemble.json").write_text(json.dumps(entry))
    torch.save(Runs(trace), tmp_path / "weights.pt")
    with pytest.raises(ModelError):
        read_ensemble(tmp_path / "ensemble.json")
    assert not trace.exists()
