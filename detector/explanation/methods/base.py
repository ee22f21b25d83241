"""What an attribution method is: which pixels speak for manipulation, and which against.

The target is always the manipulation logit, and maps keep their sign: above 0 raises the logit,
below 0 lowers it. Every map has the crop's own size, since resizing and normalising are part of
what is explained (`detector.explanation.crop_network`).

A method is described without torch, so that pages and the command line can offer it at once;
torch and Captum are imported where it is made to work, in `attribute`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from detector.concurrency.task import CancelCallback, ProgressCallback

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Setting:
    """A number that a method can be told.

    Attributes:
        name: a Python identifier; the command line's option is `--name`.
        default: taken where nothing is said.
        help: what it is, to be followed by the default in brackets.
    """

    name: str
    default: int
    help: str


@dataclass(frozen=True, eq=False)
class Options:
    """How a method is to explain a crop.

    Attributes:
        layer: the part of the network whose output is looked at, float32 [1, filters, h, w];
            None for a method that is not `layered`.
        settings: a value for each of the method's `settings`.
        progress: told the share that is done, (0, 1], where the method is `slow`.
        cancelled: asked between passes, where the method is `slow`; True stops.
    """

    layer: nn.Module | None = None
    settings: Mapping[str, int] = field(default_factory=dict)
    progress: ProgressCallback | None = None
    cancelled: CancelCallback | None = None


@dataclass(frozen=True, eq=False)
class Attribution:
    """What a method returns.

    Attributes:
        map: float32 [s, s], signed, of the crop's size.
        logit: of the crop.
        baseline_logit: of the picture that the map is a difference to; None where there is none.
        delta: sum of the map - (`logit` - `baseline_logit`); None without a baseline.
    """

    map: NDArray[np.float32]
    logit: float
    baseline_logit: float | None = None
    delta: float | None = None


class Method(ABC):
    """One attribution method: a subclass describes it, and an instance carries no state.

    Attributes:
        name: as the command line and links write it.
        title: as people read it.
        question: what it answers, one sentence.
        layered: whether it looks at one layer, which may be chosen; for the ensemble it looks at
            the last convolution of each network, and `combine` makes one map of these.
        additive: whether its values are parts of the logit, so that sums of them can be held
            against true changes of the logit (`faithfulness`: infidelity).
        pixelwise: whether each pixel gets a value of its own. Single pixels are only noise to the
            eye, so such maps are drawn averaged over a few neighbours.
        slow: whether it takes seconds; then it reports its progress and can be stopped.
        settings: numbers that it can be told.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    layered: ClassVar[bool] = False
    additive: ClassVar[bool] = False
    pixelwise: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    settings: ClassVar[tuple[Setting, ...]] = ()

    @abstractmethod
    def attribute(self, network: nn.Module, crop: Tensor, options: Options) -> Attribution:
        """Explain the logit that `network` gives `crop`.

        Args:
            network: crops float32 [n, 3, s, s] in [0, 1] to logits [n]; hooks may be set on it.
            crop: float32 [1, 3, s, s] in [0, 1].
            options: where to look, and how.

        Raises:
            ExplanationError: a setting is out of its range.
            Cancelled: `options.cancelled` returned True.
        """

    @abstractmethod
    def passes(self, crop_size: int, settings: Mapping[str, int]) -> float:
        """Return what it costs, in forward passes of one crop (`benchmarks.explanations`).

        Args:
            crop_size: side of the crop, pixels.
            settings: a value for each of the method's `settings`.
        """

    def combine(
        self, parts: Mapping[str, Attribution], factors: Mapping[str, float]
    ) -> Attribution:
        """Return the ensemble's map and logit, where a `layered` method explained each network.

        The ensemble's logit is a weighted sum of the networks' logits. So its gradient at a layer
        of one network is that network's own, times its factor, and whatever is linear in the
        gradient adds up in the same way.

        Args:
            parts: by network.
            factors: what each network's logit is multiplied by in the ensemble's.
        """
        total = np.sum([factors[name] * part.map for name, part in parts.items()], axis=0)
        logit = sum(factors[name] * part.logit for name, part in parts.items())
        return Attribution(total.astype(np.float32), float(logit))

    def with_defaults(self, given: Mapping[str, int]) -> dict[str, int]:
        """Return a value for each of the settings: the given one, or else the default."""
        return {setting.name: given.get(setting.name, setting.default) for setting in self.settings}


def logit_of(network: Callable[[Tensor], Tensor], crop: Tensor) -> float:
    """Return the logit of a crop [1, 3, s, s], without a gradient."""
    import torch

    with torch.no_grad():
        return float(network(crop)[0])


def sum_of_channels(values: Tensor) -> NDArray[np.float32]:
    """Return the sum of [1, c, s, s] over its channels, float32 [s, s]."""
    summed: NDArray[np.float32] = values[0].sum(dim=0).cpu().numpy()
    return summed
