"""From the scores of faces to tracks, bands and the finding for the clip.

A track's logit is that of its usable frames, aggregated (by the median, where no calibration has
found better), the clip's is that of its highest track: one manipulated face makes a manipulated
clip.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence

import numpy as np

from detector.analysis.aggregation import WORDS, aggregate
from detector.faces.face import MIN_SCORE
from detector.faces.quality import why_unusable
from detector.media.clip import Clip
from detector.models.ensemble import Weighted, calibrated, probability
from detector.models.networks.registry import network_title
from detector.models.spec import Aggregation, EnsembleSpec
from detector.result import (
    SCHEMA_VERSION,
    AbstainReason,
    Analysis,
    Band,
    BandThresholds,
    Finding,
    Model,
    Sampling,
    ScoredFace,
    ScoredFrame,
    Timings,
    Track,
)
from detector.settings import Settings
from detector.version import __version__
from detector.wording import NOT_CALIBRATED, STATE_MEANING, clock

# A band above inconclusive needs this share of the usable frames at or above its limit.
STEADY = 0.75
MIN_FRAMES = 4  # usable frames that a track of a video needs
# Bits for a pixel of a frame below which H.264 has smeared the traces; newer codecs need half.
MIN_BITS_PER_PIXEL = {"hevc": 0.01, "vp9": 0.01, "av1": 0.01}
MIN_BITS_PER_PIXEL_OTHERS = 0.02


def steady_band(logit: float, frames: Sequence[float], bands: BandThresholds) -> Band:
    """Return the band of a track, one that the spread of its frames supports.

    Args:
        logit: of the track.
        frames: ensemble logits of its usable frames.
        bands: where they begin.

    Returns:
        the band of `logit`, lowered to that of the frames' lower quartile (`STEADY`), but never
        below inconclusive on that account.
    """
    band = bands.band_of(logit)
    if band not in ("some", "strong"):
        return band
    lower = bands.band_of(float(np.quantile(frames, 1 - STEADY)))
    if lower in ("some", "strong"):
        return lower if lower == "some" else band
    return "inconclusive"


def heavily_recompressed(clip: Clip) -> bool:
    """Return True where compression left too few bits for a pixel to trust any trace."""
    if clip.still:
        return False
    least = MIN_BITS_PER_PIXEL.get(clip.codec, MIN_BITS_PER_PIXEL_OTHERS)
    return clip.bits_per_pixel < least


def build_tracks(
    frames: Sequence[ScoredFrame],
    clip: Clip,
    bands: BandThresholds,
    networks: Sequence[Weighted],
    aggregation: Aggregation = "median",
) -> tuple[Track, ...]:
    """Return one Track for each id that the faces carry, in order of id."""
    times: dict[int, list[float]] = {}
    faces: dict[int, list[ScoredFace]] = {}
    for frame in frames:
        for face in frame.faces:
            times.setdefault(face.track, []).append(frame.time)
            faces.setdefault(face.track, []).append(face)
    tracks = []
    for number in sorted(faces):
        usable = [face for face in faces[number] if face.quality.usable]
        least = 1 if clip.still else MIN_FRAMES
        states: list[AbstainReason] = []
        if len(usable) < least:
            states.append(why_unusable([face.quality for face in faces[number]]))
        if heavily_recompressed(clip) and "heavily_recompressed" not in states:
            states.append("heavily_recompressed")
        logit = aggregate([face.logit for face in usable], aggregation) if usable else None
        agreement = None
        if usable:
            sides = [
                {logit > 0 for logit in calibrated(networks, face.logits).values()}
                for face in usable
            ]
            agreement = sum(len(side) == 1 for side in sides) / len(usable)
        tracks.append(
            Track(
                id=number,
                first=times[number][0],
                last=times[number][-1],
                frames=len(faces[number]),
                usable_frames=len(usable),
                logit=logit,
                score=None if logit is None else probability(logit),
                band=None
                if states or logit is None
                else steady_band(logit, [face.logit for face in usable], bands),
                states=tuple(states),
                agreement=agreement,
            )
        )
    return tuple(tracks)


def conclude(
    clip: Clip,
    tracks: Sequence[Track],
    bands: BandThresholds,
    networks: Sequence[Weighted],
    aggregation: Aggregation = "median",
) -> Finding:
    """Return what the clip comes to, with its reasons in sentences.

    Args:
        clip, tracks: what was analysed and found.
        bands: where they begin.
        networks: those that scored, with their shares.
        aggregation: how the frames of a track became its logit.
    """
    reasons: list[str] = []
    judged = [track for track in tracks if track.band is not None and track.logit is not None]
    if not tracks:
        states: tuple[AbstainReason, ...] = ("no_face",)
        reasons.append(STATE_MEANING["no_face"])
        return Finding(None, None, None, None, states, tuple(reasons))
    if not judged:
        counted = Counter(state for track in tracks for state in track.states)
        states = tuple(state for state, _ in counted.most_common())
        reasons.extend(STATE_MEANING[state] for state in states)
        return Finding(None, None, None, None, states, tuple(reasons))
    highest = max(judged, key=lambda track: track.logit or 0.0)
    logit = highest.logit or 0.0
    if len(tracks) > 1:
        reasons.append(
            f"{len(tracks)} faces were followed; face {highest.id} has the highest score and "
            "decides for the clip."
        )
    where = "" if clip.still else f" between {clock(highest.first)} and {clock(highest.last)}"
    reasons.append(
        f"Its {WORDS[aggregation]} logit over {_frames(highest.usable_frames)}{where} is "
        f"{logit:+.2f}. Limits: inconclusive from {bands.inconclusive:+.2f}, some evidence from "
        f"{bands.some:+.2f}, strong evidence from {bands.strong:+.2f}."
    )
    if highest.band != bands.band_of(logit):
        reasons.append(
            "Its frames differ so much that fewer than three quarters of them reach the band of "
            "its logit, so the band below is given."
        )
    if clip.still:
        reasons.append("A single picture is weaker evidence than a clip.")
    if highest.agreement is not None and highest.agreement < 0.7:
        parts = " and ".join(
            f"{network_title(network.name)} (share of the score: {network.weight:.0%})"
            for network in networks
        )
        reasons.append(
            f"{parts} disagree in {1 - highest.agreement:.0%} of its frames; look at both on the "
            "timeline."
        )
    unjudged = [track for track in tracks if track.band is None]
    if unjudged:
        which = ", ".join(str(track.id) for track in unjudged[:8])
        which += " and others" if len(unjudged) > 8 else ""
        reasons.append(f"Not judged: face {which} (too few usable frames, too small, or too dark).")
    if clip.codec == "gif":
        reasons.append("GIF keeps 256 colours, which hides traces: manipulation may score low.")
    if clip.damaged:
        reasons.append(
            f"The file is damaged or cut off: {clip.damaged} of its packets could not be read."
        )
    if not bands.calibrated:
        reasons.append(NOT_CALIBRATED)
    return Finding(highest.band, logit, probability(logit), highest.id, (), tuple(reasons))


def _frames(count: int) -> str:
    return "1 usable frame" if count == 1 else f"{count} usable frames"


def assemble(
    clip: Clip,
    frames: Sequence[ScoredFrame],
    settings: Settings,
    ensemble: EnsembleSpec,
    models: tuple[Model, ...],
    timings: Timings,
) -> Analysis:
    """Return the analysis of a clip from its scored frames: tracks, bands and the finding.

    Args:
        clip, frames, timings: what was looked at and found, frames in order.
        settings: how it was looked at.
        ensemble: the networks that scored.
        models: the same networks as a result names them, see `detector.analysis.engine.describe`.
    """
    tracks = build_tracks(frames, clip, ensemble.bands, ensemble.networks, ensemble.aggregation)
    return Analysis(
        schema_version=SCHEMA_VERSION,
        software=__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        clip=clip,
        sampling=Sampling(
            requested=settings.frames,
            analysed=len(frames),
            face_detector=settings.face_detector,
            min_face_score=MIN_SCORE,
            crop_factor=ensemble.crop_factor,
            crop_size=ensemble.crop_size,
        ),
        models=models,
        bands=ensemble.bands,
        tracks=tracks,
        frames=tuple(frames),
        finding=conclude(clip, tracks, ensemble.bands, ensemble.networks, ensemble.aggregation),
        timings=timings,
    )
