"""The faces that a report shows with their pictures."""

from __future__ import annotations

from detector.result import Analysis, ScoredFace, ScoredFrame

STRONGEST = 6  # faces that a report shows


def strongest_faces(analysis: Analysis, most: int) -> list[tuple[ScoredFrame, ScoredFace]]:
    """Return the faces with the highest scores, apart in time for each track.

    Args:
        analysis: where they are looked for.
        most: faces at most.

    Returns:
        Faces that count, and any face where none counts, with their frames, in order of time.
    """
    gap = analysis.clip.duration / (2 * most)
    pairs = [(frame, face) for frame in analysis.frames for face in frame.faces]
    usable = [pair for pair in pairs if pair[1].quality.usable] or pairs
    chosen: list[tuple[ScoredFrame, ScoredFace]] = []
    for frame, face in sorted(usable, key=lambda pair: pair[1].logit, reverse=True):
        near = any(
            other.track == face.track and abs(at.time - frame.time) < gap for at, other in chosen
        )
        if not near:
            chosen.append((frame, face))
        if len(chosen) == most:
            break
    return sorted(chosen, key=lambda pair: (pair[0].time, pair[1].track))
