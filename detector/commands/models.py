"""`python -m detector models`: which ensembles are installed, and what they are."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the one option of `models`."""
    parser.add_argument(
        "--check", action="store_true", help="also check that every file has the hash it should"
    )


def run(options: argparse.Namespace) -> int:
    """Print a line for each network; returns 1 where some models cannot be used."""
    from rich.console import Console
    from rich.table import Table

    from detector.errors import ModelError
    from detector.models.installed import list_models
    from detector.models.integrity import check_hash

    table = Table("Models", "Version", "Network", "Weights", "SHA-256", "Calibrated", "int8")
    refused: list[str] = []
    for one in list_models():
        try:
            ensemble = one.read()
            if options.check:
                for network in ensemble.networks:
                    check_hash(network)
        except ModelError as error:
            refused.append(f"{one.title}: {error}")
            continue
        for place, network in enumerate(ensemble.networks):
            first = place == 0
            table.add_row(
                one.title if first else "",
                ensemble.version if first else "",
                network.name,
                network.version,
                f"{network.sha256[:12]}…",
                ("yes" if ensemble.bands.calibrated else "no") if first else "",
                "yes" if network.int8 else "no",
            )
    Console(emoji=False).print(table)
    for sentence in refused:
        print(f"Cannot be used: {sentence}")
    return 1 if refused else 0
