"""detector.models.networks: the paper's two networks, and weights that fit nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from detector.errors import ModelError
from detector.files import sha256_of
from detector.models.face_network import FaceNetwork, load_network, load_weights, normalise
from detector.models.spec import NetworkSpec, read_ensemble


@pytest.fixture(scope="module")
def specs() -> dict[str, NetworkSpec]:
    return {network.name: network for network in read_ensemble().networks}


@pytest.fixture(scope="module")
def fresh() -> dict[str, FaceNetwork]:
    return {name: FaceNetwork(name).eval() for name in ("resnet50", "xception")}


def spec_of(file: Path, like: NetworkSpec) -> NetworkSpec:
    return dataclasses.replace(like, path=file, sha256=sha256_of(file))


# ---------------------------------------------------------------- as the paper counts


def test_resnet50_has_48_convolutions_in_its_bottlenecks_and_two_dense_layers(
    fresh: dict[str, FaceNetwork],
) -> None:
    network = fresh["resnet50"]
    convolutions = [n for n, m in network.named_modules() if isinstance(m, nn.Conv2d)]
    stem = [name for name in convolutions if name == "trunk.conv1"]
    shortcuts = [name for name in convolutions if "downsample" in name]
    assert (len(stem), len(shortcuts)) == (1, 4)
    assert len(convolutions) - len(stem) - len(shortcuts) == 48
    dense = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in dense] == [(2048, 512), (512, 1)]


def test_xception_has_36_convolutions(fresh: dict[str, FaceNetwork]) -> None:
    network = fresh["xception"]
    modules = dict(network.named_modules())
    separable = [name for name, m in modules.items() if type(m).__name__ == "SeparableConv2d"]
    plain = [
        name
        for name, m in modules.items()
        if isinstance(m, nn.Conv2d) and "skip" not in name and not name.startswith(tuple(separable))
    ]
    assert plain == ["trunk.conv1", "trunk.conv2"]
    assert len(plain) + len(separable) == 36
    shortcuts = [m for name, m in modules.items() if "skip" in name and isinstance(m, nn.Conv2d)]
    assert len(shortcuts) == 4
    dense = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in dense] == [(2048, 1)]


@pytest.mark.parametrize("name", ["resnet50", "xception"])
def test_a_network_gives_one_logit_for_each_image(fresh: dict[str, FaceNetwork], name: str) -> None:
    with torch.inference_mode():
        for count in (1, 3):
            logits = fresh[name](torch.zeros(count, 3, 64, 64))
            assert logits.shape == (count,)
            assert logits.dtype == torch.float32


@pytest.mark.parametrize("name", ["resnet50", "xception"])
def test_no_activation_works_in_place(fresh: dict[str, FaceNetwork], name: str) -> None:
    """Explanations read activations after the pass; in place, the next layer would spoil them."""
    activations = [m for m in fresh[name].modules() if isinstance(m, nn.ReLU)]
    assert activations
    assert not any(m.inplace for m in activations)


def test_dropout_works_in_training_only() -> None:
    network = FaceNetwork("xception", dropout=0.5)
    rates = [m.p for m in network.modules() if isinstance(m, nn.Dropout)]
    assert 0.5 in rates
    head = network.head
    features = torch.ones(1, 2048)
    with torch.inference_mode():
        head.train()
        assert len({float(head(features)) for _ in range(8)}) > 1
        head.eval()
        assert len({float(head(features)) for _ in range(8)}) == 1


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ModelError, match="choose resnet50 or xception"):
        FaceNetwork("vgg")


# ---------------------------------------------------------------- input


def test_normalising_by_hand(specs: dict[str, NetworkSpec]) -> None:
    spec = dataclasses.replace(
        specs["resnet50"], input_size=8, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0)
    )
    crops = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    crops[0, ..., 0], crops[0, ..., 1], crops[0, ..., 2] = 255, 51, 0
    images = normalise(crops, spec)
    assert images.shape == (2, 3, 8, 8)
    assert images.dtype == torch.float32
    expected = torch.tensor([(1 - 0.1) / 0.5, (0.2 - 0.2) / 1.0, (0 - 0.3) / 2.0])
    torch.testing.assert_close(images[0, :, 3, 3], expected)
    torch.testing.assert_close(images[1, :, 3, 3], torch.tensor([-0.2, -0.2, -0.15]))


def test_shrinking_averages_and_keeps_orientation(specs: dict[str, NetworkSpec]) -> None:
    spec = dataclasses.replace(
        specs["resnet50"], input_size=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    board = ((x + y) % 2 * 255).to(torch.uint8)[None, ..., None].expand(1, 64, 64, 3)
    grey = normalise(board, spec)
    torch.testing.assert_close(grey, torch.full_like(grey, 0.5), atol=0.02, rtol=0)
    corner = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    corner[0, :32, 32:] = 255  # above, right
    image = normalise(corner, spec)
    assert image[0, 0, 2, 13] > 0.95
    assert image[0, 0, 13, 2] < 0.05
    assert image[0, 0, 2, 2] < 0.05


def test_each_network_gets_its_own_input(specs: dict[str, NetworkSpec]) -> None:
    """Sizes, means and deviations come from the weights' files, and differ."""
    crops = torch.full((1, 304, 304, 3), 255, dtype=torch.uint8)
    for spec in specs.values():
        image = normalise(crops, spec)
        assert image.shape == (1, 3, spec.input_size, spec.input_size)
        white = torch.tensor([(1 - m) / s for m, s in zip(spec.mean, spec.std, strict=True)])
        torch.testing.assert_close(image[0].mean(dim=(1, 2)), white)
    assert specs["resnet50"].mean != specs["xception"].mean


