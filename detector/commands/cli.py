"""The command line: `python -m detector COMMAND`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from detector.errors import DetectorError
from detector.version import __version__

# Command -> (module, what it does). A module offers add_arguments(parser) and run(arguments),
# and is imported only when its command is called, so that --help answers at once.
COMMANDS: dict[str, tuple[str, str]] = {
    "scan": ("detector.commands.scan", "score the faces of a clip, or of a folder's clips"),
    "watch": ("detector.commands.watch", "scan and keep the clips that arrive in a folder"),
    "explain": ("detector.commands.explain", "show where the score of a face comes from"),
    "verify": ("detector.commands.verify", "scan a clip again and compare it with a report"),
    "index": ("detector.commands.index", "list a data set for training, and cut its faces out"),
    "train": ("detector.commands.train", "train a network, or cross-validate with --folds"),
    "tune": ("detector.commands.tune", "search for the best training settings"),
    "publish": ("detector.commands.publish", "install a run's weights, or publish its curves"),
    "evaluate": ("detector.commands.evaluate", "measure error rates on labelled clips or crops"),
    "calibrate": (
        "detector.commands.calibrate",
        "fit temperatures, weights and bands on labelled data",
    ),
    "quantize": ("detector.commands.quantize", "build the int8 models of the installed weights"),
    "failures": ("detector.commands.failures", "list where it is wrong on the shipped samples"),
    "drift": ("detector.commands.drift", "compare recent analyses with the model card"),
    "models": ("detector.commands.models", "list the installed models to choose from"),
    "token": ("detector.commands.token", "make, list or revoke tokens of the service's API"),
    "doctor": ("detector.commands.doctor", "check that everything the detector needs is here"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 2 after one sentence on stderr."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m detector",
        description="Veriframe: evidence of face manipulation in video, frame by frame.",
    )
    parser.add_argument("--version", action="version", version=f"veriframe {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose.capitalize() + ".")
        if name == chosen:
            loaded = importlib.import_module(module)
            loaded.add_arguments(command)
            command.set_defaults(run=loaded.run)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except DetectorError as error:
        print(f"veriframe: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("veriframe: stopped; nothing was kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
