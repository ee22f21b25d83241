"""benchmarks.cluster_simulation: what can be worked out by hand comes out."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from benchmarks.cluster_simulation import TASKS_A_GROUP, Costs, measured, simulate

COSTS = Costs(look=0.6, score=1.8, write=0.01, task=0.002)
CLIPS = 6400


def test_one_node_takes_its_core_seconds() -> None:
    found = simulate(CLIPS, 1, COSTS)
    by_hand = COSTS.start + CLIPS * (0.6 + 1.8 + 0.01) / COSTS.cores
    assert found.seconds == pytest.approx(by_hand, rel=0.02)
    assert found.bottleneck == "processors"
    assert found.busy["processors"] > 0.95


def test_more_nodes_are_never_slower_until_something_else_is_busy() -> None:
    found = [simulate(CLIPS, nodes, COSTS) for nodes in (1, 2, 5, 20, 100)]
    seconds = [one.seconds for one in found]
    assert all(later <= earlier * 1.001 for earlier, later in itertools.pairwise(seconds))
    assert found[1].seconds == pytest.approx(seconds[0] / 2, rel=0.05)


@pytest.mark.parametrize(
    ("costs", "part", "rate"),
    [
        (replace(COSTS, storage=0.5), "storage", 0.5e3 / COSTS.megabytes),
        (replace(COSTS, task=0.5), "head", COSTS.group / TASKS_A_GROUP / 0.5),
        (replace(COSTS, gpus=1, gpu_score=2.0, cores=64), "GPUs", 1 / 2.0 * 50),
    ],
    ids=["storage", "head", "GPUs"],
)
def test_the_bottleneck_sets_the_rate(costs: Costs, part: str, rate: float) -> None:
    clips = 5 * CLIPS  # so many that the last group does not count
    found = simulate(clips, 50, replace(costs, start=0))
    assert found.bottleneck == part
    assert clips / found.seconds == pytest.approx(rate, rel=0.1)


def test_every_clip_is_counted() -> None:
    found = simulate(37, 1, replace(COSTS, cores=1, start=0, task=0, storage=1e9))
    assert found.seconds == pytest.approx(37 * (0.6 + 1.8 + 0.01))


def test_stage_times_come_from_the_results() -> None:
    costs = measured()
    assert 0 < costs.look < 60
    assert 0 < costs.score < 600
    assert 0 < costs.task < 1
