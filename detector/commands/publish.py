"""`python -m detector publish RUN`: weights and history into `assets`."""

from __future__ import annotations

import argparse
from pathlib import Path

from detector.errors import TrainingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a publication."""
    parser.add_argument(
        "folder", type=Path, metavar="RUN", help="folder of a run, of folds or a study"
    )
    parser.add_argument("--data", type=Path, help="the data that the run was trained on")
    parser.add_argument("--version", help="of the weights, such as v1")
    parser.add_argument("--trained-on", default="", help="the data in words, for the model card")
    parser.add_argument(
        "--history-only", action="store_true", help="publish the curves, leave the weights"
    )
    parser.add_argument("--history-name", help="instead of the run's own name")
    parser.add_argument(
        "--force", action="store_true", help="install also weights that are not better"
    )


def run(options: argparse.Namespace) -> int:
    """Publish; returns the exit code."""
    from detector.training import publish
    from detector.training.source import open_data

    summaries = [*options.folder.glob("*.folds.json"), *options.folder.glob("*.tuning.json")]
    if summaries:
        for summary in summaries:
            print(publish.publish_summary(summary))
        return 0
    if options.history_only:
        print(publish.publish_history(options.folder, options.history_name))
        return 0
    if options.data is None or not options.version:
        raise TrainingError(
            "Publishing weights needs --data and --version; or publish the curves alone with "
            "--history-only."
        )
    result = publish.publish_weights(
        options.folder,
        open_data(options.data),
        options.version,
        trained_on=options.trained_on,
        force=options.force,
    )
    before = f"{result.installed.auc:.3f}" if result.installed and result.installed.auc else "none"
    print(f"AUC on {result.clips} test clips {result.run.auc or 0:.3f}, before {before}.")
    return 0
