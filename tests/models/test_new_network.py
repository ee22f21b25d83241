"""A network of another kind, registered in one place, is found by everything without an edit.

The stand-in is timm's smallest ResNet with random weights; what it says of a face means nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
import torch
from jsonschema import Draft202012Validator
from safetensors.torch import save_file
from starlette.applications import Starlette
from starlette.testclient import TestClient
from torch import nn

from detector.analysis.engine import Engine
from detector.commands import cli
from detector.explanation import layers as layers_module
from detector.explanation.explainer import Explainer
from detector.jobs import process_queue
from detector.jobs.queue import Jobs
from detector.library.store import Library
from detector.limits import Limits
from detector.models import installed, spec
from detector.models.face_network import FaceNetwork
from detector.models.networks.definition import IMAGENET_MEAN, IMAGENET_STD, NetworkDefinition
from detector.models.networks.layer import Layer, Signal, convolution, dense
from detector.models.networks.registry import NETWORKS
from detector.result import json_schema
from detector.service.pending_clips import PendingClips
from detector.service.routes import BASE, create_api, mounted
from detector.service.service import Service, ServiceOpener
from detector.service.views import models_view
from pages.parts.frames import frame_filters
from tests.helpers.apptest import open_page, words
from tests.helpers.examples import Drawn, example

NAME, TITLE, SIDE = "tiny", "Tiny ResNet", 64
LIMITS = Limits(requests=10_000)


def tiny_layers(input_size: int) -> Iterator[Layer]:
    """The first convolutions of the stem, the first block's, and the dense layer."""
    signal = Signal(input_size)
    for number, (stride, output) in enumerate(((2, "conv1.2"), (1, "conv1.5"), (1, "act1")), 1):
        at = f"conv1.{3 * (number - 1)}"
        yield convolution(
            signal, NAME, number, at, output, 32, kernel=3, stride=stride, padding=1,
            input_size=input_size,
        )  # fmt: skip
    whole = signal.whole
    yield dense(NAME, "Dense 1", "head.1", "head.1", 96, 1, input_size, whole, signed=True)


TINY = NetworkDefinition(
    name=NAME,
    title=TITLE,
    trunk="test_resnet",
    head=lambda dropout: nn.Sequential(nn.Dropout(dropout), nn.Linear(96, 1)),
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    layers=tiny_layers,
    presets=(1, 2, 3),
    stages=(("conv1", "bn1"), ("layer1",)),
)


@dataclass(frozen=True)
class Stranger:
    """Where the models of the new kind are installed, and under which name."""

    folder: Path
    name: str = "strangers"


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stranger:
    """The one registration, and weights of that kind in the person's data folder."""
    monkeypatch.setitem(NETWORKS, NAME, TINY)
    folder = tmp_path / "data" / "models" / "strangers"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    file = folder / "tiny.safetensors"
    numbers = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    save_file(
        FaceNetwork(NAME).state_dict(),
        file,
        {"arch": TINY.trunk, "version": "v9", "input_size": str(SIDE), "crop_factor": "1.15"}
        | {key: ",".join(f"{value:g}" for value in values) for key, values in numbers.items()},
    )
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    entry = {"file": file.name, "sha256": sha256, "weight": 1.0, "temperature": 1.0}
    ensemble = {
        "version": "strangers", "networks": {NAME: entry}, "calibration": None, "note": "A test.",
        "bands": {"inconclusive": -1.0, "some": 1.0, "strong": 2.0},
    }  # fmt: skip
    (folder / "ensemble.json").write_text(json.dumps(ensemble))
    return Stranger(folder)


