"""What a training curve says, in sentences computed from its own numbers. Light: no torch here."""

from __future__ import annotations

import itertools

from detector.training.history import History

RISE = 0.02  # a validation loss this much above its lowest counts as risen
GAP = 0.1  # nats between train and validation log loss that count as parted


def summarise_curve(history: History) -> tuple[str, ...]:
    """Say where a run was best, whether it overfits, and how steady it is."""
    best = history.best
    if best is None or best.validation.focal_loss is None:
        return ("No epoch has been validated yet.",)
    measured = [row for row in history.rows if row.validation.focal_loss is not None]
    last = measured[-1]
    sentences = [
        f"The validation focal loss is lowest at epoch {best.epoch} of {last.epoch} "
        f"({best.validation.focal_loss:.4f}); that checkpoint is kept."
    ]
    rise = (last.validation.focal_loss or 0.0) / best.validation.focal_loss - 1
    if rise > RISE:
        sentences.append(
            f"After it the loss rises by {rise:.0%} until the end: more epochs fit the training "
            "faces, not faces in general."
        )
    elif best.epoch == last.epoch:
        sentences.append("It was still falling at the end: more epochs might help.")
    train, validation = last.train.log_loss, last.validation.log_loss
    if train is not None and validation is not None:
        gap = validation - train
        sentences.append(
            f"Train and validation log loss have parted by {gap:.2f} at the end, a sign of "
            "overfitting."
            if gap > GAP
            else f"Train and validation log loss stay close ({gap:+.2f} at the end)."
        )
    f1 = [row.validation.f1 for row in measured if row.validation.f1 is not None]
    steps = [abs(after - before) for before, after in itertools.pairwise(f1)]
    if len(steps) > 2:
        mean = sum(steps) / len(steps)
        sentences.append(
            f"Validation F1 moves by {mean:.2f} from epoch to epoch on average: "
            + ("volatile." if mean > 0.05 else "steady.")
        )
    return tuple(sentences)
