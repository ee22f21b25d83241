"""One object that explains face crops: feature maps, the walk, attributions.

    explainer = Explainer.load()
    first, middle = explainer.feature_maps(crop, ["resnet50:1", "resnet50:24"])
    steps = explainer.walk(crop, "resnet50").steps
    explanation = explainer.attribute(crop, "grad-cam", "xception")

Any number of threads may use one `Explainer`: weights are held once, and every call works on a
private view of the modules, so that Captum's hooks of two explanations never meet.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from detector.concurrency.task import CancelCallback, ProgressCallback
from detector.errors import ExplanationError
from detector.explanation.feature_maps import FeatureMaps, feature_maps
from detector.explanation.layers import last_convolution, layer
from detector.explanation.methods.base import Attribution, Method, Options
from detector.explanation.methods.registry import (
    FIRST_METHOD,
    METHODS,
    check_settings,
    method_named,
)
from detector.explanation.progress import ProgressForward, part_of, stop_if
from detector.explanation.result import Explanation
from detector.explanation.walk import Walk, walk
from detector.files import MODELS
from detector.media.clip import Image
from detector.models.ensemble import factors
from detector.models.networks.layer import Layer
from detector.models.networks.registry import ENSEMBLE, FIRST_NETWORK, or_list
from detector.models.spec import EnsembleSpec, read_ensemble

if TYPE_CHECKING:
    from torch import Tensor, nn

    from detector.explanation.crop_network import CropNetwork

Made = TypeVar("Made")

BATCH = 4  # crops in one pass where many are scored
MOST_KEPT = 64  # small results that are kept for the next call


class Explainer:
    """The installed networks, ready to be looked into; safe to share between threads.

    Each network's weights are loaded when it is first needed, once.

    Args:
        spec: the ensemble to explain.
        device: torch device that networks run on; by default CUDA where there is one.
    """

    _loaded: dict[tuple[Path, str | None], Explainer] = {}  # noqa: RUF012
    _loading = threading.Lock()

    def __init__(self, spec: EnsembleSpec, device: str | None = None) -> None:
        self.spec = spec
        self._installed = tuple(entry.name for entry in spec.networks)
        self.names = (*self._installed, ENSEMBLE)
        self._device = device
        self._networks: dict[str, CropNetwork] = {}
        self._lock = threading.RLock()
        self._seconds_a_pass: dict[str, float] = {}
        self._kept: OrderedDict[object, object] = OrderedDict()

    @classmethod
    def load(cls, path: Path = MODELS / "ensemble.json", device: str | None = None) -> Explainer:
        """Return this process's explainer of the ensemble at `path`: always the same object.

        Raises:
            ModelError: the description of the ensemble is missing or damaged.
        """
        with cls._loading:
            key = (path, device)
            if key not in cls._loaded:
                cls._loaded[key] = cls(read_ensemble(path), device)
            return cls._loaded[key]

    def feature_maps(self, crop: Image, addresses: Sequence[str]) -> tuple[FeatureMaps, ...]:
        """Return the maps of layers, in one forward pass for each network that they belong to.

        Args:
            crop: RGB uint8 [s, s, 3] with s = `spec.crop_size`.
            addresses: e.g. ["resnet50:1", "resnet50:24", "xception:36"].

        Returns:
            in the order of `addresses`.

        Raises:
            ExplanationError: an address does not exist or has no maps, or the crop does not fit.
            ModelError: weights are missing or altered.
        """
        wanted = [self._layer(address) for address in addresses]
        pixels = self._tensor(crop)
        found: dict[str, FeatureMaps] = {}
        for name in dict.fromkeys(entry.network for entry in wanted):
            own = [entry for entry in wanted if entry.network == name]
            for maps in feature_maps(self._network_view(name), pixels, own):
                found[maps.layer.address] = maps
        return tuple(found[entry.address] for entry in wanted)

    def walk(self, crop: Image, network: str = FIRST_NETWORK) -> Walk:
        """Follow a face through one network, from layer 1 to the score, in one pass.

        Args:
            crop: RGB uint8 [s, s, 3] with s = `spec.crop_size`.
            network: name of an installed network.

        Raises:
            ExplanationError: there is no such network, or the crop does not fit.
        """
        if network not in self._installed:
            raise ExplanationError(
                f"A walk follows one network, and {network!r} is none; choose "
                f"{or_list(self._installed)}."
            )
        return walk(self._network_view(network), self._tensor(crop))

    def attribute(
        self,
        crop: Image,
        method: str = FIRST_METHOD,
        network: str | None = None,
        layer: str | None = None,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
        **settings: int,
    ) -> Explanation:
        """Find which pixels of a face raise or lower the manipulation logit.

        Args:
            crop: RGB uint8 [s, s, 3] with s = `spec.crop_size`.
            method: a name in `detector.explanation.methods.registry.METHODS`.
            network: name of an installed network, or "ensemble"; by default the one with the
                largest share of the score.
            layer: address that a layered method such as Grad-CAM looks at; by default the last
                convolution, and for the ensemble that of each network.
            progress: told the share that is done, (0, 1].
            cancelled: asked between passes; True stops.
            settings: of the method, such as `steps` of Integrated Gradients or `windows` of
                Occlusion; those of other methods are ignored.

        Raises:
            ExplanationError: method, network or layer do not exist or do not fit each other, or a
                setting is out of its range.
            Cancelled: `cancelled` returned True.
            TypeError: no method has such a setting.
        """
        chosen = method_named(method)
        check_settings(settings)
        own = chosen.with_defaults(settings)
        network = network or self.spec.leading.name
        self._check(network)
        looked_at = self._layers(chosen, network, layer)
        pixels = self._tensor(crop)
        stop_if(cancelled)
        for name in self._parts(network):
            self._network(name)  # loading is no part of the seconds that are measured
        start = time.perf_counter()
        parts: dict[str, Attribution] = {}
        targets: list[tuple[str, Layer | None]] = [(network, None)]
        if chosen.layered:
            targets = [(found.network, found) for found in looked_at]
        for number, (name, found) in enumerate(targets):
            stop_if(cancelled)
            view = self._view(name)
            module = view.get_submodule(f"network.{found.output}") if found else None
            share = part_of(progress, number / len(targets), (number + 1) / len(targets))
            parts[name] = chosen.attribute(view, pixels, Options(module, own, share, cancelled))
            if share and not chosen.slow:
                share(1.0)
        whole = network in parts
        done = parts[network] if whole else chosen.combine(parts, factors(self.spec.networks))
        seconds = time.perf_counter() - start
        self._learn(network, seconds / chosen.passes(self.spec.crop_size, own))
        return Explanation(
            method=method,
            network=network,
            layers=tuple(found.address for found in looked_at),
            map=done.map,
            logit=done.logit,
            baseline_logit=done.baseline_logit,
            delta=done.delta,
            settings=own,
            seconds=seconds,
        )

    def logits(
        self,
        crops: NDArray[Any],
        network: str = ENSEMBLE,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
    ) -> NDArray[np.float32]:
        """Return logits float32 [n]: a network's own, before calibration, or the ensemble's.

        Args:
            crops: RGB [n, s, s, 3], uint8 in [0, 255] or float32 in [0, 1].
        """
        import torch

        self._check(network)
        watched = ProgressForward(self._view(network), len(crops), progress, cancelled)
        parts = []
        with torch.inference_mode():
            for start in range(0, len(crops), BATCH):
                batch = torch.tensor(crops[start : start + BATCH])
                pixels = batch.permute(0, 3, 1, 2).float().to(self.device)
                parts.append(watched(pixels / 255 if batch.dtype == torch.uint8 else pixels))
        return torch.cat(parts).cpu().numpy()

    def network(self, name: str) -> nn.Module:
        """Return a private view of a network or of the ensemble, from crops to logits.

        Crops are float32 [n, 3, s, s] in [0, 1], logits float32 [n]. Hooks set on it are seen by
        nobody else; its weights are shared and must not be changed.
        """
        self._check(name)
        return self._view(name)

    def estimate_seconds(self, method: str, network: str, **settings: int) -> float:
        """Return about how long `attribute` will take here, once the weights are loaded.

        From what earlier explanations took; before the first, one forward pass is measured.
        """
        chosen = method_named(method)
        check_settings(settings)
        self._check(network)
        passes = chosen.passes(self.spec.crop_size, chosen.with_defaults(settings))
        return self.seconds_a_pass(network) * passes

    def seconds_a_pass(self, network: str) -> float:
        """Return what one crop's forward pass takes, as measured last."""
        if network not in self._seconds_a_pass:
            blank = np.zeros((1, self.spec.crop_size, self.spec.crop_size, 3), np.uint8)
            self.logits(blank, network)  # the first pass also sets up the library's kernels
            start = time.perf_counter()
            self.logits(blank, network)
            self._learn(network, time.perf_counter() - start)
        return self._seconds_a_pass[network]

    def keep(self, key: object, make: Callable[[], Made]) -> Made:
        """Return what was made for `key` earlier, or by `make` now; the last `MOST_KEPT` stay."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return cast("Made", self._kept[key])
        made = make()  # not under the lock: it may take long, and nobody else shall wait
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return made

    @property
    def device(self) -> str:
        """The torch device that networks run on."""
        if self._device is None:
            import torch

            self._device = "cuda" if torch.cuda.is_available() else "cpu"
        return self._device

    def _check(self, network: str) -> None:
        if network not in self.names:
            raise ExplanationError(
                f"There is no network called {network!r}; choose one of: {', '.join(self.names)}."
            )

    def _parts(self, network: str) -> tuple[str, ...]:
        """Return the network, or those that the ensemble consists of."""
        return self._installed if network == ENSEMBLE else (network,)

    def _layers(self, method: Method, network: str, address: str | None) -> tuple[Layer, ...]:
        """Return the layers to look at; raises ExplanationError where `address` cannot be one."""
        if address is None:
            last = (last_convolution(name).address for name in self._parts(network))
            return tuple(self._layer(address) for address in last) if method.layered else ()
        found = self._layer(address)
        if not method.layered:
            layered = next(other.title for other in METHODS.values() if other.layered)
            raise ExplanationError(
                f"This method explains the whole network; leave the layer out, or choose {layered}."
            )
        if found.network != network:
            raise ExplanationError(
                f"{address} is no layer of the network {network!r}; choose a layer and a network "
                "that belong together."
            )
        if not found.is_map:
            raise ExplanationError(
                f"{method.title} needs a layer with maps, which {address} has not; "
                f"choose {last_convolution(network).address}."
            )
        return (found,)

    def _layer(self, address: str) -> Layer:
        """Return the layer at `address`, with the shapes it has in this ensemble."""
        name = layer(address).network
        return layer(address, self.spec.network(name).input_size)

    def _network(self, name: str) -> CropNetwork:
        import torch

        from detector.explanation.crop_network import CropNetwork
        from detector.models.face_network import load_network

        with self._lock:
            if name not in self._networks:
                entry = self.spec.network(name)
                network = CropNetwork(load_network(entry, self.device), entry)
                # Channels last takes a third off Xception's passes on a CPU, also backwards.
                network = network.to(memory_format=torch.channels_last)
                self._networks[name] = network.eval().requires_grad_(False)
            return self._networks[name]

    def _view(self, name: str) -> nn.Module:
        """Return a private view of a network or of the ensemble, on which hooks may be set."""
        from detector.explanation.crop_network import EnsembleNetwork

        if name != ENSEMBLE:
            return self._network_view(name)
        networks = {part: self._network_view(part) for part in self._parts(name)}
        return EnsembleNetwork(self.spec, networks).eval()

    def _network_view(self, name: str) -> CropNetwork:
        """Return a private view of one network."""
        from detector.explanation.crop_network import private_view

        return private_view(self._network(name))

    def _tensor(self, crop: Image) -> Tensor:
        """Return float32 [1, 3, s, s] in [0, 1]; raises ExplanationError where it does not fit."""
        import torch

        size = self.spec.crop_size
        if crop.dtype != np.uint8 or crop.shape != (size, size, 3):
            raise ExplanationError(
                f"This face crop is not {size} × {size} pixels in colour; "
                "cut it from its frame again."
            )
        pixels = torch.tensor(crop, device=self.device)
        return (pixels.permute(2, 0, 1)[None].float() / 255).contiguous()

    def _learn(self, network: str, seconds: float) -> None:
        """Remember a measured pass; half of the last value stays, against single outliers."""
        with self._lock:
            before = self._seconds_a_pass.get(network, seconds)
            self._seconds_a_pass[network] = (before + seconds) / 2
