"""`python -m detector tune`: an Optuna study over gamma, alpha, rate, frames and blending."""

from __future__ import annotations

import argparse

from detector.commands.train import add_common, machine, settings
from detector.training.presets import PRESETS, override


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a study."""
    add_common(parser)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="paper-a")
    parser.add_argument("--trials", type=int, default=20, help="how many in all, earlier ones too")
    parser.add_argument("--epochs", type=int, help="of each trial")
    parser.add_argument("--blend-share", type=float, default=0.5, help="0 leaves blending out")


def run(options: argparse.Namespace) -> int:
    """Tune; returns the exit code. A stopped study goes on when called again."""
    from detector.training.source import open_data, open_hulls
    from detector.training.tune import tune

    more = {"epochs": 3, "epoch_clips": 64, "validation_clips": 160} if options.quick else {}
    if options.epochs:
        more["epochs"] = options.epochs
    config = settings(options, options.preset, blend_share=options.blend_share, **more)
    if not options.name:
        config = override(config, name=f"{config.name}-tuning")
    table = open_data(options.data)
    hulls = open_hulls(table) if config.blend_share > 0 else {}
    summary = tune(
        config,
        table,
        hulls,
        options.runs / config.name,
        options.trials,
        machine=machine(options),
        note=options.note,
        progress=lambda trial: print(
            f"trial {trial.number}: {trial.state}, {trial.value or 0:.3f}", flush=True
        ),
    )
    for trial in summary.trials:
        if trial.number == summary.best:
            print(
                f"best trial {trial.number}: {summary.objective} {trial.value:.3f} with "
                + ", ".join(f"{key} {value}" for key, value in trial.params.items())
            )
    return 0