@pytest.fixture
def as_default(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same models as the shipped ones, which pages and `explain` look into."""
    path = stranger.folder / "ensemble.json"
    monkeypatch.setattr(spec.read_ensemble, "__defaults__", (path,))
    monkeypatch.setattr(Explainer.load.__func__, "__defaults__", (path, None))  # type: ignore[attr-defined]
    caches: list[Any] = [layers_module._input_sizes, layers_module._layers]
    _forget(caches)
    jobs = Jobs(Engine())  # the process's own may hold the shipped networks already
    monkeypatch.setattr(process_queue, "jobs", lambda: jobs)
    yield
    jobs._stop()
    _forget(caches)


def _forget(caches: list[Any]) -> None:
    for cache in caches:
        cache.cache_clear()
    st.cache_resource.clear()  # pages remember faces that were cut for the shipped networks


@pytest.mark.parametrize("backend", ["torch-cpu", "openvino-f32"])
def test_a_clip_is_scored_and_the_result_names_it(
    stranger: Stranger,
    portraits: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    backend: str,
) -> None:
    out = tmp_path / "out.json"
    command = ["scan", str(portraits["grace"]), "--models", stranger.name]
    assert cli.main([*command, "--backend", backend, "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert [(model["name"], model["version"]) for model in result["models"]] == [(NAME, "v9")]
    assert [set(face["logits"]) for face in result["frames"][0]["faces"]] == [{NAME}]
    capsys.readouterr()
    assert cli.main(["models"]) == 0
    assert NAME in capsys.readouterr().out


def test_the_api_offers_it_scores_with_it_and_answers_as_its_document_says(
    stranger: Stranger, portraits: dict[str, Path], tmp_path: Path
) -> None:
    view = models_view(installed.get_model(stranger.name))
    assert [(network.name, network.version) for network in view.networks] == [(NAME, "v9")]
    library = Library.open(tmp_path / "library.sqlite")
    service = Service(Jobs(Engine(), at_once=1), library, PendingClips(tmp_path / "spool"))
    api = create_api(ServiceOpener(lambda: service), LIMITS)
    token = service.tokens.create("test")[1]
    http = TestClient(
        Starlette(routes=[mounted(api)]),
        headers={"Authorization": f"Bearer {token}"},
        base_url="http://server",
    )
    try:
        offered = {each["name"]: each["networks"] for each in http.get(f"{BASE}/models").json()}
        assert [network["name"] for network in offered[stranger.name]] == [NAME]
        with portraits["grace"].open("rb") as clip:
            sent = http.post(
                f"{BASE}/analyses",
                files={"clip": ("grace.jpg", clip)},
                data={"models": stranger.name, "backend": "torch-cpu", "frames": "1"},
            )
        assert sent.status_code == 202, sent.text
        job = sent.json()
        end = time.monotonic() + 120
        while job["state"] not in ("done", "failed"):
            assert time.monotonic() < end
            time.sleep(0.05)
            job = http.get(job["links"]["self"]).json()
        assert job["state"] == "done", job["error"]
        result = http.get(job["links"]["json"]).json()
        assert [model["name"] for model in result["models"]] == [NAME]
        Draft202012Validator(json_schema()).validate(result)
        document = http.get(f"{BASE}/openapi.json").json()
        network = document["components"]["schemas"]["UsedModel"]
        for described in offered[stranger.name]:
            Draft202012Validator(network).validate(described)
    finally:
        http.close()
        service.jobs._stop()
        service.close()
        library.close()


def test_the_frames_page_has_its_column_and_its_order(stranger: Stranger, tmp_path: Path) -> None:
    first = example("other.mp4", frames=4, faces=1)
    frames = [
        dataclasses.replace(
            frame,
            faces=tuple(
                dataclasses.replace(face, logits={NAME: face.logit}) for face in frame.faces
            ),
        )
        for frame in first.frames
    ]
    model = dataclasses.replace(first.models[0], name=NAME, weight=1.0, temperature=1.0)
    analysis = dataclasses.replace(first, models=(model,), frames=tuple(frames))
    with Library.open() as library:
        number = library.add(analysis, Drawn())
    # A panel lists its orders when it is imported, as it would after a line in the registry.
    try:
        importlib.reload(frame_filters)
        app = open_page("frames", analysis=str(number))
        app.selectbox(key="frame_order").set_value(f"{TITLE} highest first").run()
        assert not app.exception
        shown = list(app.dataframe[0].value[f"{TITLE} logit"].dropna())
        assert shown == sorted((f.logits[NAME] for row in frames for f in row.faces), reverse=True)
    finally:
        del NETWORKS[NAME]
        importlib.reload(frame_filters)
        NETWORKS[NAME] = TINY  # for the fixture to take out


@pytest.mark.usefixtures("as_default")
def test_the_command_line_looks_into_it(
    portraits: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explain", str(portraits["grace"]), "--layer", f"{NAME}:3", "--out", str(tmp_path)]
    assert cli.main(command) == 0
    assert f"Grad-CAM at {NAME}:3, {NAME}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["explain", "--help"])
    assert f"{NAME}:3" in capsys.readouterr().out


@pytest.mark.usefixtures("as_default")
def test_the_pages_look_into_it() -> None:
    app = open_page("feature_maps")
    assert app.segmented_control(key="network").options == [TITLE]
    app.button(key=f"preset-{NAME}:2").click().run()
    assert not app.exception
    assert f"**Layer 2** of {TITLE}" in words(app)
    app = open_page("attributions")
    assert app.pills(key="networks").options == [TITLE, "Ensemble"]


def test_a_run_may_train_it(stranger: Stranger) -> None:
    from detector.training.initial_weights import freeze, make_network
    from detector.training.presets import override, preset

    config = override(preset("paper-a"), network=NAME)
    assert (config.mean, config.std) == (IMAGENET_MEAN, IMAGENET_STD)
    network = make_network(NAME, "", config.dropout)
    assert len(freeze(network, 1)) == 2
    assert network(torch.zeros(2, 3, SIDE, SIDE)).shape == (2,)
