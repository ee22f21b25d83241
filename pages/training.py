"""Training: the curves of the runs behind the weights, trials, and folds."""

from pathlib import Path

import streamlit as st

from detector.errors import DetectorError
from detector.figures.training import METRIC_TITLES, importance_chart, learning_curve, trials_chart
from detector.files import ASSETS
from detector.training.curve_summary import summarise_curve
from detector.training.history import History, read_histories, running
from detector.training.summaries import FOLD_METRICS, read_folds, read_tuning
from pages.parts import navigation
from pages.parts.text import plain

SHIPPED = ASSETS / "training"
RUNS = Path("runs")
PAPER = {
    "paper-a": "Run A of the paper (figures 2, 3 and 4): 100 epochs, 5 frames of each clip, batch "
    "32. There, the validation loss flattens after about 40 epochs, past 80 epochs "
    "generalisation suffers, and train and validation F1 stay close.",
    "paper-b": "Run B of the paper (figures 5, 6 and 7): 300 epochs, 6 frames of each clip, batch "
    "64. There, overfitting is clear and grows linearly: train and validation log loss part, "
    "and F1 is volatile.",
}
TITLES = {
    "paper-a-quick": "Run A of the paper, reduced size",
    "paper-b-quick": "Run B of the paper, reduced size",
    "xception-v0": "Xception v0, the shipped weights",
    "resnet50-v0": "ResNet50 v0, the shipped weights",
}

navigation.require()
st.title("Training")
st.caption(
    "The networks learn from labelled faces, one epoch after the other. The curves come from runs "
    "of this project's own code; each says how large it was and on what it ran."
)

histories = {history.name: history for history in read_histories(SHIPPED)}
view = (
    st.segmented_control(
        "View",
        ["One run", "Compare runs", "Folds", "Tuning", "Runs in progress"],
        default="One run",
        key="training",
        bind="query-params",
        label_visibility="collapsed",
    )
    or "One run"
)


def about(history: History) -> None:
    """Draw what a reader must know of a run."""
    preset = str(history.config.get("preset") or "")
    if preset in PAPER:
        st.markdown(PAPER[preset])
    if history.note:
        st.info(plain(history.note), icon=":material/straighten:", title="This run")
    wanted = ("network", "epochs", "frames", "batch", "learning_rate", "gamma", "input_size")
    facts = [
        f"{key.replace('_', ' ')} {history.config[key]}"
        for key in wanted
        if history.config.get(key) is not None
    ]
    facts += [history.hardware, history.started[:10]]
    st.caption(plain(" · ".join(fact for fact in facts if fact)))


def curves(runs: list[History], key: str) -> None:
    """Draw focal loss, log loss and F1, and two more on demand."""
    for metric in ("focal_loss", "log_loss", "f1"):
        st.markdown(f"**{METRIC_TITLES[metric]}**")
        st.plotly_chart(
            learning_curve(runs, metric),
            key=f"{key}-{metric}",
            config={"displayModeBar": False},
            alt=f"{METRIC_TITLES[metric]} by epoch, train against validation",
        )
    with st.expander("Accuracy and AUC", icon=":material/query_stats:", on_change="rerun") as more:
        if more.open:
            for metric in ("accuracy", "auc"):
                st.markdown(f"**{METRIC_TITLES[metric]}**")
                st.plotly_chart(
                    learning_curve(runs, metric),
                    key=f"{key}-{metric}",
                    config={"displayModeBar": False},
                    alt=f"{METRIC_TITLES[metric]} by epoch",
                )


def one_run() -> None:
    if not histories:
        st.info("No training history is installed; `python -m detector publish` adds one.")
        return
    order = [name for name in TITLES if name in histories]
    order += [name for name in histories if name not in TITLES]
    name = st.selectbox(
        "Run",
        order,
        format_func=lambda name: TITLES.get(name, name),
        key="run",
        bind="query-params",
    )
    history = histories[name]
    about(history)
    st.subheader("What to read from it", anchor=False)
    st.markdown("\n".join(f"- {sentence}" for sentence in summarise_curve(history)))
    curves([history], f"run-{name}")


def compare() -> None:
    chosen = st.pills(
        "Runs",
        list(histories),
        selection_mode="multi",
        default=[name for name in ("paper-a-quick", "paper-b-quick") if name in histories],
        format_func=lambda name: TITLES.get(name, name),
        key="runs",
        bind="query-params",
    )
    if not chosen:
        st.info("Choose the runs to compare.", icon=":material/touch_app:")
        return
    curves([histories[name] for name in chosen], "compare")


