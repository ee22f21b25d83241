"""With which networks something was measured, as every file of the model card states it."""

from __future__ import annotations

import detector
from detector.evaluation_result import Run, UsedBands, UsedData, UsedModel
from detector.scoring import Scorer


def run_of(scorer: Scorer, *, frames: int, data: UsedData, seed: int, resamples: int) -> Run:
    """A run with this scorer."""
    ensemble, bands = scorer.ensemble, scorer.ensemble.bands
    return Run(
        software=detector.__version__,
        ensemble=ensemble.version,
        models=tuple(
            UsedModel(n.name, n.version, n.sha256, n.weight, n.temperature)
            for n in ensemble.networks
        ),
        backend=scorer.backend,
        precision=scorer.precision,
        bands=UsedBands(bands.inconclusive, bands.some, bands.strong, ensemble.calibrated),
        aggregation=ensemble.aggregation,
        frames=frames,
        data=data,
        seed=seed,
        resamples=resamples,
    )
