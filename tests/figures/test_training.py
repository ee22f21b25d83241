"""Training charts, and what the sentences below them say."""

from __future__ import annotations

import pytest

from detector.figures.training import METRIC_TITLES, importance_chart, learning_curve, trials_chart
from detector.files import ASSETS
from detector.training.curve_summary import summarise_curve
from detector.training.history import EpochRow, History, Scores, read_histories
from detector.training.summaries import Trial, TuningSummary


def history(validation: list[float], train: list[float], f1: list[float]) -> History:
    rows = tuple(
        EpochRow(
            epoch=place + 1,
            step=place,
            samples=place,
            seconds=place,
            learning_rate=1e-4,
            train=Scores(focal_loss=train[place] / 4, log_loss=train[place], f1=0.7),
            validation=Scores(
                focal_loss=validation[place] / 4, log_loss=validation[place], f1=f1[place]
            ),
        )
        for place in range(len(validation))
    )
    return History(name="run", rows=rows)


@pytest.mark.parametrize(
    ("run", "said", "not_said"),
    [
        (history([0.6, 0.5, 0.7, 0.9], [0.6, 0.5, 0.4, 0.3], [0.5, 0.7, 0.5, 0.7]),
         ["lowest at epoch 2 of 4", "rises by 80%", "parted by 0.60", "volatile"],
         ["still falling"]),
        (history([0.6, 0.5, 0.45, 0.4], [0.6, 0.5, 0.46, 0.42], [0.7, 0.71, 0.72, 0.72]),
         ["lowest at epoch 4 of 4", "still falling", "stay close", "steady"],
         ["rises", "overfitting"]),
        (History(name="new"), ["No epoch has been validated yet."], ["lowest"]),
    ],
    ids=["overfits", "still-learning", "just-begun"],
)  # fmt: skip
def test_the_sentences_follow_the_numbers(
    run: History, said: list[str], not_said: list[str]
) -> None:
    text = " ".join(summarise_curve(run))
    assert [part for part in said if part not in text] == []
    assert [part for part in not_said if part in text] == []


@pytest.mark.parametrize("metric", list(METRIC_TITLES))
def test_curves_show_the_shipped_numbers(metric: str) -> None:
    shipped = read_histories(ASSETS / "training")
    assert shipped
    for run in shipped:
        figure = learning_curve([run], metric)
        wanted = [
            value for row in run.rows if (value := getattr(row.validation, metric)) is not None
        ]
        drawn = [trace for trace in figure.data if trace.name == "Validation"]
        assert list(drawn[0].y) == wanted if wanted else drawn == []


def test_trials_and_their_importance_are_drawn() -> None:
    trials = (
        Trial(0, "complete", 0.6, {"gamma": 1.0, "alpha": "none"}, (0.6,), 1.0),
        Trial(1, "complete", 0.7, {"gamma": 2.0, "alpha": "0.25"}, (0.7,), 1.0),
        Trial(2, "failed", None, {"gamma": 3.0, "alpha": "none"}, (), 1.0),
    )
    study = TuningSummary(
        "study", "validation AUC", True, "small", {}, trials, 1, {"gamma": 0.8, "alpha": 0.2}
    )
    lines = trials_chart(study).data[0]
    by_label = {dimension.label: dimension for dimension in lines.dimensions}
    assert list(by_label["gamma"]["values"]) == [1.0, 2.0]
    assert list(by_label["alpha"].ticktext) == ["0.25", "none"]
    assert list(by_label["validation AUC"]["values"]) == [0.6, 0.7]
    bars = importance_chart(study).data[0]
    assert dict(zip(bars.y, bars.x, strict=True)) == study.importance
