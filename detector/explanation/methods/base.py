"""Attributions: which pixels of a face speak for manipulation, and which against, by Captum.

The target is always the manipulation logit, and maps keep their sign: above 0 raises the logit,
below 0 lowers it. Every map has the crop's own size, since resizing and normalising are part of
what is explained (`detector.ensemble`).

Integrated Gradients, Occlusion and the deletion curve all take detail away in one way: by a mild
Gaussian blur (`blurred`). It removes the fine traces that manipulation leaves and keeps the face.
A strong blur would not be neutral: at a standard deviation of 10 px of 304 the shipped Xception
gives a real face a logit of +4. At 3 px a real and a self-blended face come out alike (+0.3 and
+0.9, from -0.8 and +2.6). A black baseline is a picture like no face at all, gives dark pixels no
attribution whatever they show (Sturmfels et al. 2020), and Integrated Gradients with 32 steps
misses a third of the difference to it; the blur's it meets within some per cent.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import Cancelled
from detector.heatmaps import OPACITY, Image, Scale, npz_bytes, overlay, scale_for
from detector.layers import Layer
from detector.methods import GRAD_CAM, GUIDED_GRAD_CAM, INTEGRATED_GRADIENTS, METHODS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from detector.ensemble import CropNetwork

ProgressCallback = Callable[[float], None]
CancelCallback = Callable[[], bool]

IG_STEPS = 32
IG_BATCH = 2  # steps in one pass; more costs memory and, on a CPU, time
WINDOWS = 11  # windows of Occlusion along one side, each overlapping the next by half
OCCLUSION_BATCH = 4
BLUR = 1 / 100  # standard deviation of the blur / side of the crop
CLIPPED = 99.5  # percentile of |values| at the ends of the colour bar


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where in a face crop a network's logit comes from.

    Attributes:
        method: name in `detector.methods.METHODS`.
        network: "resnet50", "xception" or "ensemble".
        layers: addresses that were looked at; one for a network's (Guided) Grad-CAM, each
            network's last convolution for the ensemble's, none for the other methods.
        map: float32 [s, s], signed: above 0 raises the manipulation logit. In units of the
            logit for Integrated Gradients (its sum is `logit` - `baseline_logit`) and Occlusion
            (change of the logit); without a unit for the two kinds of Grad-CAM.
        logit: of the crop: the network's own, before calibration; the ensemble's, calibrated.
        baseline_logit: of the blurred crop, for Integrated Gradients; else None.
        delta: Captum's convergence delta, sum of the map - (`logit` - `baseline_logit`), for
            Integrated Gradients; else None. Smaller is better; more steps make it smaller.
        settings: what the method was told, e.g. {"steps": 32}.
        seconds: that it took.
    """

    method: str
    network: str
    layers: tuple[str, ...]
    map: NDArray[np.float32]
    logit: float
    baseline_logit: float | None
    delta: float | None
    settings: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def relative_delta(self) -> float | None:
        """|delta| as a share of the difference that was to be explained; None without one."""
        if self.delta is None or self.baseline_logit is None:
            return None
        return abs(self.delta) / max(abs(self.logit - self.baseline_logit), 1e-6)

    @property
    def shown(self) -> NDArray[np.float32]:
        """The map as it is drawn: where methods give each pixel a value of its own, averaged over
        a few neighbours, since the eye sees only noise in single pixels. float32 [s, s].
        """
        if self.method not in (GUIDED_GRAD_CAM, INTEGRATED_GRADIENTS):
            return self.map
        smooth = cv2.GaussianBlur(self.map, (0, 0), self.map.shape[0] * BLUR)
        return np.asarray(smooth, dtype=np.float32)

    def scale(self) -> Scale:
        """The colour scale of the drawn map: 0 in the middle, rare extremes clipped."""
        return scale_for(self.shown, signed=True, percentile=CLIPPED)

    def overlay(self, crop: Image, opacity: float = OPACITY, fade: bool = True) -> Image:
        """The map over the face, red for and blue against: RGB uint8 [s, s, 3], as `crop`."""
        return overlay(crop, self.shown, opacity, self.scale(), fade)

    def describe(self) -> dict[str, object]:
        """Everything but the map, ready for JSON."""
        return {
            "method": self.method,
            "title": METHODS[self.method].title,
            "question": METHODS[self.method].question,
            "network": self.network,
            "layers": list(self.layers),
            "logit": self.logit,
            "baseline_logit": self.baseline_logit,
            "convergence_delta": self.delta,
            "settings": dict(self.settings),
            "seconds": self.seconds,
        }

    def npz(self, crop: Image) -> bytes:
        """The map and the crop it belongs to, as an NPZ file."""
        return npz_bytes(
            map=self.map,
            crop=crop,
            method=self.method,
            network=self.network,
            layers=",".join(self.layers),
            logit=self.logit,
        )


