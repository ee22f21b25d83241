"""The attribution methods on offer: a new one is a new file and a line here; without torch."""

from __future__ import annotations

from detector.errors import ExplanationError
from detector.explanation.methods.base import Method, Setting
from detector.explanation.methods.grad_cam import GradCam
from detector.explanation.methods.guided_grad_cam import GuidedGradCam
from detector.explanation.methods.integrated_gradients import IntegratedGradients
from detector.explanation.methods.occlusion import Occlusion

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        GradCam(),
        GuidedGradCam(),
        IntegratedGradients(),
        Occlusion(),
    )
}
"""Every method by its name, fast ones first."""

GRAD_CAM = GradCam.name
"""The method that is taken where nobody has chosen."""


def method_named(name: str) -> Method:
    """Return the method called `name`; raises ExplanationError where there is none."""
    if name not in METHODS:
        raise ExplanationError(
            f"There is no method called {name!r}; choose one of: {', '.join(METHODS)}."
        )
    return METHODS[name]


def all_settings() -> tuple[Setting, ...]:
    """Return what may be chosen, over all methods."""
    return tuple(method.setting for method in METHODS.values() if method.setting is not None)
