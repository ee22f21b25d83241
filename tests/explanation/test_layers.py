"""Layer numbers, shapes and receptive fields, held against the networks themselves."""

from __future__ import annotations

import functools
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from detector.errors import ExplanationError
from detector.explanation.layers import convolutions, last_convolution, layer, layers
from detector.models.face_network import FaceNetwork
from detector.models.networks.layer import DENSE
from detector.models.networks.registry import NETWORKS
from detector.models.spec import read_ensemble

NAMES = tuple(NETWORKS)


@pytest.fixture(scope="module", params=NAMES)
def network(request: pytest.FixtureRequest) -> FaceNetwork:
    torch.manual_seed(0)
    return FaceNetwork(request.param).eval()


@pytest.mark.parametrize(
    ("address", "name", "output"),
    [
        ("resnet50:0", "conv1", "trunk.act1"),
        ("resnet50:1", "layer1.0.conv1", "trunk.layer1.0.act1"),
        ("resnet50:9", "layer1.2.conv3", "trunk.layer1.2.act3"),
        ("resnet50:10", "layer2.0.conv1", "trunk.layer2.0.act1"),
        ("resnet50:24", "layer3.0.conv3", "trunk.layer3.0.act3"),
        ("resnet50:48", "layer4.2.conv3", "trunk.layer4.2.act3"),
        ("resnet50:dense1", "head.0", "head.1"),
        ("resnet50:dense2", "head.3", "head.3"),
        ("xception:1", "conv1", "trunk.act1"),
        ("xception:3", "block1.rep.0", "trunk.block1.rep.2"),
        ("xception:4", "block1.rep.3", "trunk.block1.rep.4"),
        ("xception:18", "block7.rep.1", "trunk.block7.rep.3"),
        ("xception:34", "block12.rep.4", "trunk.block12.rep.5"),
        ("xception:36", "conv4", "trunk.act4"),
        ("xception:dense1", "head.1", "head.1"),
        (" ResNet50:24 ", "layer3.0.conv3", "trunk.layer3.0.act3"),
    ],
)
def test_numbers_name_the_modules_of_the_paper(address: str, name: str, output: str) -> None:
    found = layer(address)
    assert (found.name, found.output) == (name, output)


@pytest.mark.parametrize(("name", "numbers"), [("resnet50", range(49)), ("xception", range(1, 37))])
def test_every_convolution_has_one_number(name: str, numbers: range) -> None:
    assert [found.number for found in convolutions(name)] == list(numbers)
    assert len({found.address for found in layers(name)}) == len(layers(name))
    assert all(layer(found.address) == found for found in layers(name))


def test_dense_layers_come_last() -> None:
    assert [found.title for found in layers("resnet50")[-2:]] == ["Dense 1", "Dense 2"]
    assert [found.kind for found in layers("xception")][-1] == DENSE
    assert not layer("resnet50:dense1").is_map


@pytest.mark.parametrize("size", [144, 256, 299, 304])
def test_every_layer_is_what_the_network_computes(network: FaceNetwork, size: int | None) -> None:
    """Shape, order, filters, kernel, stride and sign of all layers, from one forward pass."""
    found = layers(network.name, size)
    roots = {entry.address: network if entry.kind == DENSE else network.trunk for entry in found}
    weights = {e.address: roots[e.address].get_submodule(e.name) for e in found}
    order, raw, out = [], {}, {}
    hooks = []
    for entry in found:

        def of_weights(_m: nn.Module, _i: object, value: Tensor, key: str = entry.address) -> None:
            order.append(key)
            raw[key] = tuple(value.shape[1:])

        def of_output(_m: nn.Module, _i: object, value: Tensor, key: str = entry.address) -> None:
            out[key] = (tuple(value.shape[1:]), bool(value.min() < 0))

        hooks.append(weights[entry.address].register_forward_hook(of_weights))
        hooks.append(network.get_submodule(entry.output).register_forward_hook(of_output))
    side = found[0].input_size
    with torch.no_grad():
        network(torch.randn(1, 3, side, side))
    for hook in hooks:
        hook.remove()

    assert order == [entry.address for entry in found]
    for entry in found:
        assert raw[entry.address] == out[entry.address][0] == entry.shape, entry.address
        if entry.filters > 1:
            assert out[entry.address][1] == entry.signed, entry.address
        module = weights[entry.address]
        if isinstance(module, nn.Linear):
            assert (module.in_features, module.out_features) == (entry.inputs, entry.filters)
            continue
        window = module if isinstance(module, nn.Conv2d) else module.conv1  # type: ignore[union-attr]
        assert window.kernel_size == (entry.kernel, entry.kernel), entry.address
        assert window.stride == (entry.stride, entry.stride), entry.address
        assert window.in_channels == entry.inputs, entry.address
        assert entry.filters == entry.shape[0]


