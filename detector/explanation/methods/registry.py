"""The attribution methods on offer: a new one is a new file and a line here."""

from __future__ import annotations

from collections.abc import Iterable

from detector.errors import ExplanationError
from detector.explanation.methods.base import Method
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

FIRST_METHOD = next(iter(METHODS))
"""What is taken where nobody has chosen."""


def method_named(name: str) -> Method:
    """Return the method called `name`; raises ExplanationError where there is none."""
    if name not in METHODS:
        raise ExplanationError(
            f"There is no method called {name!r}; choose one of: {', '.join(METHODS)}."
        )
    return METHODS[name]


def setting_helps() -> dict[str, str]:
    """Return what each setting of any method is, with its default, by its name."""
    helps: dict[str, str] = {}
    for method in METHODS.values():
        for setting in method.settings:
            own = f"{setting.help} ({setting.default})"
            helps[setting.name] = f"{helps[setting.name]}; {own}" if setting.name in helps else own
    return helps


def check_settings(names: Iterable[str]) -> None:
    """Raise TypeError where no method has a setting of one of these names."""
    known = setting_helps()
    for name in names:
        if name not in known:
            raise TypeError(
                f"no method has a setting {name!r}; there are: {', '.join(sorted(known))}"
            )