def folds() -> None:
    files = sorted(SHIPPED.glob("*.folds.json"))
    if not files:
        st.info("No cross-validation is installed; `python -m detector train --folds 5` makes one.")
    for file in files:
        try:
            summary = read_folds(file)
        except DetectorError as error:
            st.error(plain(str(error)), icon=":material/error:")
            continue
        st.subheader(plain(summary.name), anchor=False)
        st.markdown(
            "The labelled clips are cut into parts that share no source. Each part is held out "
            "once, and a network trained on the others is tested on it: the spread tells how much "
            "a figure depends on which clips were tested. The paper reports about 91 % accuracy at "
            "its peak, and that accuracy in the real world decays with time."
        )
        st.info(plain(summary.note), icon=":material/straighten:", title="This cross-validation")
        rows = [
            {
                "Fold": str(fold.fold),
                "Best epoch": fold.best_epoch,
                **{
                    METRIC_TITLES[metric]: getattr(fold.validation, metric)
                    for metric in FOLD_METRICS
                },
                "Training clips": fold.train_clips,
                "Held-out clips": fold.validation_clips,
            }
            for fold in summary.folds
        ]
        st.dataframe(
            rows,
            hide_index=True,
            alt="Scores of each fold",
            column_config={
                METRIC_TITLES[metric]: st.column_config.NumberColumn(format="%.3f")
                for metric in FOLD_METRICS
            },
        )
        with st.container(horizontal=True):
            for metric in FOLD_METRICS:
                mean, spread = summary.mean(metric), summary.spread(metric)
                if mean is not None:
                    st.metric(
                        METRIC_TITLES[metric],
                        f"{mean:.3f} ± {spread or 0:.3f}",
                        help="Mean and standard deviation over the folds",
                        border=True,
                    )


def tuning() -> None:
    files = sorted(SHIPPED.glob("*.tuning.json"))
    if not files:
        st.info("No tuning study is installed; `python -m detector tune` makes one.")
    for file in files:
        try:
            study = read_tuning(file)
        except DetectorError as error:
            st.error(plain(str(error)), icon=":material/error:")
            continue
        st.subheader(plain(study.name), anchor=False)
        st.info(plain(study.note), icon=":material/straighten:", title="This study")
        if study.best is not None:
            best = next(trial for trial in study.trials if trial.number == study.best)
            settings = ", ".join(
                f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                for name, value in best.params.items()
            )
            st.markdown(
                f"Best trial: number {best.number}, {plain(study.objective)} "
                f"**{best.value:.4f}** with {plain(settings)}"
            )
        st.plotly_chart(
            trials_chart(study),
            key=f"trials-{file.stem}",
            alt="Parallel coordinates of the trials' settings and results",
        )
        if study.importance:
            st.markdown("**What mattered**")
            st.plotly_chart(
                importance_chart(study),
                key=f"importance-{file.stem}",
                config={"displayModeBar": False},
                alt="Share of the variation that each setting explains",
            )
        st.dataframe(
            [
                {
                    "Trial": trial.number,
                    "State": trial.state,
                    "Value": trial.value,
                    "Seconds": round(trial.seconds),
                    **trial.params,
                }
                for trial in study.trials
            ],
            hide_index=True,
            alt="All trials",
        )


@st.fragment(run_every=5)
def in_progress() -> None:
    """Draw the runs in the folder `runs`, every five seconds anew."""
    found = running(RUNS)
    if not found:
        st.info(
            "No run is in progress. `python -m detector train --data FOLDER --quick` starts one, "
            "and its curves appear here while it runs.",
            icon=":material/model_training:",
        )
        return
    history = found[0]
    st.subheader(plain(history.name), anchor=False)
    total = int(history.config.get("epochs") or 0)
    done = history.rows[-1].epoch if history.rows else 0
    if history.finished:
        st.success(f"Finished after {done} epochs.", icon=":material/check_circle:")
    elif total:
        st.progress(min(done / total, 1.0), f"Epoch {done} of {total}")
    if history.rows:
        curves([history], "live")


{
    "One run": one_run,
    "Compare runs": compare,
    "Folds": folds,
    "Tuning": tuning,
    "Runs in progress": in_progress,
}[view]()
