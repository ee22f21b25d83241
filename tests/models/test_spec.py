"""detector.models.spec: which networks are installed, and that their files are the right ones."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from detector.errors import ModelError
from detector.files import MODELS, sha256_of
from detector.models.integrity import check_hash
from detector.models.spec import read_ensemble
from tests.helpers.processes import python

META = {
    "arch": "resnet50",
    "version": "v9",
    "input_size": "144",
    "mean": "0.1,0.2,0.3",
    "std": "0.4,0.5,0.6",
    "crop_factor": "1.15",
}


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., Path]:
    """Writes an ensemble of two tiny files, changed as asked, and gives the path of its JSON."""

    def write(change: Callable[[dict], object] = lambda entry: None, **second: str | None) -> Path:
        networks = {}
        for name, meta in (("second", META | second), ("first", META | {"input_size": "304"})):
            file = tmp_path / f"{name}.safetensors"
            kept = {key: value for key, value in meta.items() if value is not None}
            save_file({"w": np.zeros(3, np.float16)}, file, metadata=kept)
            networks[name] = {
                "file": file.name,
                "sha256": sha256_of(file),
                "weight": 0.25,
                "temperature": 1.5,
            }
        entry = {
            "version": "v9",
            "networks": networks,
            "bands": {"inconclusive": -1, "some": 0, "strong": 1},
            "calibration": None,
            "note": "For tests.",
        }
        change(entry)
        path = tmp_path / "ensemble.json"
        path.write_text(json.dumps(entry))
        return path

    return write


def test_the_shipped_ensemble_is_whole() -> None:
    ensemble = read_ensemble()
    assert [network.name for network in ensemble.networks] == ["resnet50", "xception"]
    assert sum(network.weight for network in ensemble.networks) == pytest.approx(1)
    assert ensemble.bands.inconclusive < ensemble.bands.some < ensemble.bands.strong
    assert ensemble.crop_size == max(network.input_size for network in ensemble.networks)
    for network in ensemble.networks:
        assert network.path.parent == MODELS
        check_hash(network)
        assert sha256_of(network.path) == network.sha256
        assert all(0 < value < 1 for value in (*network.mean, *network.std))
        assert network.temperature > 0
    if not ensemble.bands.calibrated:
        assert "provisional" in ensemble.bands.note


def test_metadata_of_the_weights_is_read_without_loading_them(
    install: Callable[..., Path],
) -> None:
    ensemble = read_ensemble(install())
    assert [network.name for network in ensemble.networks] == ["first", "second"]
    second = ensemble.network("second")
    assert (second.architecture, second.version, second.input_size) == ("resnet50", "v9", 144)
    assert (second.mean, second.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (second.weight, second.temperature, second.crop_factor) == (0.25, 1.5, 1.15)
    assert ensemble.crop_size == 304
    assert ensemble.crop_factor == 1.15
    assert (ensemble.bands.inconclusive, ensemble.bands.some, ensemble.bands.strong) == (-1, 0, 1)
    assert not ensemble.bands.calibrated


def calibrated(path: Path, change: Callable[[dict], object] = lambda found: None) -> Path:
    """Puts a calibration beside an ensemble, and links it; returns the ensemble's path."""
    entry = json.loads(path.read_text())
    found = {
        "run": {
            "models": [
                {"name": name, "sha256": network["sha256"], "weight": weight, "temperature": 0.5}
                for (name, network), weight in zip(
                    sorted(entry["networks"].items()), (0.2, 0.8), strict=True
                )
            ],
            "bands": {"inconclusive": -2, "some": 2, "strong": 4, "calibrated": True},
        },
        "aggregation": "mean",
        "note": "Fitted.",
    }
    change(found)
    (path.parent / "calibration.json").write_text(json.dumps(found))
    path.write_text(json.dumps(entry | {"calibration": "calibration.json"}))
    return path


