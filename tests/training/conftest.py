"""A tiny labelled set of drawn crops, and a network small enough to train in a test."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from detector.datasets.table import Table
from detector.training.presets import TrainConfig
from tests.helpers.tiny_network import TinyNetwork

# Many tiny operations: on a busy machine a second thread costs more than it brings.
torch.set_num_threads(1)


@pytest.fixture
def tiny_network() -> TinyNetwork:
    return TinyNetwork()


@pytest.fixture
def tiny_config() -> TrainConfig:
    return TrainConfig(
        "tiny",
        "paper-a",
        epochs=3,
        frames=2,
        batch=4,
        learning_rate=3e-3,
        input_size=32,
        init="",
        workers=0,
    )


@pytest.fixture
def only_class() -> object:
    """Keeps one class of a table."""

    def keep(table: Table, label: int) -> Table:
        return replace(table, rows=table.rows[table.rows["label"] == label].reset_index(drop=True))

    return keep
