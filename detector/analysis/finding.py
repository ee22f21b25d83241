"""From the scores of faces to tracks, bands and the finding for the clip.

A track's logit is that of its usable frames, aggregated (by the median, where no calibration has
found better), the clip's is that of its highest track: one manipulated face makes a manipulated
clip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from detector.aggregation import WORDS, Aggregation, aggregate
from detector.clip import Clip
from detector.detail import fine_detail
from detector.faces import Face, Image
from detector.result import (
    Band,
    BandLimits,
    Finding,
    Quality,
    ScoredFace,
    ScoredFrame,
    State,
    Track,
)
from detector.scoring import probability
from detector.wording import NETWORKS, NOT_CALIBRATED, STATE_MEANING, clock

MIN_SIZE = 48.0  # pixels: smaller faces hold less detail than the networks were trained on
BRIGHTNESS = (30.0, 235.0)
# Log10 share of fine detail: of the validation crops as they are, 99 in 100 hold more.
MIN_DETAIL = -2.9
# A band above inconclusive needs this share of the usable frames at or above its limit.
STEADY = 0.75
MIN_FRAMES = 4  # usable frames that a track of a video needs
# Bits for a pixel of a frame below which H.264 has smeared the traces; newer codecs need half.
MIN_BITS_PER_PIXEL = {"hevc": 0.01, "vp9": 0.01, "av1": 0.01}
MIN_BITS_PER_PIXEL_OTHERS = 0.02


def measure(face: Face, crop: Image) -> Quality:
    """What may make a face hard to judge, from its box and its crop uint8 [s, s, 3]."""
    grey = cv2.cvtColor(cv2.resize(crop, (128, 128), interpolation=cv2.INTER_AREA),
                        cv2.COLOR_RGB2GRAY)  # fmt: skip
    inner = grey[16:112, 16:112]  # the face itself, without most of its surroundings
    brightness = float(inner.mean())
    return Quality(
        size=face.size,
        sharpness=float(cv2.Laplacian(inner, cv2.CV_64F).var()),
        brightness=brightness,
        usable=face.size >= MIN_SIZE
        and BRIGHTNESS[0] <= brightness <= BRIGHTNESS[1]
        and fine_detail(crop) >= MIN_DETAIL,
    )


def band_of(logit: float, limits: BandLimits) -> Band:
    """The band that an ensemble logit falls into; a limit belongs to the band above it."""
    if logit >= limits.strong:
        return "strong"
    if logit >= limits.some:
        return "some"
    return "inconclusive" if logit >= limits.inconclusive else "little"


def steady_band(logit: float, frames: Sequence[float], limits: BandLimits) -> Band:
    """The band of a track, one that the spread of its frames supports.

    Args:
        logit: of the track.
        frames: ensemble logits of its usable frames.
        limits: of the bands.

    Returns:
        the band of `logit`, lowered to that of the frames' lower quartile (`STEADY`), but never
        below inconclusive on that account.
    """
    band = band_of(logit, limits)
    if band not in ("some", "strong"):
        return band
    lower = band_of(float(np.quantile(frames, 1 - STEADY)), limits)
    if lower in ("some", "strong"):
        return lower if lower == "some" else band
    return "inconclusive"


def heavily_recompressed(clip: Clip) -> bool:
    """True where compression left too few bits for a pixel to trust any trace."""
    if clip.still:
        return False
    least = MIN_BITS_PER_PIXEL.get(clip.codec, MIN_BITS_PER_PIXEL_OTHERS)
    return clip.bits_per_pixel < least


def build_tracks(
    frames: Sequence[ScoredFrame],
    clip: Clip,
    limits: BandLimits,
    temperatures: Mapping[str, float],
    aggregation: Aggregation = "median",
) -> tuple[Track, ...]:
    """One Track for each id that the faces carry, in order of id."""
    times: dict[int, list[float]] = {}
    faces: dict[int, list[ScoredFace]] = {}
    for frame in frames:
        for face in frame.faces:
            times.setdefault(face.track, []).append(frame.time)
            faces.setdefault(face.track, []).append(face)
    tracks = []
    for id in sorted(faces):
        usable = [face for face in faces[id] if face.quality.usable]
        least = 1 if clip.still else MIN_FRAMES
        states: list[State] = []
        if len(usable) < least:
            states.append(why_unusable([face.quality for face in faces[id]]))
        if heavily_recompressed(clip) and "heavily_recompressed" not in states:
            states.append("heavily_recompressed")
        logit = aggregate([face.logit for face in usable], aggregation) if usable else None
        agreement = None
        if usable:
            sides = [
                {face.logits[name] / temperatures[name] > 0 for name in face.logits}
                for face in usable
            ]
            agreement = sum(len(side) == 1 for side in sides) / len(usable)
        tracks.append(
            Track(
                id=id,
                first=times[id][0],
                last=times[id][-1],
                frames=len(faces[id]),
                usable_frames=len(usable),
                logit=logit,
                score=None if logit is None else probability(logit),
                band=None
                if states or logit is None
                else steady_band(logit, [face.logit for face in usable], limits),
                states=tuple(states),
                agreement=agreement,
            )
        )
    return tuple(tracks)


def conclude(
    clip: Clip,
    tracks: Sequence[Track],
    limits: BandLimits,
    weights: Mapping[str, float],
    aggregation: Aggregation = "median",
) -> Finding:
    """What the clip comes to, with its reasons in sentences.

    Args:
        clip, tracks: what was analysed and found.
        limits: of the bands.
        weights: each network's share in the ensemble, [0, 1].
        aggregation: how the frames of a track became its logit.
    """
    reasons: list[str] = []
    judged = [track for track in tracks if track.band is not None and track.logit is not None]
    if not tracks:
        states: tuple[State, ...] = ("no_face",)
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
        f"{logit:+.2f}. Limits: inconclusive from {limits.inconclusive:+.2f}, some evidence from "
        f"{limits.some:+.2f}, strong evidence from {limits.strong:+.2f}."
    )
    if highest.band != band_of(logit, limits):
        reasons.append(
            "Its frames differ so much that fewer than three quarters of them reach the band of "
            "its logit, so the band below is given."
        )
    if clip.still:
        reasons.append("A single picture is weaker evidence than a clip.")
    if highest.agreement is not None and highest.agreement < 0.7:
        parts = " and ".join(
            f"{NETWORKS.get(name, name)} (share of the score: {weight:.0%})"
            for name, weight in weights.items()
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
    if not limits.calibrated:
        reasons.append(NOT_CALIBRATED)
    return Finding(highest.band, logit, probability(logit), highest.id, (), tuple(reasons))


def why_unusable(qualities: Sequence[Quality]) -> State:
    """What most faces of a track lack, of which too few are usable."""
    small = sum(quality.size < MIN_SIZE for quality in qualities)
    unlit = sum(
        quality.size >= MIN_SIZE and not BRIGHTNESS[0] <= quality.brightness <= BRIGHTNESS[1]
        for quality in qualities
    )
    usable = sum(quality.usable for quality in qualities)
    smeared = len(qualities) - usable - small - unlit  # nothing else makes a face unusable
    if small > len(qualities) / 2:
        return "faces_too_small"
    if unlit > len(qualities) / 2:
        return "faces_too_dark"
    return "heavily_recompressed" if smeared > len(qualities) / 2 else "too_few_frames"


def _frames(count: int) -> str:
    return "1 usable frame" if count == 1 else f"{count} usable frames"
