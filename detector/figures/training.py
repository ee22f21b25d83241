"""Charts of training: curves by epoch, tuning trials, and what each setting matters."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from detector.training.history import History
from detector.training.summaries import TuningSummary

METRIC_TITLES = {
    "focal_loss": "Focal loss",
    "log_loss": "Log loss",
    "f1": "F1 score",
    "accuracy": "Accuracy",
    "auc": "AUC",
}
COLOURS = ("#3b82c4", "#c8372d", "#12948a", "#7a5cd6", "#d98a00", "#8a7a12")


def learning_curve(histories: Sequence[History], metric: str) -> go.Figure:
    """Draw one metric by epoch: train dashed, validation solid, the best epoch marked.

    Args:
        histories: one or several runs.
        metric: a key of `METRIC_TITLES`.
    """
    figure = go.Figure()
    for place, history in enumerate(histories):
        colour = COLOURS[place % len(COLOURS)]
        for split, dash in (("train", "dot"), ("validation", "solid")):
            rows = [
                (row.epoch, getattr(getattr(row, split), metric))
                for row in history.rows
                if getattr(getattr(row, split), metric) is not None
            ]
            if not rows:
                continue
            figure.add_trace(
                go.Scatter(
                    x=[epoch for epoch, _ in rows],
                    y=[value for _, value in rows],
                    mode="lines+markers",
                    marker={"size": 5},
                    name=f"{history.name}, {split}" if len(histories) > 1 else split.capitalize(),
                    line={"color": colour, "dash": dash},
                )
            )
        best = history.best
        if best is not None and getattr(best.validation, metric) is not None:
            figure.add_trace(
                go.Scatter(
                    x=[best.epoch],
                    y=[getattr(best.validation, metric)],
                    mode="markers",
                    marker={"size": 13, "symbol": "star", "color": colour},
                    name=f"{history.name}, best epoch" if len(histories) > 1 else "Best epoch",
                )
            )
    figure.update_layout(
        height=320,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"title": "Epoch", "rangemode": "tozero"},
        yaxis={"title": METRIC_TITLES[metric]},
    )
    return figure


def trials_chart(study: TuningSummary) -> go.Figure:
    """Draw parallel coordinates: a line for each complete trial, through settings to value."""
    done = [trial for trial in study.trials if trial.value is not None]
    names = sorted({name for trial in done for name in trial.params})
    dimensions = []
    for name in names:
        values = [trial.params.get(name) for trial in done]
        if all(isinstance(value, int | float) for value in values):
            dimensions.append({"label": name, "values": values})
        else:
            kinds = sorted({str(value) for value in values})
            dimensions.append(
                {
                    "label": name,
                    "values": [kinds.index(str(value)) for value in values],
                    "tickvals": list(range(len(kinds))),
                    "ticktext": kinds,
                }
            )
    objective = [trial.value for trial in done]
    dimensions.append({"label": study.objective, "values": objective})
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={"color": objective, "colorscale": "Viridis", "showscale": True},
            labelangle=0,
        )
    )
    figure.update_layout(height=380, margin={"l": 60, "r": 40, "t": 50, "b": 20})
    return figure


def importance_chart(study: TuningSummary) -> go.Figure:
    """Draw how much of the objective's variation each setting explains, in parts of 1."""
    rows = sorted(study.importance.items(), key=lambda row: row[1])
    figure = go.Figure(
        go.Bar(
            x=[share for _, share in rows],
            y=[name for name, _ in rows],
            orientation="h",
            marker_color=COLOURS[0],
        )
    )
    figure.update_layout(
        height=60 + 36 * max(len(rows), 1),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"title": "Share of the variation", "range": [0, 1]},
    )
    return figure
