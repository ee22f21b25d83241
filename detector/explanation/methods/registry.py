"""The attribution methods on offer, and what each of them asks; without torch.

Grad-CAM (Selvaraju et al. 2017), Guided Grad-CAM (the same, with Springenberg et al. 2015),
Integrated Gradients (Sundararajan et al. 2017), Occlusion (Zeiler and Fergus 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.errors import ExplanationError

GRAD_CAM = "grad-cam"
GUIDED_GRAD_CAM = "guided-grad-cam"
INTEGRATED_GRADIENTS = "integrated-gradients"
OCCLUSION = "occlusion"


@dataclass(frozen=True)
class Method:
    """One attribution method, for people to choose from.

    Attributes:
        name: as the command line and links write it.
        title: as people read it.
        question: what it answers, one sentence.
        layered: whether it looks at one layer, which may be chosen.
        additive: whether its values are parts of the logit, so that sums of them can be held
            against true changes of the logit (`faithfulness`: infidelity).
        slow: whether it takes seconds, and so deserves progress and a way to stop.
    """

    name: str
    title: str
    question: str
    layered: bool
    additive: bool
    slow: bool


METHODS = {
    method.name: method
    for method in (
        Method(
            GRAD_CAM,
            "Grad-CAM",
            "Which regions does this layer's evidence come from, and does it speak for (red) or "
            "against (blue) manipulation?",
            layered=True,
            additive=False,
            slow=False,
        ),
        Method(
            GUIDED_GRAD_CAM,
            "Guided Grad-CAM",
            "Which fine details, inside the regions that Grad-CAM marks as speaking for "
            "manipulation, would change the logit?",
            layered=True,
            additive=False,
            slow=False,
        ),
        Method(
            INTEGRATED_GRADIENTS,
            "Integrated Gradients",
            "How much does each pixel contribute to the difference between this face's logit and "
            "that of the same face blurred?",
            layered=False,
            additive=True,
            slow=True,
        ),
        Method(
            OCCLUSION,
            "Occlusion",
            "How much does the logit fall (red) or rise (blue) when a square of the face is "
            "blurred away?",
            layered=False,
            additive=True,
            slow=True,
        ),
    )
}
"""Every method by its name, fast ones first."""


def method_named(name: str) -> Method:
    """The method called `name`; raises ExplanationError where there is none."""
    if name not in METHODS:
        raise ExplanationError(
            f"There is no method called {name!r}; choose one of: {', '.join(METHODS)}."
        )
    return METHODS[name]
