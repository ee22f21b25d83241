"""Small evaluations made by hand, of the installed weights, for tests of what reads them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from detector.evaluation.known_failures import Failure, Failures
from detector.evaluation.result import (
    VERSION,
    Abstained,
    Abstention,
    AggregationScore,
    Bin,
    CoveragePoint,
    Curve,
    Distribution,
    Estimate,
    Evaluation,
    Group,
    Metrics,
    QualityRule,
    Robustness,
    Run,
    UsedBands,
    UsedData,
    UsedModel,
    Variant,
)
from detector.models.spec import read_ensemble

NONE = Estimate(None, None, None)


def estimate(value: float, by: float = 0.02) -> Estimate:
    return Estimate(value, round(max(value - by, 0.0), 6), round(min(value + by, 1.0), 6))


def metrics(level: Any = "clip", *, auc: float = 0.9, alarms: float = 0.05) -> Metrics:
    return Metrics(
        level=level, real=200, manipulated=100, sources=250,
        auc=estimate(auc), average_precision=estimate(0.91), log_loss=estimate(0.3),
        f1=estimate(0.8), accuracy=estimate(0.82), eer=estimate(0.12), ece=estimate(0.04),
        false_positives={"inconclusive": estimate(round(2 * alarms, 6)), "some": estimate(alarms),
                         "strong": Estimate(0.0, 0.0, 0.0)},
        detections={"inconclusive": estimate(0.9), "some": estimate(0.8), "strong": estimate(0.5)},
    )  # fmt: skip


def run(**data: Any) -> Run:
    """Of the installed weights and their calibration."""
    ensemble = read_ensemble()
    about = {
        "name": "press clips", "split": "test", "fingerprint": "0123456789abcdef", "items": 300,
        "clips": 300, "real": 200, "manipulated": 100, "unreadable": 0, "faceless": 0,
        "kinds": ("video",),
    }  # fmt: skip
    return Run(
        software="0.1.0",
        ensemble=ensemble.version,
        models=tuple(UsedModel.of(n) for n in ensemble.networks),
        backend="openvino",
        precision="f32",
        bands=UsedBands(
            ensemble.bands.inconclusive, ensemble.bands.some, ensemble.bands.strong, calibrated=True
        ),
        aggregation="median",
        frames=32,
        data=UsedData(**(about | data)),
        seed=7,
        resamples=1000,
    )


def reference(seed: int = 0) -> tuple[Distribution, ...]:
    """Normal distributions, each with its own middle."""
    rng = np.random.default_rng(seed)
    middles = {"logit": 0.0, "disagreement": 2.0, "size": 90.0, "sharpness": 200.0,
               "brightness": 110.0}  # fmt: skip
    return tuple(
        Distribution(
            name,
            2000,
            tuple(
                np.quantile(middle + rng.normal(size=2000), np.linspace(0, 1, 101))
                .round(6)
                .tolist()
            ),
        )
        for name, middle in middles.items()
    )


def evaluation(**changes: Any) -> Evaluation:
    curve = Curve((0.0, 0.1, 1.0), (0.0, 0.7, 1.0), (None, 1.5, -3.0))
    found = Evaluation(
        version=VERSION,
        run=run(),
        frame=metrics("frame"),
        clip=metrics(),
        networks={"resnet50": metrics("frame", auc=0.7), "xception": metrics("frame")},
        by_set=(Group("press", metrics()),),
        by_method=(Group("swap | new", metrics()),),
        roc={"ensemble": curve, "xception": curve},
        precision_recall={"ensemble": curve},
        reliability=(Bin(0.1, 0.05, 150), Bin(0.8, 0.9, 150)),
        aggregations=(AggregationScore("median", estimate(0.9), estimate(0.3)),),
        reference=reference(),
        notes=("A <b>note</b> of the evaluation.",),
    )
    return dataclasses.replace(found, **changes)


def robustness(**changes: Any) -> Robustness:
    variants = (
        Variant("original", "As it is", "Not encoded again.", metrics(), 0.01, 0),
        Variant("h264-crf40", "H.264, CRF 40", "Strongly compressed.",
                metrics(auc=0.6, alarms=0.31), 0.4, 2),
    )  # fmt: skip
    return dataclasses.replace(
        Robustness(VERSION, run(), variants, ("Encoders differ.",)), **changes
    )


def abstention(**changes: Any) -> Abstention:
    rule = QualityRule("size", "pixels", 48.0, None, "faces_too_small", "Small faces do not count.")
    points = tuple(
        CoveragePoint(c, round(c / 5, 6), round(c / 6, 6), round(c / 4, 6)) for c in (0.2, 0.6, 1.0)
    )
    both = Abstained("all", "All together", 600, estimate(0.7), estimate(0.2), estimate(0.1),
                     estimate(0.45), {"inconclusive": 0.1})  # fmt: skip
    return dataclasses.replace(
        Abstention(VERSION, run(), (rule,), {"confidence": points, "random": points}, (both,), ()),
        **changes,
    )


def failures(**changes: Any) -> Failures:
    found = (
        Failure("grid_x.mp4", "One person", "h264-crf40", "H.264, CRF 40", False, "some", 1.9),
        Failure("demo.mp4", "Demonstration", "original", "As it is", True, "little", -2.0),
    )
    tried = ("As it is", "H.264, CRF 40")
    return dataclasses.replace(Failures(VERSION, run(), 60, 12, 5, 1, tried, found), **changes)
