"""A million clips on 1 to 1,000 nodes, simulated with the stage times that were measured here.

    python -m benchmarks.cluster_simulation [--clips 1000000] [--storage 5] …

The stage times come from `results/cluster.json`. Groups of clips pass a head node, which hands out
tasks one after another, a storage that all nodes share, and the nodes' cores or GPUs; whatever is
busy, they wait for. The assumptions are options, and are written into the result.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, Record, Row, finish

NODES = (1, 3, 10, 30, 100, 300, 1000)
GPU_NODES = (1, 3, 10, 30, 100)
TASKS_A_GROUP = 3  # looking, scoring, and its share of writing, rounded up


@dataclass(frozen=True)
class Costs:
    """What a clip costs, and what the cluster has.

    Attributes:
        look, score, write: core-seconds of a clip.
        task: seconds of the head node for one task.
        megabytes: of a clip's file.
        storage: GB a second that the shared storage gives to all nodes together.
        cores: of a node.
        gpus: of a node; 0 where processors score.
        gpu_score: GPU-seconds of a clip.
        start: seconds until a node's workers have loaded the networks.
        group: clips of a task.
    """

    look: float
    score: float
    write: float
    task: float
    megabytes: float = 15.0
    storage: float = 5.0
    cores: int = 8
    gpus: int = 0
    gpu_score: float = 0.0
    start: float = 20.0
    group: int = 16


@dataclass(frozen=True)
class Simulated:
    """What came out.

    Attributes:
        seconds: from the start to the last row.
        busy: share of the time that each part was busy, [0, 1], by its name.
    """

    seconds: float
    busy: dict[str, float]

    @property
    def bottleneck(self) -> str:
        """The part that was busiest."""
        return max(self.busy, key=lambda name: self.busy[name])


def simulate(clips: int, nodes: int, costs: Costs) -> Simulated:
    """Scan `clips` clips on `nodes` nodes."""
    import simpy

    env = simpy.Environment()
    capacity = {"head": 1, "storage": 1, "processors": nodes * costs.cores}
    if costs.gpus:
        capacity["GPUs"] = nodes * costs.gpus
    parts = {name: simpy.Resource(env, count) for name, count in capacity.items()}
    used = dict.fromkeys(parts, 0.0)

    def take(name: str, seconds: float) -> Iterator[Any]:
        with parts[name].request() as turn:
            yield turn
            yield env.timeout(seconds)
        used[name] += seconds

    def worker(groups: Iterator[int]) -> Iterator[Any]:
        # A worker for each core: looks at a group, has it scored, and takes the next one.
        for size in groups:
            yield from take("head", TASKS_A_GROUP * costs.task)
            yield from take("storage", size * costs.megabytes / 1000 / costs.storage)
            if costs.gpus:
                yield from take("processors", size * (costs.look + costs.write))
                yield from take("GPUs", size * costs.gpu_score)
            else:
                yield from take("processors", size * (costs.look + costs.score + costs.write))

    def begin() -> Iterator[Any]:
        yield env.timeout(costs.start)
        # More workers than cores, so that cores work while others wait for storage or GPUs.
        count = min(4 * nodes * costs.cores, -(-clips // costs.group))
        yield env.all_of([env.process(worker(groups)) for _ in range(count)])

    groups = iter(
        [costs.group] * (clips // costs.group) + [clips % costs.group] * (clips % costs.group > 0)
    )
    env.run(env.process(begin()))
    seconds = float(env.now)
    return Simulated(seconds, {name: used[name] / capacity[name] / seconds for name in parts})


def measured(path: Path = RESULTS / "cluster.json") -> Costs:
    """The stage times that `benchmarks.cluster` wrote."""
    rows = {row["name"]: row["values"] for row in json.loads(path.read_text())["rows"]}
    return Costs(
        look=rows["look: decode, find faces"]["core-s a clip"],
        score=rows["score: both networks"]["core-s a clip"],
        write=rows["write: conclude, Parquet"]["core-s a clip"],
        task=rows["a task of Ray Data that does nothing"]["ms a task"] / 1000,
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=1_000_000)
    parser.add_argument("--storage", type=float, default=5.0, help="GB/s for all (default: 5)")
    parser.add_argument("--megabytes", type=float, default=15.0, help="of a clip (default: 15)")
    parser.add_argument("--cores", type=int, default=8, help="of a node (default: 8)")
    parser.add_argument(
        "--faces-a-gpu-second", type=float, default=1117.0,
        help="not measured here; default 1117: the rate at which both networks trained on one "
        "H100, which scoring exceeds",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the JSON here")
    options = parser.parse_args()
    costs = replace(
        measured(), megabytes=options.megabytes, storage=options.storage, cores=options.cores
    )
    with_gpu = replace(costs, cores=16, gpus=1, gpu_score=32 / options.faces_a_gpu_second)
    rows = []
    for words, each, counts in (
        (f"of {costs.cores} cores", costs, NODES), ("of 16 cores and a GPU", with_gpu, GPU_NODES)
    ):  # fmt: skip
        for nodes in counts:
            found = simulate(options.clips, nodes, each)
            name = f"{nodes} {'node' if nodes == 1 else 'nodes'} {words}: {found.bottleneck}"
            values = {"hours": found.seconds / 3600, "clips a s": options.clips / found.seconds}
            rows.append(
                Row(name, values | {f"{part} %": 100 * share for part, share in found.busy.items()})
            )
    notes = [f"{name}: {value:g}" for name, value in asdict(costs).items() if name not in ("gpus",)]
    notes.append(f"Faces a GPU-second: {options.faces_a_gpu_second:g}, assumed, not measured here.")
    title = f"{options.clips:,} clips, simulated; after the colon, what is busiest"
    finish(Record("cluster_simulation", title, rows, notes), options.out)


if __name__ == "__main__":
    main()
