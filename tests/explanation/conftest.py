"""The networks, ready to be looked into, once for all tests of explanations."""

from __future__ import annotations

import pytest

from detector.explanation.explainer import Explainer


@pytest.fixture(scope="session")
def explainer() -> Explainer:
    """The explainer of this process."""
    return Explainer.load()
