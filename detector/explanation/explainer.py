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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from detector.concurrency.task import CancelCallback, ProgressCallback
from detector.errors import ExplanationError
from detector.explanation.feature_maps import FeatureMaps, feature_maps
from detector.explanation.layers import last_convolution, layer
from detector.explanation.methods.base import (
    Attribution,
    ProgressForward,
    stop_if,
)
from detector.explanation.methods.registry import GRAD_CAM, all_settings, method_named
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

Kept = TypeVar("Kept")

BATCH = 4  # crops in one pass where many are scored
KEPT = 64  # small results that are kept for the next call


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
        self.names = (*(entry.name for entry in spec.networks), ENSEMBLE)
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
            for maps in feature_maps(self._view(name), pixels, own):
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
        if network not in self.names[:-1]:
            raise ExplanationError(
                f"A walk follows one network, and {network!r} is none; choose "
                f"{or_list(self.names[:-1])}."
            )
        return walk(self._view(network), self._tensor(crop))

    def attribute(
        self,
        crop: Image,
        method: str = GRAD_CAM,
        network: str = "xception",
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
            network: "resnet50", "xception" or "ensemble".
            layer: address that (Guided) Grad-CAM looks at; by default the last convolution, and
                for the ensemble that of each network.
            progress: told the share that is done, (0, 1].
            cancelled: asked between passes; True stops.
            settings: what methods may be told by name, such as `steps`; each takes its own.

        Raises:
            ExplanationError: method, network or layer do not exist or do not fit each other.
            Cancelled: `cancelled` returned True.
        """
        chosen = method_named(method)
        unknown = settings.keys() - {setting.name for setting in all_settings()}
        if unknown:
            raise ExplanationError(f"No method takes {min(unknown)!r}; leave it out.")
        self._check(network)
        value = chosen.chosen(settings, self.spec.crop_size)
        looked_at = self._layers(chosen.layered, network, layer)
        pixels = self._tensor(crop)
        stop_if(cancelled)
        for name in self.names[:-1] if network == ENSEMBLE else (network,):
            self._network(name)  # loading is no part of the seconds that are measured
        start = time.perf_counter()
        if chosen.layered:
            parts = {}
            for done, found in enumerate(looked_at, start=1):
                stop_if(cancelled)
                view = self._view(found.network)
                parts[found.network] = chosen.attribute(view, pixels, found, value, None, cancelled)
                if progress:
                    progress(done / len(looked_at))
            whole = network == ENSEMBLE
            found_map = (
                weighted_sum(parts, factors(self.spec.networks)) if whole else parts[network]
            )
        else:
            found_map = chosen.attribute(
                self._whole(network), pixels, None, value, progress, cancelled
            )
            if progress and not chosen.slow:
                progress(1.0)
        seconds = time.perf_counter() - start
        self._learn(network, seconds / chosen.passes(self.spec.crop_size, value))
        return Explanation(
            method,
            network,
            tuple(found.address for found in looked_at),
            found_map.map,
            found_map.logit,
            found_map.baseline_logit,
            found_map.delta,
            {chosen.setting.name: value} if chosen.setting else {},
            seconds,
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
        watched = ProgressForward(self._whole(network), len(crops), progress, cancelled)
        parts = []
        with torch.inference_mode():
            for start in range(0, len(crops), BATCH):
                batch = torch.tensor(crops[start : start + BATCH])
                pixels = batch.permute(0, 3, 1, 2).float().to(self.device)
                parts.append(watched(pixels / 255 if batch.dtype == torch.uint8 else pixels))
        return torch.cat(parts).cpu().numpy()

    def network(self, name: str) -> nn.Module:
        """Return a private view of a network or the ensemble: [n, 3, s, s] in [0, 1] to logits [n].

        Hooks set on it are seen by nobody else; its weights are shared and must not be changed.
        """
        self._check(name)
        return self._whole(name)

    def estimate_seconds(
        self,
        method: str,
        network: str,
        **settings: int,
    ) -> float:
        """Return about how long `attribute` will take here, once the weights are loaded.

        From what earlier explanations took; before the first, one forward pass is measured.
        """
        chosen = method_named(method)
        self._check(network)
        value = chosen.chosen(settings, self.spec.crop_size)
        return self.seconds_a_pass(network) * chosen.passes(self.spec.crop_size, value)

    def seconds_a_pass(self, network: str) -> float:
        """Return what one crop's forward pass takes, as measured last."""
        if network not in self._seconds_a_pass:
            blank = np.zeros((1, self.spec.crop_size, self.spec.crop_size, 3), np.uint8)
            self.logits(blank, network)  # the first pass also sets up the library's kernels
            start = time.perf_counter()
            self.logits(blank, network)
            self._learn(network, time.perf_counter() - start)
        return self._seconds_a_pass[network]

    def keep(self, key: object, make: Callable[[], Kept]) -> Kept:
        """Return what was made for `key` earlier, or by `make` now; the last `KEPT` are kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return cast("Kept", self._kept[key])
        made = make()  # not under the lock: it may take long, and nobody else shall wait
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > KEPT:
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

    def _layers(self, layered: bool, network: str, address: str | None) -> tuple[Layer, ...]:
        """Return the layers to look at; raises ExplanationError where `address` cannot be one."""
        if address is None:
            names = self.names[:-1] if network == ENSEMBLE else (network,)
            last = (last_convolution(name).address for name in names)
            return tuple(self._layer(address) for address in last) if layered else ()
        found = self._layer(address)
        if not layered:
            raise ExplanationError(
                "This method explains the whole network; leave the layer out, or choose Grad-CAM."
            )
        if found.network != network:
            raise ExplanationError(
                f"{address} is no layer of the network {network!r}; choose a layer and a network "
                "that belong together."
            )
        if not found.is_map:
            raise ExplanationError(
                f"Grad-CAM needs a layer with maps, which {address} has not; "
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

    def _view(self, name: str) -> CropNetwork:
        from detector.explanation.crop_network import private_view

        return private_view(self._network(name))

    def _whole(self, name: str) -> nn.Module:
        from detector.explanation.crop_network import EnsembleNetwork

        if name != ENSEMBLE:
            return self._view(name)
        networks = {entry.name: self._view(entry.name) for entry in self.spec.networks}
        return EnsembleNetwork(self.spec, networks).eval()

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


def weighted_sum(parts: Mapping[str, Attribution], factors: Mapping[str, float]) -> Attribution:
    """Return the ensemble's map and logit from its networks' own.

    The ensemble's logit is a weighted sum of the networks' logits, so its gradient at a layer of
    one network is that network's own, times its factor; and its Grad-CAM over the networks' last
    convolutions is the weighted sum of their Grad-CAMs. For Guided Grad-CAM, whose products are
    not linear, the weighted sum is a convention of ours.
    """
    total = np.sum([factors[name] * part.map for name, part in parts.items()], axis=0)
    logit = sum(factors[name] * part.logit for name, part in parts.items())
    return Attribution(total.astype(np.float32), float(logit))
