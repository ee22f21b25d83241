"""Labelled clips that several tests of measurements share."""

from __future__ import annotations

import pytest

from detector.datasets.labelled import Labelled
from tests.helpers.labelled_faces import made_labelled


@pytest.fixture(scope="package")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Labelled:
    """A small labelled set of clips, drawn."""
    return made_labelled(tmp_path_factory.mktemp("labelled"))