# ---------------------------------------------------------------- weights


@pytest.mark.parametrize("name", ["resnet50", "xception"])
def test_trained_weights_fit_exactly(specs: dict[str, NetworkSpec], name: str) -> None:
    network = load_network(specs[name])
    assert not network.training
    stored = load_file(specs[name].path)
    loaded = network.state_dict()
    assert set(stored) == set(loaded)
    for key, value in loaded.items():
        assert value.dtype in (torch.float32, torch.int64)
        np.testing.assert_array_equal(value.float().numpy(), stored[key].float().numpy())


def test_altered_weights_are_refused(tmp_path: Path, specs: dict[str, NetworkSpec]) -> None:
    spec = specs["resnet50"]
    data = bytearray(spec.path.read_bytes())
    data[len(data) // 2] ^= 1
    altered = tmp_path / spec.path.name
    altered.write_bytes(data)
    with pytest.raises(ModelError, match="is not the file it should be"):
        load_network(dataclasses.replace(spec, path=altered))
    with pytest.raises(ModelError, match="cannot be read; restore"):
        load_network(dataclasses.replace(spec, path=tmp_path / "gone.safetensors"))


def test_weights_of_another_network_are_refused(specs: dict[str, NetworkSpec]) -> None:
    wrong = dataclasses.replace(specs["xception"], name="resnet50")
    with pytest.raises(ModelError, match=r"xception.safetensors does not hold weights of resnet50"):
        load_network(wrong)


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\0" * 500],
    ids=["cut", "empty", "zeros"],
)
def test_damaged_weights_are_refused_also_where_the_hash_agrees(
    tmp_path: Path, specs: dict[str, NetworkSpec], damage
) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(damage(specs["resnet50"].path.read_bytes()))
    with pytest.raises(ModelError, match="does not hold weights of resnet50; restore it"):
        load_network(spec_of(file, specs["resnet50"]))


def test_weights_with_a_tensor_missing_are_refused(
    tmp_path: Path, fresh: dict[str, FaceNetwork], specs: dict[str, NetworkSpec]
) -> None:
    state = load_file(specs["xception"].path)
    state.pop("head.1.bias")
    file = tmp_path / "part.safetensors"
    save_file(state, file)
    with pytest.raises(ModelError, match="does not hold weights of xception"):
        load_weights(FaceNetwork("xception"), file)
