"""Clips as batches: N frames of each clip, read from disk or memory, prepared on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytorch_lightning as lightning
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from detector.datasets.table import Table, check_labels, in_mixed_sets
from detector.errors import TrainingError
from detector.training.crop_augmentation import MARGIN
from detector.training.presets import TrainConfig
from detector.training.stateless_random import seed_of

REGIONS, POINTS = 4, 32
MEMORY = 2 * 1024**3  # bytes of decoded crops that are kept, in each reading process


class ClipBatch(NamedTuple):
    """What the reading processes hand over.

    Attributes:
        images: uint8 [clips, frames, s, s, 3], RGB, s = input size x `MARGIN`.
        labels: float32 [clips], 1 = manipulated (a self-blend counts as manipulated).
        blend: bool [clips], whether the frames are to be blended into themselves.
        hulls: float32 [clips, frames, 4, 32, 2] in units of the side; zeros where not needed.
        factors: float32 [clips, frames, 3]: crop factor, smallest and largest of a view.
        seeds: int64 [clips, frames].
        weights: float32 [clips], 0 where no frame could be read.
        skipped: int64 [clips], frames that could not be read.
    """

    images: Tensor
    labels: Tensor
    blend: Tensor
    hulls: Tensor
    factors: Tensor
    seeds: Tensor
    weights: Tensor
    skipped: Tensor


class PreparedBatch(NamedTuple):
    """What a step takes: `views` float32 [clips, frames, 3, s, s] in [0, 1], and the labels."""

    views: Tensor
    labels: Tensor
    weights: Tensor
    skipped: Tensor


@dataclass(frozen=True)
class Clip:
    """One clip of the table.

    Attributes:
        name: of the clip.
        label: 1 = manipulated.
        mixed: whether its data set has both classes (see `table.in_mixed_sets`).
        paths: its crops, relative to the table's root.
        factors: for each crop its factor, and the smallest and largest of a view.
    """

    name: str
    label: int
    mixed: bool
    paths: tuple[str, ...]
    factors: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Draw:
    """One place in an epoch: which clip, whether as a self-blend, and its seed."""

    clip: int
    blend: bool
    seed: int


def clips_of(
    table: Table, split: str, most: int = 0, seed: int = 0, mixed_only: bool = True
) -> tuple[Clip, ...]:
    """Return the clips of a split in a fixed order, at most `most`, half of each class.

    Args:
        table: crops with splits.
        split: "train", "val" or "test".
        most: how many stay, 0 = all; `seed` decides which.
        mixed_only: leave out the sets that have one class only.
    """
    rows = table.rows
    mixed = set(in_mixed_sets(rows)["set"])
    rows = rows[rows["split"] == split].sort_values(["clip", "path"])
    if mixed_only:
        rows = rows[rows["set"].isin(mixed)]
    clips = []
    for name, part in rows.groupby("clip", sort=True):
        factors = part[["crop_factor", "min_factor", "max_factor"]].to_numpy(float)
        clips.append(
            Clip(
                name=str(name),
                label=int(part["label"].iloc[0]),
                mixed=part["set"].iloc[0] in mixed,
                paths=tuple(part["path"]),
                factors=tuple((float(a), float(b), float(c)) for a, b, c in factors),
            )
        )
    if not most:
        return tuple(clips)
    chosen: list[Clip] = []
    for label in (0, 1):
        mine = [clip for clip in clips if clip.label == label]
        order = np.random.default_rng(seed_of(seed, label)).permutation(len(mine))
        chosen += [mine[index] for index in order[: most // 2]]
    return tuple(chosen)


class EpochSampler(Sampler[Draw]):
    """The draws of an epoch, decided by run seed and epoch alone, so that resuming changes none.

    Every labelled clip comes once. With `blend_share` above 0, that share of the manipulated
    draws shows a real clip blended into itself instead. Sets of reals only are blended as often
    as they stand among the reals, where the share allows it, so that a set tells no class.
    """

    def __init__(self, clips: tuple[Clip, ...], config: TrainConfig) -> None:
        self._labels = np.array([clip.label for clip in clips])
        self._mixed = np.array([clip.mixed for clip in clips])
        self._config = config
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Note the epoch; Lightning calls this before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self._config.epoch_clips:
            return min(self._config.epoch_clips, len(self._labels))
        return len(self._labels)

    def _clips(self) -> NDArray[np.int64]:
        """Choose the labelled clips of this epoch; with `epoch_clips`, passes go on over epochs."""
        if len(self) == len(self._labels):
            return np.arange(len(self._labels))
        chosen = []
        for label in (0, 1):
            mine = np.flatnonzero(self._labels == label)
            part = len(self) // 2 if label == 0 else len(self) - len(self) // 2
            places = np.arange(self.epoch * part, (self.epoch + 1) * part)
            for turn in range(places[0] // len(mine), places[-1] // len(mine) + 1):
                order = np.random.default_rng(seed_of(self._config.seed, turn, label, 4))
                inside = places[places // len(mine) == turn] % len(mine)
                chosen.append(order.permutation(mine)[inside])
        return np.concatenate(chosen)

    def __iter__(self) -> Iterator[Draw]:
        seed, epoch = self._config.seed, self.epoch
        random = np.random.default_rng(seed_of(seed, epoch, 1))
        clips = self._clips()
        blend = np.zeros(len(clips), dtype=bool)
        if self._config.blend_share > 0:
            fakes = np.flatnonzero(self._labels[clips] == 1)
            reals = np.flatnonzero(self._labels == 0)
            turned = random.permutation(fakes)[: round(len(fakes) * self._config.blend_share)]
            blend[turned] = True
            alone = reals[~self._mixed[reals]]
            together = reals[self._mixed[reals]]
            share = len(alone) / max(len(reals), 1) / self._config.blend_share
            from_alone = random.random(len(turned)) < share
            if len(alone) and len(together):
                clips[turned] = np.where(
                    from_alone,
                    random.choice(alone, len(turned)),
                    random.choice(together, len(turned)),
                )
            else:
                clips[turned] = random.choice(reals, len(turned))
        for place in random.permutation(len(clips)):
            yield Draw(int(clips[place]), bool(blend[place]), seed_of(seed, epoch, int(place), 2))


class ClipReader(Dataset[ClipBatch]):
    """Reads the frames of a draw; an unreadable image is left out and counted.

    Args:
        root: folder the clips' paths start from.
        clips: what a draw's index points at.
        config: frames, input size.
        hulls: file name -> hulls float [4, 32, 2]; a real clip without them is never blended.
        training: whether N frames are drawn; validation reads up to N, evenly spread.
    """

    def __init__(
        self,
        root: Path,
        clips: tuple[Clip, ...],
        config: TrainConfig,
        hulls: dict[str, NDArray[np.float32]],
        training: bool,
    ) -> None:
        self.clips = clips
        self._root = root
        self._config = config
        self._hulls = hulls
        self._training = training
        self._side = round(config.input_size * MARGIN)
        self._memory: dict[str, NDArray[np.uint8] | None] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, draw: Draw | int) -> ClipBatch:
        if isinstance(draw, int):
            draw = Draw(draw, False, seed_of(draw, 3))
        clip = self.clips[draw.clip]
        frames = self._config.frames
        order = list(range(len(clip.paths)))
        if self._training:
            order = [int(i) for i in np.random.default_rng(draw.seed).permutation(len(order))]
        elif len(order) > frames:
            order = [int(i) for i in np.linspace(0, len(order) - 1, frames).round()]
        found: list[tuple[int, NDArray[np.uint8]]] = []
        skipped = 0
        for index in order:
            image = self._read(clip.paths[index])
            if image is None:
                skipped += 1
            else:
                found.append((index, image))
            if len(found) == frames:
                break
        images = np.zeros((frames, self._side, self._side, 3), dtype=np.uint8)
        hulls = np.zeros((frames, REGIONS, POINTS, 2), dtype=np.float32)
        factors = np.ones((frames, 3), dtype=np.float32)
        blend = draw.blend
        # A clip with fewer frames than asked for gives several views of those it has.
        for place in range(frames if found else 0):
            index, image = found[place % len(found)]
            images[place] = image
            factors[place] = clip.factors[index]
            if draw.blend:
                hull = self._hulls.get(clip.paths[index])
                if hull is None:
                    blend = False
                else:
                    hulls[place] = hull
        return ClipBatch(
            images=torch.from_numpy(images),
            labels=torch.tensor(float(clip.label or blend)),
            blend=torch.tensor(blend),
            hulls=torch.from_numpy(hulls),
            factors=torch.from_numpy(factors),
            seeds=torch.tensor([seed_of(draw.seed, frame) for frame in range(frames)]),
            weights=torch.tensor(float(bool(found))),
            skipped=torch.tensor(skipped),
        )

    def _read(self, name: str) -> NDArray[np.uint8] | None:
        if name in self._memory:
            return self._memory[name]
        image = read_crop(self._root / name, self._side)
        size = 0 if image is None else image.nbytes
        if self._held + size <= MEMORY:
            self._memory[name] = image
            self._held += size
        return image


def read_crop(path: Path, side: int) -> NDArray[np.uint8] | None:
    """Read an image file, RGB uint8 [side, side, 3]; None where it cannot be decoded."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError:
        return None
    if not len(data) or not _complete(data):
        return None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    if image is None:
        return None
    shrinks = max(image.shape[:2]) > side
    return cv2.resize(
        image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    ).astype(np.uint8)


