"""Where the networks looked, in the frames that a report shows."""

from __future__ import annotations

from detector.errors import DetectorError
from detector.explanation.methods.grad_cam import GradCam
from detector.media.clip import Image
from detector.models.networks.registry import ENSEMBLE
from detector.models.spec import read_ensemble
from detector.pictures.protocols import DisplayPictures
from detector.report.strongest_faces import STRONGEST, strongest_faces
from detector.result import Analysis


def heat_maps(analysis: Analysis, pictures: DisplayPictures) -> dict[tuple[int, int], Image]:
    """Return Grad-CAM of the ensemble over the strongest faces, for `export.to_pdf`.

    Args:
        analysis: what is reported.
        pictures: of it. Only the very pixels that were scored are explained.

    Returns:
        For (frame index, track), RGB uint8 [s, s, 3]: red raises the score, blue lowers it.
        Nothing where the pixels are gone, or other weights than now installed gave the scores:
        a report is complete without maps, and must not show those of another model.
    """
    try:
        installed = {network.name: network.sha256 for network in read_ensemble().networks}
        if not pictures.exact or installed != {m.name: m.sha256 for m in analysis.models}:
            return {}
        from detector.explanation.explainer import Explainer  # torch: only for maps

        explainer = Explainer.load()
        maps = {}
        for frame, face in strongest_faces(analysis, STRONGEST):
            crop = pictures.face(frame.index, face.track)
            if crop is not None:
                found = explainer.attribute(crop, GradCam.name, ENSEMBLE)
                maps[frame.index, face.track] = found.overlay(crop)
    except DetectorError:
        return {}
    return maps
