"""`python -m detector explain CLIP`: where the score of a face comes from."""

import argparse
import sys
from pathlib import Path

from detector.errors import ExplanationError
from detector.explanation.explain_clip import explain, write
from detector.explanation.heatmaps import OPACITY
from detector.explanation.layers import explained_networks, last_convolution
from detector.explanation.methods.registry import FIRST_METHOD, METHODS, setting_helps
from detector.models.networks.registry import ENSEMBLE, or_list


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the arguments of `explain`."""
    parser.add_argument("clip", type=Path, help="clip or picture")
    parser.add_argument("--time", type=float, default=0.0, help="seconds into the clip (0)")
    parser.add_argument(
        "--method",
        choices=tuple(METHODS),
        default=FIRST_METHOD,
        help=f"attribution ({FIRST_METHOD})",
    )
    parser.add_argument(
        "--network",
        choices=(*explained_networks(), ENSEMBLE),
        help="network to explain (that of --layer, or the ensemble)",
    )
    examples = tuple(last_convolution(name).address for name in explained_networks())
    parser.add_argument("--layer", help=f"for Grad-CAM: for example {or_list(examples)}")
    parser.add_argument("--face", type=int, default=0, help="face, counted from the left (0)")
    for name, about in setting_helps().items():
        parser.add_argument(f"--{name}", type=int, help=about)
    parser.add_argument(
        "--opacity", type=float, default=OPACITY, help=f"of the map, 0 to 1 ({OPACITY})"
    )
    parser.add_argument("--faithfulness", action="store_true", help="also test the map by deletion")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the files (.)")


def run(args: argparse.Namespace) -> int:
    """Explain, write, and say what was written; progress goes to standard error.

    Raises:
        DetectorError: with one sentence, for the command line to print.
    """
    if not 0 <= args.opacity <= 1:
        raise ExplanationError("The opacity goes from 0 to 1.")
    given = {name: vars(args)[name] for name in setting_helps()}
    result = explain(
        args.clip,
        args.time,
        args.method,
        args.network,
        args.layer,
        number=args.face,
        check=args.faithfulness,
        progress=_print_progress if sys.stderr.isatty() else None,
        **{name: value for name, value in given.items() if value is not None},
    )
    paths = write(result, args.out, args.opacity)
    explanation = result.explanation
    looked_at = f" at {', '.join(explanation.layers)}" if explanation.layers else ""
    print(
        f"{result.clip}, {result.time:.2f} s, face {result.number}: "
        f"{METHODS[explanation.method].title}{looked_at}, {explanation.network}, "
        f"logit {explanation.logit:+.2f}"
    )
    if result.faithfulness:
        print(result.faithfulness.sentence)
    for path in paths:
        print(path)
    return 0


def _print_progress(share: float) -> None:
    print(f"\r{share:4.0%}", end="\n" if share >= 1 else "", file=sys.stderr, flush=True)
