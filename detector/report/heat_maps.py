"""Where the networks looked, in the frames that a report shows."""

from __future__ import annotations

from detector.clip import Image
from detector.errors import DetectorError
from detector.methods import ENSEMBLE, GRAD_CAM
from detector.result import Analysis
from detector.thumbnails import Shown
from detector.weights import read_ensemble


def heat_maps(analysis: Analysis, pictures: Shown) -> dict[tuple[int, int], Image]:
    """Grad-CAM of the ensemble over the strongest faces, for `detector.report.to_pdf`.

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
        from detector.explainer import Explainer  # torch, and
        from detector.report_pdf import STRONGEST, strongest  # reportlab: only for a report

        explainer = Explainer.load()
        maps = {}
        for frame, face in strongest(analysis, STRONGEST):
            crop = pictures.face(frame.index, face.track)
            if crop is not None:
                found = explainer.attribute(crop, GRAD_CAM, ENSEMBLE)
                maps[frame.index, face.track] = found.overlay(crop)
    except DetectorError:
        return {}
    return maps
