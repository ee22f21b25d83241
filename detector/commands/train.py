"""`python -m detector train`: one run, or k folds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from detector.training.history import RUNS
from detector.training.presets import PRESETS, TrainConfig, override, preset, quick

SETTINGS = (
    "network",
    "epochs",
    "frames",
    "batch",
    "learning_rate",
    "gamma",
    "alpha",
    "blend_share",
    "blend_strength",
    "input_size",
    "freeze",
    "precision",
    "seed",
    "workers",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a run."""
    add_common(parser)
    parser.add_argument(
        "--preset", choices=sorted(PRESETS), default="paper-a", help="settings to start from"
    )
    parser.add_argument(
        "--folds", type=int, default=0, help="cross-validate with so many folds instead"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a run that stopped")
    parser.add_argument(
        "--teacher", default="xception", help="for the preset distill: the installed network"
    )
    for name in SETTINGS:
        kind: Any = type(getattr(preset("paper-a"), name))
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=float if kind is type(None) else kind,
            help=f"instead of the preset's {name.replace('_', ' ')}",
        )


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that train and tune share."""
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder of face crops, or the index that `index` wrote",
    )
    parser.add_argument("--name", help="name of the run; the preset's by default")
    parser.add_argument(
        "--init", help="file with weights to start from, timm (its hub), or none (random)"
    )
    parser.add_argument("--quick", action="store_true", help="minutes on two CPU cores")
    parser.add_argument("--note", default="", help="one sentence that readers must know")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of all runs")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu or gpu")
    parser.add_argument("--devices", default="auto", help="how many GPUs or processes")
    parser.add_argument("--nodes", type=int, default=1, help="machines of a multi-node run")
    parser.add_argument("--strategy", default="auto", help="Lightning's strategy, such as ddp")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 = all")


def settings(options: argparse.Namespace, name: str, **more: Any) -> TrainConfig:
    """Return the configuration of the options: preset, then --quick, then single settings."""
    config = preset(name)
    if more.get("network"):
        config = override(config, network=more["network"])
    if options.quick:
        config = quick(config)
    init = "" if options.init == "none" else options.init
    default = f"{config.preset}-quick" if options.quick else config.preset
    return override(config, name=options.name or default, init=init, **more)


def machine(options: argparse.Namespace) -> Any:
    """Return where to run, from the options."""
    from detector.training.runs import Machine

    devices = options.devices
    return Machine(
        accelerator=options.accelerator,
        devices=int(devices) if devices.isdigit() else devices,
        nodes=options.nodes,
        strategy=options.strategy,
        threads=options.threads,
    )


def run(options: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    from detector.training.source import open_data, open_hulls

    chosen = {name: getattr(options, name) for name in SETTINGS}
    if options.folds and options.quick and chosen["epochs"] is None:
        chosen["epochs"] = 4  # five folds in the time of one run
    config = settings(options, options.preset, **chosen)
    table = open_data(options.data)
    hulls = open_hulls(table) if config.blend_share > 0 else {}
    if options.folds:
        from detector.training.folds import cross_validate
        from detector.training.summaries import FOLD_METRICS

        if not options.name:
            config = override(config, name=f"{config.name}-{options.folds}-folds")
        summary = cross_validate(
            config,
            table,
            hulls,
            options.runs / config.name,
            options.folds,
            machine=machine(options),
            note=options.note,
            progress=lambda fold: print(
                f"fold {fold.fold}: best epoch {fold.best_epoch}, accuracy "
                f"{fold.validation.accuracy or 0:.3f}, {fold.seconds:.0f} s",
                flush=True,
            ),
        )
        for metric in FOLD_METRICS:
            mean, spread = summary.mean(metric), summary.spread(metric)
            if mean is not None and spread is not None:
                print(f"{metric:10s} {mean:.3f} ± {spread:.3f} over {options.folds} folds")
        return 0
    from detector.training.runs import train_run

    done = train_run(
        config,
        table,
        hulls,
        options.runs / config.name,
        module=_module(config, options),
        machine=machine(options),
        resume=options.resume,
        note=options.note,
        progress=lambda row: print(
            f"epoch {row.epoch} of {config.epochs}: focal loss {row.train.focal_loss or 0:.4f}, "
            f"validation {row.validation.focal_loss or 0:.4f}, AUC {row.validation.auc or 0:.3f}, "
            f"{row.seconds:.0f} s",
            flush=True,
        ),
    )
    best = done.history.best
    if best is not None:
        print(
            f"{config.name}: best epoch {best.epoch} of {len(done.history.rows)}, validation "
            f"focal loss {best.validation.focal_loss:.4f}, AUC {best.validation.auc or 0:.3f}; "
            f"{done.folder}"
        )
    return 0


def _module(config: TrainConfig, options: argparse.Namespace) -> Any:
    if config.preset != "distill":
        return None
    from detector.models.spec import read_ensemble
    from detector.training.distill import Distiller

    return Distiller(config, read_ensemble().network(options.teacher))
