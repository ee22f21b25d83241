"""What looking inside costs: feature maps, walks and attributions of one face, models loaded.

    python -m benchmarks.explanations [--repeats 5] [--threads 2]

Each line gives the median time, and how many plain forward passes of the same network it is
worth, measured in the same run: ratios hold on other machines, times do not.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from detector.explanation.explainer import Explainer
from detector.explanation.faithfulness import faithfulness
from detector.explanation.heatmaps import png_bytes, tiles
from detector.explanation.methods.grad_cam import GradCam
from detector.explanation.methods.guided_grad_cam import GuidedGradCam
from detector.explanation.methods.integrated_gradients import IntegratedGradients
from detector.explanation.methods.occlusion import Occlusion
from detector.faces.blazeface import BlazeFace
from detector.faces.geometry import crop_face
from detector.files import ASSETS
from detector.media.clip import Image
from detector.media.reader import frame_at
from detector.models.networks.registry import NETWORKS

CLIP = ASSETS / "samples" / "demo_selfblend_hopper.mp4"
SHOWN = 64  # filters on a page of the grid


@dataclass(frozen=True)
class Row:
    """One measured act.

    Attributes:
        name: of the act.
        seconds: median.
        passes: `seconds` / those of a plain forward pass of the same network.
        limit: seconds it may take; None where nothing was promised.
    """

    name: str
    seconds: float
    passes: float
    limit: float | None


def face(explainer: Explainer) -> Image:
    """A face of the demonstration clip, as the networks see it."""
    image = frame_at(CLIP, 1.2).image
    spec = explainer.spec
    return crop_face(image, BlazeFace().detect(image)[0].box, spec.crop_factor, spec.crop_size)


def median_seconds(act: Callable[[], object], repeats: int, warm: bool = True) -> float:
    """Median seconds of `act`, which runs once before where `warm` says so."""
    if warm:
        act()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def measure(repeats: int = 5) -> Iterator[Row]:
    """All rows, in the order of the table, each when it is known; slow methods run less often."""
    explainer = Explainer.load()
    crop = face(explainer)
    forward: dict[str, float] = {}

    def row(
        name: str,
        network: str,
        act: Callable[[], object],
        limit: float | None = None,
        slow: bool = False,
    ) -> Row:
        seconds = median_seconds(act, max(repeats // 3, 1) if slow else repeats, not slow)
        return Row(f"{network:9} {name}", seconds, seconds / forward[network], limit)

    def attribute(method: str, network: str, **settings: int) -> Callable[[], object]:
        return lambda: explainer.attribute(crop, method, network, **settings)

    for network in explainer.names:
        forward[network] = _forward(explainer.network(network), crop, repeats)
        yield Row(f"{network:9} plain forward pass", forward[network], 1.0, None)
    for network, preset in ((n.name, n.preset_addresses) for n in NETWORKS.values()):
        yield row("three layers", network, lambda p=preset: explainer.feature_maps(crop, p), 0.5)
        yield row(
            "another layer, drawn", network, lambda p=preset: _page(explainer, crop, p[1]), 1.0
        )
        yield row("walk to the score", network, lambda n=network: explainer.walk(crop, n))
    for network in explainer.names:
        yield row("Grad-CAM", network, attribute(GradCam.name, network), 0.5)
        yield row("Guided Grad-CAM", network, attribute(GuidedGradCam.name, network))
    for network in explainer.names:
        yield row(
            "Integrated Gradients, 32 steps",
            network,
            attribute(IntegratedGradients.name, network, steps=32),
            12.0,
            slow=True,
        )
        yield row(
            "Occlusion, 11 x 11 windows",
            network,
            attribute(Occlusion.name, network, windows=11),
            slow=True,
        )
    explanation = explainer.attribute(crop, GradCam.name, "xception")
    # Another seed each time, so that the random curves are not taken from what was kept.
    seeds = iter(range(10_000))
    yield row(
        "deletion, 5 random orders",
        "xception",
        lambda: faithfulness(explainer, crop, explanation, seed=next(seeds)),
        slow=True,
    )


def _forward(network: Callable, crop: Image, repeats: int) -> float:
    import torch

    pixels = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        return median_seconds(lambda: network(pixels), repeats)


def _page(explainer: Explainer, crop: Image, address: str) -> bytes:
    """What the feature-map page does for a changed layer: maps, grid of filters, one PNG."""
    (maps,) = explainer.feature_maps(crop, [address])
    return png_bytes(tiles(maps.images(maps.most_active(SHOWN)), columns=8, side=96))


def show(rows: Iterable[Row]) -> None:
    """Print the table, each row as soon as it is known."""
    print(f"{'':48}{'median':>10}{'passes':>9}{'limit':>9}")
    for row in rows:
        limit = f"{row.limit:7.1f} s" if row.limit else ""
        missed = "  over" if row.limit and row.seconds > row.limit else ""
        times = f"{row.seconds * 1000:7.0f} ms{row.passes:9.1f}"
        print(f"{row.name:48}{times}{limit:>9}{missed}", flush=True)


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of PyTorch; by default its own choice")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads\n")
    show(measure(arguments.repeats))


if __name__ == "__main__":
    main()