def test_no_convolution_is_left_out_but_shortcuts(network: FaceNetwork) -> None:
    numbered = {entry.name for entry in convolutions(network.name)}
    left = [
        name
        for name, module in network.trunk.named_modules()
        if isinstance(module, nn.Conv2d)
        and name not in numbered
        and name.removesuffix(".conv1").removesuffix(".pointwise") not in numbered
    ]
    assert left
    assert all(".downsample." in name or name.endswith(".skip") for name in left)


@pytest.mark.parametrize("size", [None, 144])
def test_default_input_size_is_that_of_the_weights(size: int | None) -> None:
    for entry in read_ensemble().networks:
        assert layers(entry.name, size)[0].input_size == (size or entry.input_size)


class Reached(Exception):
    """Ends a forward pass at a layer, carrying its output."""


@functools.cache
def all_positive(name: str) -> FaceNetwork:
    """A network through which every pixel pushes upwards: equal weights, means for maxima."""
    network = FaceNetwork(name).eval().double()
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(0.05)
    for parent in list(network.modules()):
        for key, child in list(parent.named_children()):
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, key, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    return network


@pytest.mark.parametrize(
    "address",
    ["resnet50:0", "resnet50:1", "resnet50:12", "resnet50:24",
     "xception:2", "xception:4", "xception:8", "xception:11"],
)  # fmt: skip
def test_receptive_field_is_where_gradients_reach(address: str) -> None:
    """Where every pixel pushes upwards, the gradient is positive exactly in the field."""
    network, side = all_positive(layer(address).network), 256
    found = next(entry for entry in layers(network.name, side) if entry.address == address)

    def stop(_module: nn.Module, _inputs: object, value: Tensor) -> None:
        raise Reached(value)

    hook = network.get_submodule(found.output).register_forward_hook(stop)
    pixels = torch.ones(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    with pytest.raises(Reached) as reached_layer:
        network(pixels)
    hook.remove()
    value = reached_layer.value.args[0]
    middle = found.shape[1] // 2
    gradient = torch.autograd.grad(value[0, :, middle, middle].sum(), pixels)[0]
    reached = gradient[0].abs().sum(dim=0) > 0
    rows, columns = reached.any(dim=1).nonzero(), reached.any(dim=0).nonzero()
    assert int(rows.max() - rows.min()) + 1 == found.receptive_field
    assert int(columns.max() - columns.min()) + 1 == found.receptive_field


def test_presets_exist_and_end_with_the_last_convolution() -> None:
    for name, addresses in ((n.name, n.preset_addresses) for n in NETWORKS.values()):
        assert [layer(address).network for address in addresses] == [name] * 3
        assert addresses[-1] == last_convolution(name).address
    assert list(NETWORKS["resnet50"].presets) == [1, 24, 48]
    assert list(NETWORKS["xception"].presets) == [1, 18, 36]


@pytest.mark.parametrize("name", NAMES)
def test_captions_are_one_sentence_with_the_layers_own_numbers(name: str) -> None:
    for found in layers(name):
        assert found.caption.endswith(".")
        assert found.caption.count(".") == 1
        assert len(found.caption) < 260
        if found.is_map:
            assert f"{found.filters:,}" in found.caption
            assert f"{found.kernel} × {found.kernel}" in found.caption
        whole = "can depend on the whole face crop" in found.caption
        assert whole == (found.is_map and found.receptive_field >= found.input_size)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("resnet50:49", "resnet50:0 to resnet50:48"),
        ("resnet50:-1", "resnet50:dense1 and resnet50:dense2"),
        ("xception:0", "xception:1 to xception:36"),
        ("xception:dense2", "xception:dense1"),
        ("resnet50:024", "resnet50:0 to"),
        ("resnet50", "resnet50:0 to"),
        ("vgg:3", "such as resnet50:24"),
        ("", "such as resnet50:24"),
    ],
)
def test_an_address_that_does_not_exist_says_what_does(address: str, says: str) -> None:
    with pytest.raises(ExplanationError) as error:
        layer(address)
    assert says in str(error.value)
    assert str(error.value).count(". ") == 0


def test_a_network_that_does_not_exist() -> None:
    with pytest.raises(ExplanationError, match="choose resnet50 or xception"):
        layers("vgg")


def test_torch_is_not_imported_before_a_network_runs() -> None:
    modules = ("layers", "methods.registry", "heatmaps", "feature_maps", "walk", "result",
               "faithfulness", "explainer", "explain_clip")  # fmt: skip
    names = [f"detector.explanation.{name}" for name in modules]
    code = f"import sys, {', '.join(names)}, detector.training.demonstration; " + (
        "raise SystemExit('torch' in sys.modules or 'captum' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