class Watched:
    """A forward function that reports how far it is, and stops when asked to.

    Args:
        network: what is called.
        total: crops that will be passed through it.
        progress: told the share that is done, (0, 1], after each call.
        cancelled: asked before each call; True raises `Cancelled`.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        total: int,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
    ) -> None:
        self._network = network
        self._total = total
        self._progress = progress
        self._cancelled = cancelled
        self._done = 0

    def __call__(self, crops: Tensor) -> Tensor:
        stop_if(self._cancelled)
        logits = self._network(crops)
        self._done += len(crops)
        if self._progress:
            self._progress(min(self._done / self._total, 1.0))
        return logits


def stop_if(cancelled: CancelCallback | None) -> None:
    """Raise `Cancelled` where `cancelled` says so."""
    if cancelled and cancelled():
        raise Cancelled("The explanation was stopped; nothing of it was kept.")


def blurred(crop: Tensor) -> Tensor:
    """The crop without its detail: Gaussian blur, standard deviation `BLUR` of the side.

    Colour and light stay, edges, texture and blending boundaries go. Shape and range as `crop`,
    float32 [1, 3, s, s] in [0, 1].
    """
    import torch

    picture = np.ascontiguousarray(crop[0].permute(1, 2, 0).cpu().numpy())
    soft = cv2.GaussianBlur(picture, (0, 0), crop.shape[-1] * BLUR, borderType=cv2.BORDER_REFLECT)
    return torch.from_numpy(soft).permute(2, 0, 1)[None].contiguous().to(crop.device)


def grad_cam(network: CropNetwork, crop: Tensor, found: Layer) -> tuple[NDArray[np.float32], float]:
    """Grad-CAM (Selvaraju et al. 2017) at one layer, signed: no ReLU at the end.

    Args:
        network: hooks are set on it; a private view where it is shared.
        crop: float32 [1, 3, s, s] in [0, 1].
        found: a layer of this network that has maps.

    Returns:
        float32 [s, s]: sum over filters of activation x mean gradient, linear between positions;
        and the logit.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    seen = Remembering(network)
    cam = LayerGradCam(seen, _module(network, found)).attribute(crop)
    large = LayerAttribution.interpolate(cam.detach(), crop.shape[-2:], "bilinear")
    return _sum_of_channels(large), seen.logit


def guided_grad_cam(
    network: CropNetwork, crop: Tensor, found: Layer
) -> tuple[NDArray[np.float32], float]:
    """Guided Grad-CAM: guided backpropagation x what is positive in Grad-CAM, summed over colours.

    Arguments and results as `grad_cam`. All zero where Grad-CAM finds nothing that speaks for
    manipulation. As Captum has it: the gradient is rectified at the input of every ReLU.
    """
    from captum.attr import GuidedGradCam

    # Not warnings.catch_warnings, which is not safe while other threads explain.
    warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
    method = GuidedGradCam(network, _module(network, found))
    crop = crop.clone().requires_grad_()
    values = method.attribute(crop, interpolate_mode="bilinear")
    return _sum_of_channels(values.detach()), _logit(network, crop)


def integrated_gradients(
    network: Callable[[Tensor], Tensor],
    crop: Tensor,
    steps: int = IG_STEPS,
    progress: ProgressCallback | None = None,
    cancelled: CancelCallback | None = None,
) -> tuple[NDArray[np.float32], float, float, float]:
    """Integrated Gradients (Sundararajan et al. 2017) from the blurred crop to the crop.

    Args:
        network: crops [n, 3, s, s] to logits [n].
        crop: float32 [1, 3, s, s] in [0, 1].
        steps: points on the way at which the gradient is taken (Gauss-Legendre).

    Returns:
        map float32 [s, s] summed over colours, logit, baseline's logit, convergence delta.

    Raises:
        Cancelled: `cancelled` returned True.
    """
    from captum.attr import IntegratedGradients

    baseline = blurred(crop)
    logit, baseline_logit = _logit(network, crop), _logit(network, baseline)
    watched = Watched(network, steps + 2, progress, cancelled)
    values, delta = IntegratedGradients(watched).attribute(
        crop,
        baseline,
        n_steps=steps,
        internal_batch_size=IG_BATCH,
        return_convergence_delta=True,
    )
    return _sum_of_channels(values.detach()), logit, baseline_logit, float(delta)


