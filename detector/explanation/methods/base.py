"""What an attribution method is, and what methods share.

An attribution says which pixels of a face speak for manipulation, and which against; Captum
computes them.

The target is always the manipulation logit, and maps keep their sign: above 0 raises the logit,
below 0 lowers it. Every map has the crop's own size, since resizing and normalising are part of
what is explained (`detector.explanation.crop_network`).

Integrated Gradients, Occlusion and the deletion curve all take detail away in one way: by a mild
Gaussian blur (`blurred`). It removes the fine traces that manipulation leaves and keeps the face.
A strong blur would not be neutral: at a standard deviation of 10 px of 304 the shipped Xception
gives a real face a logit of +4. At 3 px a real and a self-blended face come out alike (+0.3 and
+0.9, from -0.8 and +2.6). A black baseline is a picture like no face at all, gives dark pixels no
attribution whatever they show (Sturmfels et al. 2020), and Integrated Gradients with 32 steps
misses a third of the difference to it; the blur's it meets within some per cent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.concurrency.task import CancelCallback, ProgressCallback
from detector.errors import Cancelled, ExplanationError
from detector.models.networks.layer import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from detector.explanation.crop_network import CropNetwork

BLUR = 1 / 100  # standard deviation of the blur / side of the crop


@dataclass(frozen=True)
class Setting:
    """A whole number that a person may choose for a method.

    Attributes:
        name: as the command line and results write it.
        default: where nothing is chosen.
        help: what it counts, for the command line.
    """

    name: str
    default: int
    help: str


@dataclass(frozen=True, eq=False)
class Attribution:
    """What a method found.

    Attributes:
        map: float32 [s, s] of the crop's own size, signed: above 0 raises the logit.
        logit: of the crop.
        baseline_logit, delta: as in `Explanation`; None for methods without a baseline.
    """

    map: NDArray[np.float32]
    logit: float
    baseline_logit: float | None = None
    delta: float | None = None


class Method(ABC):
    """An attribution method; a new one is a file with a subclass, and a line in the registry.

    Attributes:
        name: as the command line and links write it.
        title: as people read it.
        question: what it answers, one sentence.
        layered: whether it looks at one layer, which may be chosen.
        additive: whether its values are parts of the logit, so that sums of them can be held
            against true changes of the logit (`faithfulness`: infidelity).
        slow: whether it takes seconds, and so deserves progress and a way to stop.
        grainy: whether each pixel has a value of its own, in which the eye sees only noise, so
            that a few neighbours are averaged where the map is drawn.
        setting: what may be chosen; None for nothing.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    layered: ClassVar[bool] = False
    additive: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    grainy: ClassVar[bool] = False
    setting: ClassVar[Setting | None] = None

    @abstractmethod
    def attribute(
        self,
        network: nn.Module,
        crop: Tensor,
        layer: Layer | None,
        value: int,
        progress: ProgressCallback | None,
        cancelled: CancelCallback | None,
    ) -> Attribution:
        """Explain the logit of a crop.

        Args:
            network: crops [n, 3, s, s] in [0, 1] to logits [n]; hooks may be set on it. Where
                the method is not `layered`, also the ensemble.
            crop: float32 [1, 3, s, s] in [0, 1].
            layer: to look at, one that has maps; None unless `layered`.
            value: of `setting`; 0 without one.
            progress: told the share that is done, (0, 1]; not by a method that is not `slow`.
            cancelled: asked between passes; True stops.

        Raises:
            Cancelled: `cancelled` returned True.
        """

    @abstractmethod
    def passes(self, crop_size: int, value: int) -> float:
        """Return what it costs, in forward passes of one crop, as `benchmarks.explanations` has it.

        Args:
            crop_size: side of the crop, pixels.
            value: of `setting`; 0 without one.
        """

    def check(self, value: int, crop_size: int) -> None:  # noqa: B027  # most take any value
        """Raise ExplanationError where `value` of `setting` is out of range."""

    def chosen(self, settings: Mapping[str, int], crop_size: int) -> int:
        """Return the value of `setting` that `settings` hold, else its default, else 0.

        Raises:
            ExplanationError: it is out of range.
        """
        if self.setting is None:
            return 0
        value = settings.get(self.setting.name, self.setting.default)
        self.check(value, crop_size)
        return value


class ProgressForward:
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
        """Return the network's logits [n] of crops [n, 3, s, s]."""
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
    """Take the detail out of a crop: Gaussian blur, standard deviation `BLUR` of the side.

    Colour and light stay, edges, texture and blending boundaries go. Shape and range as `crop`,
    float32 [1, 3, s, s] in [0, 1].
    """
    import torch

    picture = np.ascontiguousarray(crop[0].permute(1, 2, 0).cpu().numpy())
    soft = cv2.GaussianBlur(picture, (0, 0), crop.shape[-1] * BLUR, borderType=cv2.BORDER_REFLECT)
    return torch.from_numpy(soft).permute(2, 0, 1)[None].contiguous().to(crop.device)


def module_of(network: nn.Module, layer: Layer | None) -> nn.Module:
    """Return the module whose output is the layer's."""
    if layer is None:
        raise ExplanationError("This method needs a layer; choose one that has maps.")
    return cast("CropNetwork", network).network.get_submodule(layer.output)


def logit_of(network: Callable[[Tensor], Tensor], crop: Tensor) -> float:
    """Return the logit of the one crop in [1, 3, s, s], without a gradient."""
    import torch

    with torch.no_grad():
        return float(network(crop)[0])


def sum_of_channels(values: Tensor) -> NDArray[np.float32]:
    """Turn [1, c, s, s] into float32 [s, s]."""
    summed: NDArray[np.float32] = values[0].sum(dim=0).cpu().numpy()
    return summed
