"""Read what a container and its streams say: software, device, times, hidden frames.

Runs in the sandbox; `detector.media.sandboxed_provenance.inspect` is the app's side of it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import av

from detector.errors import ClipError
from detector.limits import Limits
from detector.media.containers import open_container
from detector.media.provenance.c2pa import read_credentials
from detector.media.provenance.facts import Provenance, StreamFacts
from detector.media.provenance.hints import with_hints
from detector.media.reader import ClipReader

_HEAD = 1 << 18  # bytes of the video stream that are searched for an encoder's signature


def inspect_here(
    path: Path | str,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    trust_anchors: str | None = None,
    sha256: str | None = None,
    on_packet: Callable[[], None] | None = None,
) -> Provenance:
    """Do what `sandboxed_provenance.inspect` does, in this very process: the one in the sandbox.

    Args:
        path, name, limits, trust_anchors: as for it.
        sha256: of the file, where it is known; default, taken from the file.
        on_packet: called whenever another part of the file was read.

    Raises:
        ClipError: the file is no clip.
    """
    path = Path(path)
    with ClipReader(path, name, limits, on_packet) as reader:
        clip = reader.describe(sha256)
    try:
        with open_container(path) as container:
            tags = _tags(container.metadata)
            streams = tuple(_stream_facts(stream) for stream in container.streams)
            long_name = container.format.long_name or container.format.name
            signature, shown = _look_into_video(container, on_packet)
        hidden = 0 if clip.still else max(_stored_packets(path, on_packet) - shown, 0)
    except (av.FFmpegError, OSError) as error:
        raise ClipError(
            f"“{clip.name}” cannot be read to its end; get the original file."
        ) from error
    if clip.still:
        long_name, tags = _picture(path)
    every = {key.lower(): value for stream in streams for key, value in stream.tags}
    every |= {key.lower(): value for key, value in tags}
    found = Provenance(
        sha256=clip.sha256,
        bytes=clip.bytes,
        container=long_name,
        device=_device(every),
        encoder=every.get("encoder") or every.get("software"),
        video_encoder=signature,
        creation_time=clip.creation_time,
        rotation=clip.rotation,
        hidden_frames=hidden,
        tags=tags,
        streams=streams,
        hints=(),
        credentials=read_credentials(path, trust_anchors),
    )
    return with_hints(found, clip, every)


def _tags(metadata: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value[:500]) for key, value in metadata.items() if value.strip())


_EXIF = ("Make", "Model", "Software", "DateTime", "Artist", "Copyright")


def _picture(path: Path) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the format of a still picture, and what its Exif says."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as image:
            exif = image.getexif()
            named = {ExifTags.TAGS.get(key, str(key)): value for key, value in exif.items()}
            name = image.format_description or str(image.format)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "picture", ()
    return name, _tags({key.lower(): str(named[key]) for key in _EXIF if key in named})


def _stream_facts(stream: Any) -> StreamFacts:
    context = stream.codec_context
    description = ""
    if stream.type == "video" and context is not None:
        description = f"{context.width}×{context.height}, {context.pix_fmt or 'unknown pixels'}"
        if stream.average_rate and stream.frames != 1 and stream.duration != 1:
            description += f", {float(stream.average_rate):.4g} frames/s"
    elif stream.type == "audio" and context is not None:
        description = f"{context.sample_rate:,} Hz, {context.layout.name}"
    codec = "" if context is None else context.name
    return StreamFacts(stream.type, codec, description, _tags(stream.metadata))


def _stored_packets(path: Path, on_packet: Callable[[], None] | None) -> int:
    """Count the frames that the file holds, whatever its edit list says."""
    with open_container(path, ignore_editlist="1") as container:
        return sum(1 for _ in _packets(container, _video(container), on_packet))


def _video(container: Any) -> Any:
    cover = av.stream.Disposition.attached_pic
    return next(stream for stream in container.streams.video if not stream.disposition & cover)


def _packets(container: Any, stream: Any, on_packet: Callable[[], None] | None) -> Iterator[Any]:
    """Read the packets with content, up to the first place that cannot be read."""
    with contextlib.suppress(av.FFmpegError):
        for packet in container.demux(stream):
            if on_packet is not None:
                on_packet()
            if packet.size:
                yield packet


_SIGNATURES = (
    # x264 and x265 write their settings into the first frame; FFmpeg's own encoders their name.
    re.compile(rb"x264 - core (?P<version>\d+)[^\0]*?options: (?P<options>[ -~]*)"),
    re.compile(rb"x265 \(build (?P<version>\d+)\)[^\0]*?options: (?P<options>[ -~]*)"),
    re.compile(rb"(?P<name>Lavc)(?P<version>\d+\.\d+\.\d+)(?P<options>[ -~]*)"),
)


def _look_into_video(
    container: Any, on_packet: Callable[[], None] | None
) -> tuple[str | None, int]:
    """Return an encoder's signature at the head of the video, and the number of frames shown."""
    stream = _video(container)
    head = bytes(stream.codec_context.extradata or b"") if stream.codec_context else b""
    shown = 0
    for packet in _packets(container, stream, on_packet):
        if len(head) < _HEAD:
            head += bytes(packet)[: _HEAD - len(head)]
        shown += not packet.is_discard
    for pattern in _SIGNATURES:
        match = pattern.search(head)
        if match:
            return _signature(match), shown
    return None, shown


def _signature(match: re.Match[bytes]) -> str:
    groups = {name: (value or b"").decode() for name, value in match.groupdict().items()}
    if groups.get("name"):
        return f"{groups['name']}{groups['version']}{groups['options']}".strip()
    name = "x264" if match.group().startswith(b"x264") else "x265"
    settings = dict(
        part.split("=", 1) for part in groups["options"].split() if part.count("=") == 1
    )
    wanted = [f"{key} {settings[key]}" for key in ("crf", "bitrate", "qp") if key in settings]
    return ", ".join([f"{name} core {groups['version']}", *wanted])


def _device(tags: Mapping[str, str]) -> str | None:
    """Return the camera or phone, as phones, cameras and their apps write it."""
    prefix = "com.apple.quicktime."
    make = tags.get(prefix + "make") or tags.get("make") or tags.get("com.android.manufacturer")
    model = tags.get(prefix + "model") or tags.get("model") or tags.get("com.android.model")
    named = " ".join(part.strip() for part in (make, model) if part)
    if named:
        return named
    if "com.android.version" in tags:
        return f"a device with Android {tags['com.android.version']}"
    if any("gopro" in tags.get(key, "").lower() for key in ("handler_name", "firmware")):
        return "GoPro"
    return None