def _complete(data: NDArray[np.uint8]) -> bool:
    """Tell whether a JPEG has its end marker: a cut one decodes, with grey for the rest."""
    if data[:2].tobytes() != b"\xff\xd8":
        return True
    return b"\xff\xd9" in data[-4096:].tobytes()


def prepare(batch: ClipBatch, config: TrainConfig, training: bool) -> PreparedBatch:
    """Make the views that a step takes: blended, degraded and cropped, on the batch's device."""
    from detector.training.blending import self_blend
    from detector.training.crop_augmentation import centre_crops, random_crops
    from detector.training.degradations import degrade

    clips, frames = batch.seeds.shape
    images = batch.images.flatten(0, 1).permute(0, 3, 1, 2).float() / 255
    seeds = batch.seeds.flatten()
    factors = batch.factors.flatten(0, 1)
    if training:
        chosen = batch.blend.repeat_interleave(frames).nonzero()[:, 0]
        if len(chosen):
            hulls = batch.hulls.flatten(0, 1)
            blends = self_blend(images[chosen], hulls[chosen], seeds[chosen], config.blend_strength)
            images = images.index_copy(0, chosen, blends.images)
        if config.degrade:
            images = degrade(images, seeds)
        views = random_crops(images, factors, seeds, config.input_size)
    else:
        views = centre_crops(images, factors, config.crop_factor, config.input_size)
    views = views.view(clips, frames, *views.shape[1:])
    return PreparedBatch(views, batch.labels, batch.weights, batch.skipped)