def test_numbers_come_from_the_calibration_where_there_is_one(
    install: Callable[..., Path],
) -> None:
    ensemble = read_ensemble(calibrated(install()))
    assert ensemble.bands.calibrated
    assert (ensemble.bands.inconclusive, ensemble.bands.some, ensemble.bands.strong) == (-2, 2, 4)
    assert [(n.weight, n.temperature) for n in ensemble.networks] == [(0.2, 0.5), (0.8, 0.5)]
    assert (ensemble.aggregation, ensemble.bands.note) == ("mean", "Fitted.")
    assert read_ensemble(install()).aggregation == "median"


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["run"]["models"][0].update(sha256="0" * 64),
        lambda found: found["run"]["models"].pop(),
    ],
    ids=["other weights", "a network fewer"],
)
def test_a_calibration_of_other_weights_is_refused(
    install: Callable[..., Path], change: Callable[[dict], object]
) -> None:
    with pytest.raises(ModelError, match=r"calibration.json was fitted on other weights.*again"):
        read_ensemble(calibrated(install(), change))


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.update(aggregation="best"),
        lambda found: found["run"].pop("bands"),
        lambda found: found["run"]["models"][0].pop("temperature"),
        lambda found: found.update(run=[]),
    ],
    ids=["aggregation", "no bands", "no temperature", "no run"],
)
def test_a_damaged_calibration_is_refused(
    install: Callable[..., Path], change: Callable[[dict], object]
) -> None:
    with pytest.raises(ModelError, match="restore assets/models"):
        read_ensemble(calibrated(install(), change))


def test_a_calibration_that_is_missing_is_refused(install: Callable[..., Path]) -> None:
    path = calibrated(install())
    (path.parent / "calibration.json").unlink()
    with pytest.raises(ModelError, match="restore assets/models"):
        read_ensemble(path)


def test_an_unknown_network_is_refused_with_the_known_ones(install: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="called 'third'; choose one of: first, second"):
        read_ensemble(install()).network("third")


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.pop("networks"),
        lambda e: e.pop("note"),
        lambda e: e.pop("calibration"),
        lambda e: e["networks"]["first"].pop("sha256"),
        lambda e: e["networks"]["first"].update(weight="much"),
        lambda e: e["networks"]["first"].update(file="gone.safetensors"),
        lambda e: e["bands"].pop("some"),
        lambda e: e["bands"].update(certain=3),
        lambda e: e.update(networks=[1, 2]),
    ],
    ids=["networks", "note", "calibration", "sha256", "weight", "file", "band", "bands", "type"],
)
def test_an_unreadable_ensemble_is_one_sentence(
    install: Callable[..., Path], change: Callable[[dict], object]
) -> None:
    path = install(change)
    with pytest.raises(ModelError) as caught:
        read_ensemble(path)
    assert str(caught.value).endswith("restore assets/models from the repository.")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "meta",
    [
        {"mean": None},
        {"mean": "0.5,0.5"},
        {"mean": "a,b,c"},
        {"input_size": "large"},
        {"arch": None},
    ],
    ids=["no mean", "two means", "words", "size", "no arch"],
)
def test_weights_with_unreadable_metadata_are_refused(
    install: Callable[..., Path], meta: dict[str, str | None]
) -> None:
    with pytest.raises(ModelError, match="restore assets/models"):
        read_ensemble(install(**meta))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null"])
def test_damaged_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ensemble.json"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="restore assets/models"):
        read_ensemble(path)
    with pytest.raises(ModelError, match="restore assets/models"):
        read_ensemble(tmp_path / "missing.json")


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 4000], ids=["empty", "cut", "junk"])
def test_a_damaged_weights_file_is_refused(install: Callable[..., Path], content: bytes) -> None:
    path = install()
    (path.parent / "first.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="restore assets/models"):
        read_ensemble(path)


def test_networks_that_want_different_crops_are_refused(install: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="install networks with one crop_factor"):
        read_ensemble(install(crop_factor="1.3"))


def test_altered_weights_are_refused_by_their_hash(install: Callable[..., Path]) -> None:
    spec = read_ensemble(install()).network("first")
    check_hash(spec)
    whole = spec.path.read_bytes()
    spec.path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.utime(spec.path, ns=(1, 1))  # checked again although the path was checked before
    with pytest.raises(ModelError, match=r"first.safetensors is not the file it should be"):
        check_hash(spec)
    spec.path.write_bytes(whole)
    check_hash(spec)
    spec.path.unlink()
    with pytest.raises(ModelError, match=r"first.safetensors cannot be read; restore"):
        check_hash(spec)


def test_a_spec_with_another_hash_is_refused(install: Callable[..., Path]) -> None:
    spec = dataclasses.replace(read_ensemble(install()).network("first"), sha256="0" * 64)
    with pytest.raises(ModelError, match="expected 000000000000…"):
        check_hash(spec)


def test_sha256_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 500_000)
    assert sha256_of(path) == hashlib.sha256(b"abc" * 500_000).hexdigest()


def test_reading_the_ensemble_needs_no_torch() -> None:
    code = "import sys, detector.models.spec as w; w.read_ensemble(); print('torch' in sys.modules)"
    printed = python(code)
    assert printed == "False"
