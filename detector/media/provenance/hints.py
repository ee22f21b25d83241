"""Say in plain words what the facts of a file suggest about its history; no hint is proof."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterable, Mapping

from detector.media.clip import Clip
from detector.media.provenance.facts import Provenance

_MISSING_TIME = datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC)

# What the tags of a file match, in lower case -> the software that wrote it; first match.
_WRITERS = (
    (r"handbrake", "HandBrake, a converter"),
    (r"premiere|after effects|adobe|media encoder", "a video editor of Adobe"),
    (r"final cut|compressor|imovie", "a video editor of Apple"),
    (r"davinci|blackmagic", "DaVinci Resolve, a video editor"),
    (r"capcut|bytedance|tiktok", "CapCut or TikTok"),
    (r"kdenlive|mlt|openshot|shotcut|vegas|filmora|inshot|movavi", "a video editor"),
    (r"produced by google|youtube", "Google, as files from YouTube are"),
    (r"twitter|vork", "Twitter (X)"),
    (r"facebook|instagram", "Facebook or Instagram"),
    (r"whatsapp", "WhatsApp"),
    (r"telegram", "Telegram"),
    (r"\bobs\b|screen ?rec", "a screen recorder"),
    (r"lavf|lavc|ffmpeg", "FFmpeg, which most websites, messengers and editors use"),
)


def with_hints(found: Provenance, clip: Clip, tags: Mapping[str, str]) -> Provenance:
    """Add the hints to what was found.

    Args:
        found: without hints.
        clip: the same file's clip.
        tags: of the container and its streams, keys in lower case.
    """
    hints: list[str] = []
    writer = _writer(tags.values())
    if writer:
        hints.append(
            f"The file was last written by {writer}. It is probably not the recording as it "
            "left the camera."
        )
    if found.video_encoder:
        hints.append(
            f"The picture was encoded by software ({found.video_encoder}), not by a camera's chip: "
            "it was probably encoded at least twice."
        )
    hints += _time_hints(found, tags, still=clip.still)
    if found.device:
        hints.append(f"The file names its recording device: {found.device}. Anyone can write that.")
    elif not clip.still:
        hints.append(
            "The file names no camera or phone. Websites and messengers remove that on upload."
        )
    if found.hidden_frames:
        hints.append(
            f"An edit list hides {_count(found.hidden_frames, 'frame')} that the file still "
            "holds: it was trimmed without being encoded again."
        )
    if clip.variable_frame_rate:
        hints.append(
            "The time between frames varies, as in recordings of phones, screens and video calls."
        )
    if 0 < clip.bits_per_pixel < 0.03 and not clip.still:
        hints.append(
            f"The picture is strongly compressed ({clip.bits_per_pixel:.3f} bits a pixel), as "
            "after several rounds of sharing. That hides traces and can also make some."
        )
    if clip.codec == "gif":
        hints.append("A GIF is always a conversion of something else, in at most 256 colours.")
    if clip.damaged:
        hints.append(
            f"The file is damaged or cut off: {_count(clip.damaged, 'packet')} could not be read."
        )
    return dataclasses.replace(found, hints=tuple(hints))


def _writer(values: Iterable[str]) -> str | None:
    text = "\n".join(values).lower()
    return next((words for pattern, words in _WRITERS if re.search(pattern, text)), None)


def _time_hints(found: Provenance, tags: Mapping[str, str], *, still: bool) -> list[str]:
    if found.creation_time is None:
        if still:
            return []
        return ["The file does not say when it was made. Converters often leave that out."]
    try:
        made = datetime.datetime.fromisoformat(found.creation_time)
    except ValueError:
        return [f"The file's time of making cannot be read (“{found.creation_time[:40]}”)."]
    if made.tzinfo is None:
        made = made.replace(tzinfo=datetime.UTC)
    if made < _MISSING_TIME:
        return ["The file's time of making was left empty, as converters often do."]
    if made > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1):
        return ["The file says that it was made in the future: its clock or its tag is wrong."]
    return [
        f"The file says that it was made on {made:%-d %B %Y at %H:%M} UTC. Anyone can write that."
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
