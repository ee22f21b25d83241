"""The settings of a training run, and the four presets: paper-a, paper-b, self-blend, distill."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from detector.errors import TrainingError
from detector.models.networks.registry import NETWORKS


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run, apart from the data.

    Attributes:
        name: name of the run; its folder and its published history are called so.
        preset: the preset it began as.
        network: name of a kind of network, such as "resnet50".
        epochs: passes over the training clips, or over `epoch_clips` of them.
        frames: frames of a clip that enter a step together; the clip's logit is their mean.
        batch: clips in a step.
        learning_rate: peak step size of AdamW.
        weight_decay: decoupled weight decay; none on biases and normalisation.
        schedule: "constant" or "cosine"; both warm up over the first 3 % of the steps.
        gamma, alpha: of the focal loss; alpha None weighs both classes alike.
        ema: decay of the moving average of weights that is validated and kept; 0 = none.
        blend_share: share of the manipulated training clips that are self-blends, [0, 1].
        blend_strength: scale of the alterations inside self-blends; 1 = the published recipe.
        degrade: whether both classes are degraded (colour, scale, blur, noise, JPEG).
        input_size: side of the network's input, pixels.
        crop_factor: side of the validation crop / larger side of the face box.
        train_clips: at most so many clips of each run's training split, half of each class;
            0 = all.
        epoch_clips: clips of an epoch, half of each class; the next epoch goes on with others
            until all were seen; 0 = all.
        validation_clips: the same for the validation split.
        freeze: stages of the trunk that keep their initial weights: 0 none, 1 the stem, 2 to 5
            also the first to fourth stage of ResNet50.
        init: file with weights to start from (.npz trunk, .safetensors trunk or whole network);
            "timm" asks timm's hub; "" starts from random weights.
        precision: Lightning's name of the precision, such as "32-true" or "bf16-mixed".
        dropout: probability of dropping a feature before the last layer.
        seed: decides the order, the alterations and the initial weights of the head.
        workers: processes that read images; 0 reads in the training process.
        quick: whether the size was reduced by `quick`.
        fold, folds: which fold is held out for validation (from 1), of how many; 0 = none.
    """

    name: str
    preset: str
    network: str = "resnet50"
    epochs: int = 100
    frames: int = 5
    batch: int = 32
    learning_rate: float = 5e-5
    weight_decay: float = 0.05
    schedule: str = "constant"
    gamma: float = 2.0
    alpha: float | None = None
    ema: float = 0.0
    blend_share: float = 0.0
    blend_strength: float = 1.0
    degrade: bool = True
    input_size: int = 224
    crop_factor: float = 1.15
    train_clips: int = 0
    epoch_clips: int = 0
    validation_clips: int = 0
    freeze: int = 0
    init: str = "timm"
    precision: str = "32-true"
    dropout: float = 0.3
    seed: int = 1
    workers: int = 4
    quick: bool = False
    fold: int = 0
    folds: int = 0

    def __post_init__(self) -> None:
        for name, low, high in _LIMITS:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise TrainingError(f"{name} is {value}; choose a value from {low:g} to {high:g}.")
        if self.schedule not in ("constant", "cosine"):
            raise TrainingError(
                f"There is no schedule called {self.schedule!r}; choose constant or cosine."
            )

    @property
    def mean(self) -> tuple[float, float, float]:
        """RGB mean that is taken off inputs in [0, 1]."""
        return NETWORKS[self.network].mean

    @property
    def std(self) -> tuple[float, float, float]:
        """RGB standard deviation that inputs are divided by."""
        return NETWORKS[self.network].std

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for the history."""
        return asdict(self)


_LIMITS = (
    ("epochs", 1, 100_000),
    ("frames", 1, 64),
    ("batch", 1, 4096),
    ("learning_rate", 1e-8, 1),
    ("gamma", 0, 10),
    ("alpha", 0.01, 0.99),
    ("ema", 0, 0.99999),
    ("blend_share", 0, 1),
    ("blend_strength", 0, 3),
    ("input_size", 32, 1024),
    ("freeze", 0, 5),
    ("dropout", 0, 0.95),
)

PRESETS: dict[str, TrainConfig] = {
    # Paper, runs A (figures 2 to 4) and B (figures 5 to 7).
    "paper-a": TrainConfig("paper-a", "paper-a", epochs=100, frames=5, batch=32),
    "paper-b": TrainConfig("paper-b", "paper-b", epochs=300, frames=6, batch=64),
    # The recipe behind the shipped Xception (Shiohara and Yamasaki 2022, plus true swaps).
    "self-blend": TrainConfig(
        "self-blend",
        "self-blend",
        network="xception",
        epochs=30,
        frames=1,
        batch=256,
        learning_rate=4e-4,
        schedule="cosine",
        ema=0.999,
        blend_share=0.5,
        input_size=304,
        precision="bf16-mixed",
    ),
    # One network teaches the other, for a trunk without ImageNet weights.
    "distill": TrainConfig(
        "distill",
        "distill",
        network="resnet50",
        epochs=60,
        frames=1,
        batch=128,
        learning_rate=1e-3,
        schedule="cosine",
        ema=0.999,
        blend_share=0.5,
        input_size=224,
        precision="bf16-mixed",
        init="",
    ),
}

_QUICK_EPOCHS = {"paper-a": 8, "paper-b": 24, "self-blend": 8, "distill": 4}


def preset(name: str) -> TrainConfig:
    """Return the preset called `name`; raises TrainingError where there is none."""
    if name not in PRESETS:
        raise TrainingError(
            f"There is no preset called {name!r}; choose one of: {', '.join(PRESETS)}."
        )
    return PRESETS[name]


def quick(config: TrainConfig) -> TrainConfig:
    """Return the same run at a size that two CPU cores finish in minutes.

    The frames of a clip stay, runs A and B keep their ratio of epochs (1 : 3) and of clips in a
    step (1 : 2); crops shrink to 64 pixels, an epoch shows 160 of 960 training clips, and the
    stem and the first two stages of ResNet50 keep their initial weights.
    """
    return replace(
        config,
        epochs=_QUICK_EPOCHS.get(config.preset, 8),
        batch={"paper-a": 8, "paper-b": 16}.get(config.preset, 32),
        input_size=64,
        train_clips=960,
        epoch_clips=160,
        validation_clips=240,
        freeze=NETWORKS[config.network].quick_freeze,
        precision="32-true",
        workers=0,
        ema=min(config.ema, 0.9),
        quick=True,
    )


def override(config: TrainConfig, **values: Any) -> TrainConfig:
    """Return `config` with every value that is not None put in its place."""
    known = {field.name for field in fields(TrainConfig)}
    unknown = set(values) - known
    if unknown:
        raise TrainingError(f"There is no setting called {sorted(unknown)[0]!r}.")
    return replace(config, **{key: value for key, value in values.items() if value is not None})