class ClipData(lightning.LightningDataModule):
    """Training and validation clips of a table.

    Args:
        table: crops with splits.
        config: the run's settings.
        hulls: file name -> hulls, for self-blending; may be empty where blend_share is 0.

    Raises:
        TrainingError: a split or a class is missing.
    """

    def __init__(
        self, table: Table, config: TrainConfig, hulls: dict[str, NDArray[np.float32]]
    ) -> None:
        super().__init__()
        check_labels(table)
        self.config = config
        self.train_clips = clips_of(
            table, "train", config.train_clips, seed=1, mixed_only=config.blend_share == 0
        )
        self.val_clips = clips_of(table, "val", config.validation_clips, seed=1)
        for clips, words in ((self.train_clips, "training"), (self.val_clips, "validation")):
            if len({clip.label for clip in clips}) < 2:
                raise TrainingError(
                    f"No data set has {words} clips of both classes, so telling them apart could "
                    "mean telling sets apart; add the missing class."
                )
        self._table = table
        self._hulls = hulls
        self.sampler = EpochSampler(self.train_clips, config)
        self.meter: Any = None  # callbacks.InputMeter, which times `prepare`

    def train_dataloader(self) -> DataLoader[ClipBatch]:
        """Load n frames of each clip, in the order of the epoch."""
        return self._loader(self.train_clips, training=True)

    def val_dataloader(self) -> DataLoader[ClipBatch]:
        """Load validation clips, whole and unaltered."""
        return self._loader(self.val_clips, training=False)

    def _loader(self, clips: tuple[Clip, ...], training: bool) -> DataLoader[ClipBatch]:
        config = self.config
        single = all(len(clip.paths) == 1 for clip in clips)
        if not training and single:
            # One unaltered crop a clip: N equal frames would only cost time.
            config = TrainConfig(**{**config.to_dict(), "frames": 1})
        reader = ClipReader(self._table.root, clips, config, self._hulls, training)
        return DataLoader(
            reader,
            batch_size=self.config.batch if training else max(self.config.batch, 32),
            sampler=self.sampler if training else None,
            num_workers=self.config.workers,
            persistent_workers=self.config.workers > 0,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4 if self.config.workers else None,
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Prepare the views once the bytes are on the device."""
        if not isinstance(batch, ClipBatch):
            return batch
        training = bool(self.trainer and self.trainer.training)
        if self.meter is not None and training:
            with self.meter.preparing():
                return prepare(batch, self.config, training)
        return prepare(batch, self.config, training)
