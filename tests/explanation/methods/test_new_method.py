"""A new method is one class and one registration: everything that offers methods finds it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from detector.commands import explain as command
from detector.explanation.explainer import Explainer
from detector.explanation.faithfulness import faithfulness
from detector.explanation.methods.base import (
    Attribution,
    Method,
    Options,
    Setting,
    logit_of,
    sum_of_channels,
)
from detector.explanation.methods.registry import METHODS
from detector.files import ASSETS
from tests.helpers.apptest import open_page, words
from tests.helpers.crops import as_tensor, blended
from tests.helpers.processes import ROOT

if TYPE_CHECKING:
    from torch import Tensor, nn

CLIP = ASSETS / "samples" / "demo_selfblend_hopper.mp4"


class Saliency(Method):
    """The gradient of the logit at each pixel (Simonyan et al. 2014), by Captum."""

    name = "saliency"
    title = "Saliency"
    question = "Which pixels would change the logit most, if they changed a little?"
    pixelwise = True
    settings = (Setting("absolute", 0, "of Saliency, 1 to drop the sign"),)

    def attribute(self, network: nn.Module, crop: Tensor, options: Options) -> Attribution:
        from captum import attr

        values = attr.Saliency(network).attribute(
            crop.clone().requires_grad_(), abs=bool(options.settings["absolute"])
        )
        return Attribution(sum_of_channels(values.detach()), logit_of(network, crop))

    def passes(self, crop_size: int, settings: Mapping[str, int]) -> float:
        return 4.0


@pytest.fixture(autouse=True)
def saliency(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registration, which would be a line in `registry.py`."""
    monkeypatch.setitem(METHODS, Saliency.name, Saliency())


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


@pytest.mark.parametrize("network", ["resnet50", "ensemble"])
def test_the_explainer_makes_its_map(network: str) -> None:
    import torch

    explainer = Explainer.load()
    shares: list[float] = []
    found = explainer.attribute(blended(), "saliency", network, progress=shares.append)
    pixels = as_tensor(blended()).requires_grad_()
    (expected,) = torch.autograd.grad(explainer.network(network)(pixels).sum(), pixels)
    expected = expected[0].sum(dim=0).numpy()
    np.testing.assert_allclose(found.map, expected, atol=1e-3 * np.abs(expected).max())
    assert found.layers == ()
    assert found.settings == {"absolute": 0}
    assert shares == [1.0]
    assert (found.shown != found.map).any()  # smoothed, as it says of itself
    assert explainer.estimate_seconds("saliency", network) > 0
    assert faithfulness(explainer, blended(), found, orders=1).infidelity is None


def test_the_command_line_offers_it_and_writes_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(
            str(CLIP),
            "--method",
            "saliency",
            "--network",
            "xception",
            "--absolute",
            "1",
            "--out",
            str(tmp_path),
        )
        == 0
    )
    name = "demo_selfblend_hopper_0.00s_face0_saliency_xception"
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.json",
        f"{name}.npz",
        f"{name}.png",
    }
    assert "Saliency, xception, logit" in capsys.readouterr().out
    described = json.loads((tmp_path / f"{name}.json").read_text())
    assert described["question"] == Saliency.question
    assert described["settings"] == {"absolute": 1}
    with np.load(tmp_path / f"{name}.npz") as arrays:
        assert arrays["map"].min() >= 0
        assert arrays["map"].max() > 0


def test_the_command_lines_help_names_its_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    said = " ".join(capsys.readouterr().out.split())
    assert "occlusion,saliency" in said
    assert "--absolute ABSOLUTE of Saliency, 1 to drop the sign (0)" in said
    assert "--steps STEPS of Integrated Gradients (32)" in said
    assert "--windows WINDOWS of Occlusion, along one side (11)" in said


def test_a_setting_may_have_the_name_of_another_methods(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    both = (*Saliency.settings, Setting("steps", 1, "of Saliency"))
    monkeypatch.setattr(Saliency, "settings", both)
    with pytest.raises(SystemExit):
        run("--help")
    said = " ".join(capsys.readouterr().out.split())
    assert "--steps STEPS of Integrated Gradients (32); of Saliency (1)" in said
    arguments = (str(CLIP), "--method", "saliency", "--network", "xception")
    run(*arguments, "--out", str(tmp_path))
    (description,) = tmp_path.glob("*.json")
    assert json.loads(description.read_text())["settings"] == {"absolute": 0, "steps": 1}


def test_the_page_offers_and_draws_it() -> None:
    app = open_page("attributions", clip="Demonstration: the same portrait, unblended")
    app.toggle(key="test").set_value(False)
    app.pills(key="methods").set_value(["Saliency"]).run()
    drawn(app)
    assert "Saliency · Xception" in words(app)
    assert Saliency.question in words(app)
    assert "without a unit" in words(app)
    assert "Logit of this face" in words(app)


def drawn(app: AppTest, seconds: float = 120) -> None:
    """Run the page until its maps are there."""
    end = time.monotonic() + seconds
    while "Logit of this face" not in words(app):
        assert time.monotonic() < end, words(app)
        time.sleep(0.3)
        app.run()
        assert not app.exception


def test_what_is_known_of_methods_needs_no_torch() -> None:
    code = (
        "import sys, detector.commands.explain, detector.explanation.methods.registry as r; "
        "[m.passes(304, m.with_defaults({})) for m in r.METHODS.values()]; "
        "raise SystemExit('torch' in sys.modules or 'captum' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
