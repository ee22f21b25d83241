from __future__ import annotations

import torch

from detector.training import stateless_random


def test_numbers_depend_on_seed_and_stream_only() -> None:
    seeds = torch.arange(50)
    together = stateless_random.uniform(seeds, 7, "a")
    alone = torch.cat([stateless_random.uniform(seed[None], 7, "a") for seed in seeds])
    assert torch.equal(together, alone)
    assert not torch.equal(together, stateless_random.uniform(seeds, 7, "b"))


def test_numbers_are_uniform_and_uncorrelated() -> None:
    numbers = stateless_random.uniform(torch.arange(500), 200, "test")
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = torch.histc(numbers, 20, 0, 1) / numbers.numel()
    assert (counts - 0.05).abs().max() < 0.004
    for other in (numbers.roll(1, 0), numbers.roll(1, 1)):
        pair = torch.stack([numbers.flatten(), other.flatten()])
        assert torch.corrcoef(pair)[0, 1].abs() < 0.02


def test_normal_numbers_have_mean_zero_and_variance_one() -> None:
    numbers = stateless_random.normal(torch.arange(100), (1, 16, 16), "grain")
    assert numbers.shape == (100, 1, 16, 16)
    assert abs(float(numbers.mean())) < 0.03
    assert abs(float(numbers.var()) - 1) < 0.05


def test_seeds_of_neighbours_differ() -> None:
    seeds = {stateless_random.seed_of(1, epoch, clip) for epoch in range(40) for clip in range(40)}
    assert len(seeds) == 1600
