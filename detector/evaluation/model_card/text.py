"""What a model card says that no command can measure: purpose, misuse, limits, licences.

Numbers never stand here; they come from the files that the commands write.
"""

from __future__ import annotations

INTENDED: tuple[str, ...] = (
    "To help journalists, fact checkers and researchers decide which clip deserves a closer look, "
    "and where in it to look.",
    "To teach how networks that look for face manipulation work, and how they go wrong.",
    "On clips of people's faces whose rights and context the user knows, with a person who "
    "decides.",
)

MISUSE: tuple[str, ...] = (
    "As the only ground for publishing, deleting, punishing or accusing: a score is evidence of "
    "manipulation, not proof of it, and a low score does not prove that a clip is authentic.",
    "To identify people, or to judge anything about a person, such as honesty, age or origin.",
    "To filter clips automatically, without a person who looks at what is refused.",
    "To train or tune manipulations until they are no longer found.",
)

NOT_COVERED: tuple[str, ...] = (
    "The voice, the words, captions, the rest of the picture, and whether the scene took place.",
    "Faces that are generated as a whole, puppeteered or lip-synced: the networks learned from "
    "face swaps and blended faces only.",
    "Methods of manipulation that are newer than the training data. Accuracy decays with time; "
    "`python -m detector drift` shows whether recent clips still look like those it was measured "
    "on.",
    "Faces that are small, dark, strongly compressed or without fine detail. These are not judged; "
    "the states and the section “When it does not judge” say when.",
)

LICENCES: tuple[str, ...] = (
    "The weights were trained on face crops of the Deepfake Detection Challenge (DFDC) and on "
    "stills of six research sets that were blended into themselves. DFDC and several of those sets "
    "allow research use only: the weights are for research and journalism.",
    "No picture of a training set is part of Veriframe.",
    "The face detector BlazeFace is Google's, published with MediaPipe under Apache-2.0.",
    "The shipped samples and portraits have licences of their own: see "
    "`assets/samples/LICENCES.md`.",
)

NO_GROUPS = (
    "Error rates by skin tone, age group or sex are not known: none of the labelled data says so, "
    "and the detector never guesses it. Expect differences, since no data set is balanced."
)