def occlusion(
    network: Callable[[Tensor], Tensor],
    crop: Tensor,
    windows: int = WINDOWS,
    progress: ProgressCallback | None = None,
    cancelled: CancelCallback | None = None,
) -> tuple[NDArray[np.float32], float]:
    """Occlusion (Zeiler and Fergus 2014): the fall of the logit when a square is blurred away.

    Args:
        network: crops [n, 3, s, s] to logits [n].
        crop: float32 [1, 3, s, s] in [0, 1].
        windows: squares along one side; each overlaps the next by half.

    Returns:
        map float32 [s, s], for each pixel the mean over the squares that cover it; and the logit.

    Raises:
        Cancelled: `cancelled` returned True.
    """
    import torch
    from captum.attr import Occlusion

    side, stride = occlusion_window(crop.shape[-1], windows)
    logit = _logit(network, crop)
    watched = Watched(network, occlusion_passes(crop.shape[-1], windows), progress, cancelled)
    with torch.no_grad():
        values = Occlusion(watched).attribute(
            crop,
            sliding_window_shapes=(3, side, side),
            strides=(3, stride, stride),
            baselines=blurred(crop),
            perturbations_per_eval=OCCLUSION_BATCH,
        )
    return values[0].mean(dim=0).cpu().numpy(), logit  # the three colours hold the same number


def occlusion_window(crop_size: int, windows: int) -> tuple[int, int]:
    """Side and stride of Occlusion's squares, pixels, for `windows` of them along a side."""
    stride = max(round(crop_size / (windows + 1)), 1)
    return 2 * stride, stride


def occlusion_passes(crop_size: int, windows: int) -> int:
    """Crops that Occlusion passes through the network: one for each square, and the crop."""
    side, stride = occlusion_window(crop_size, windows)
    return (-(-(crop_size - side) // stride) + 1) ** 2 + 1


class Remembering:
    """A forward function that keeps the last logit it gave, so that no pass is made twice."""

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self._network = network
        self.logit = float("nan")

    def __call__(self, crops: Tensor) -> Tensor:
        logits = self._network(crops)
        self.logit = float(logits.detach()[-1])
        return logits


def weighted_sum(
    parts: Mapping[str, tuple[NDArray[np.float32], float]], factors: Mapping[str, float]
) -> tuple[NDArray[np.float32], float]:
    """The ensemble's map and logit from its networks' own.

    The ensemble's logit is a weighted sum of the networks' logits, so its gradient at a layer of
    one network is that network's own, times its factor; and its Grad-CAM over the networks' last
    convolutions is the weighted sum of their Grad-CAMs. For Guided Grad-CAM, whose products are
    not linear, the weighted sum is a convention of ours.
    """
    total = np.sum([factors[name] * values for name, (values, _) in parts.items()], axis=0)
    logit = sum(factors[name] * own for name, (_, own) in parts.items())
    return total.astype(np.float32), float(logit)


def passes(method: str, crop_size: int, steps: int = IG_STEPS, windows: int = WINDOWS) -> float:
    """What a method costs, in forward passes of one crop, as `benchmarks.explanations` has it."""
    if method == GRAD_CAM:
        return 1.3
    if method == GUIDED_GRAD_CAM:
        return 4.8
    if method == INTEGRATED_GRADIENTS:
        return 2.3 * steps + 4
    return 1.1 * occlusion_passes(crop_size, windows)


def _module(network: CropNetwork, found: Layer) -> nn.Module:
    return network.network.get_submodule(found.output)


def _logit(network: Callable[[Tensor], Tensor], crop: Tensor) -> float:
    import torch

    with torch.no_grad():
        return float(network(crop)[0])


def _sum_of_channels(values: Tensor) -> NDArray[np.float32]:
    """[1, c, s, s] to float32 [s, s]."""
    return values[0].sum(dim=0).cpu().numpy()
