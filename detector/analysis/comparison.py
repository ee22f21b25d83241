"""Two analyses of the same clip, face by face: what another model or setting changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.errors import ResultError
from detector.faces.geometry import iou
from detector.result import Analysis, ScoredFace

LEAST_OVERLAP = 0.5  # of boxes in one frame that show the same face


@dataclass(frozen=True)
class Pair:
    """One face in one frame, in both analyses.

    Attributes:
        index, time: of the frame.
        before, after: the face as each analysis has it.
    """

    index: int
    time: float
    before: ScoredFace
    after: ScoredFace

    @property
    def change(self) -> float:
        """Score after less score before, [-1, 1]."""
        return self.after.score - self.before.score


@dataclass(frozen=True)
class Comparison:
    """What differs between two analyses of a clip.

    Attributes:
        pairs: faces that both have, in order of time.
        only_before, only_after: number of faces that just one has, in frames that both looked at.
        frames: number of frames that both looked at.
        same_models: the weights are the same.
    """

    pairs: tuple[Pair, ...]
    only_before: int
    only_after: int
    frames: int
    same_models: bool

    @property
    def mean_change(self) -> float | None:
        """Mean of the pairs' changes; None without pairs."""
        return float(np.mean([pair.change for pair in self.pairs])) if self.pairs else None

    @property
    def largest(self) -> Pair | None:
        """The pair that changed most; None without pairs."""
        return max(self.pairs, key=lambda pair: abs(pair.change), default=None)


def compare(before: Analysis, after: Analysis) -> Comparison:
    """Match the faces of two analyses by frame and box.

    Raises:
        ResultError: the analyses are of different clips.
    """
    if before.clip.sha256 != after.clip.sha256:
        raise ResultError(
            "These analyses are of different clips; choose two of the same clip to see what "
            "another model changes."
        )
    later = {frame.index: frame for frame in after.frames}
    pairs: list[Pair] = []
    frames = only_before = only_after = 0
    for frame in before.frames:
        other = later.get(frame.index)
        if other is None:
            continue
        frames += 1
        matched = _match(frame.faces, other.faces)
        pairs += [Pair(frame.index, frame.time, a, b) for a, b in matched]
        only_before += len(frame.faces) - len(matched)
        only_after += len(other.faces) - len(matched)
    weights = [{model.name: model.sha256 for model in one.models} for one in (before, after)]
    return Comparison(tuple(pairs), only_before, only_after, frames, weights[0] == weights[1])


def _match(
    before: tuple[ScoredFace, ...], after: tuple[ScoredFace, ...]
) -> list[tuple[ScoredFace, ScoredFace]]:
    """Return the pairs of faces that overlap most, each face used once."""
    if not before or not after:
        return []
    boxes = np.array([face.box for face in after])
    overlap = np.array([iou(np.array(face.box), boxes) for face in before])
    found = []
    for _ in range(min(overlap.shape)):
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        if overlap[row, column] < LEAST_OVERLAP:
            break
        found.append((int(row), int(column)))
        overlap[row, :] = overlap[:, column] = -1
    return [(before[row], after[column]) for row, column in sorted(found)]
