"""Where a file may come from: its hash, what its container says, and its Content Credentials.

Nothing here judges a face, and nothing is proof: metadata can be changed by anyone, and nearly
every clip on the web was encoded again on its way. Content Credentials (C2PA) are the
exception, as far as their signature reaches; they are read by `c2pa-python`, with every
network access of that library switched off (`_OFFLINE`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import av

from detector.caged_clip import CagedFile
from detector.clip import Clip, ClipReader, Limits, open_container
from detector.errors import ClipError

CredentialState = Literal["none", "valid", "invalid", "elsewhere"]

NOTE = (
    "These are hints about the history of the file, no evidence of manipulation: metadata can be "
    "changed by anyone, and nearly every clip on the web was encoded again on its way."
)

# A manifest may name an address to be fetched from, and a certificate one to ask whether it was
# revoked. Both would tell a stranger that somebody looks at this clip. The empty list of hosts
# holds whatever the two switches do not know of.
_OFFLINE: dict[str, Any] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "core": {"allowed_network_hosts": []},
}
_PIECE = 1 << 20
_HEAD = 1 << 18  # bytes of the video stream that are searched for an encoder's signature
_MISSING_TIME = datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class StreamFacts:
    """One stream of the container.

    Attributes:
        kind: "video", "audio", "subtitle", "data" or "attachment".
        codec: FFmpeg's name, for example "h264"; "" if unknown.
        description: what it holds, for example "640×360, yuv420p" or "48,000 Hz, stereo".
        tags: what the file says of the stream, in its own order.
    """

    kind: str
    codec: str
    description: str
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Credentials:
    """Content Credentials (C2PA) of a file.

    Attributes:
        state: "none"; "valid": signed, and unchanged since; "invalid": signed, but the file or
            the claims were changed, or the signature is wrong; "elsewhere": they lie at an
            address on the network, which is not visited.
        trusted: the signer is on the list of trust that was given; False without a list.
        signer: name of the signer, as the certificate says.
        issuer: organisation that the certificate names.
        signed_at: time of signing, if a time-stamp says so.
        generator: software that made the claims.
        title: of the file, as claimed.
        claims: what is claimed, in plain words.
        edits: what was done to the file, in plain words, first to last.
        ingredients: files that went into this one.
        problems: why the state is invalid, or what could not be checked.
    """

    state: CredentialState
    trusted: bool = False
    signer: str | None = None
    issuer: str | None = None
    signed_at: str | None = None
    generator: str | None = None
    title: str | None = None
    claims: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The state in one or two plain sentences."""
        who = (
            f"“{self.signer or self.issuer}”" if self.signer or self.issuer else "an unnamed signer"
        )
        if self.state == "none":
            return (
                "The file carries no Content Credentials. Most files do not; it says nothing "
                "about the clip."
            )
        if self.state == "elsewhere":
            return (
                "The file says that its Content Credentials lie at an address on the network. "
                "Veriframe does not visit it."
            )
        if self.state == "invalid":
            return (
                f"The file carries Content Credentials of {who}, but they do not hold: the file "
                "was changed after signing, or the signature is wrong."
            )
        trust = (
            "The signer is on the list of trust that was given."
            if self.trusted
            else "Whether that signer is who the name says was not checked."
        )
        return f"Signed by {who}, and unchanged since. {trust}"


@dataclass(frozen=True)
class Provenance:
    """What a file says of itself.

    Attributes:
        sha256: of the file, hex.
        bytes: its size.
        container: FFmpeg's long name, for example "QuickTime / MOV".
        device: camera or phone that the file names; None if it names none.
        encoder: tag of the software that wrote the container; None if it left none.
        video_encoder: signature inside the video stream, for example "x264 core 164, crf 23.0".
        creation_time: as the container says; None if it says nothing.
        rotation: degrees clockwise by which a player turns the picture.
        hidden_frames: frames that the file holds, but tells players not to show (an edit list).
        tags: what the container says of itself, in its own order.
        streams: its streams.
        hints: what this may mean for the file's history, in plain words; see `NOTE`.
        credentials: Content Credentials.
    """

    sha256: str
    bytes: int
    container: str
    device: str | None
    encoder: str | None
    video_encoder: str | None
    creation_time: str | None
    rotation: int
    hidden_frames: int
    tags: tuple[tuple[str, str], ...]
    streams: tuple[StreamFacts, ...]
    hints: tuple[str, ...]
    credentials: Credentials


def hash_stream(
    source: BinaryIO,
    target: BinaryIO | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> tuple[str, int]:
    """SHA-256 of a stream, taken while it is read, and copied if wanted: one pass, flat memory.

    Args:
        source: read to its end.
        target: what is read is written here, for example while an upload arrives.
        on_bytes: called with the number of bytes read so far.

    Returns:
        The hash, hex, and the number of bytes.
    """
    digest, count = hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        digest.update(piece)
        if target is not None:
            target.write(piece)
        count += len(piece)
        if on_bytes is not None:
            on_bytes(count)
    return digest.hexdigest(), count


def inspect(
    path: Path | str,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    trust_anchors: str | None = None,
) -> Provenance:
    """What a clip's file says of itself; another process reads it, in a cage.

    Args:
        path: the file.
        name: the name that the person gave it.
        limits: what it may cost; default, as the environment sets them.
        trust_anchors: certificates (PEM) of authorities whose signers count as trusted; the
            official list is published by the C2PA and is not part of Veriframe.

    Raises:
        ClipError: the file is no clip.
    """
    with CagedFile(path, name, limits) as file:
        plain = file.ask("inspect", trust_anchors=trust_anchors, sha256=file.sha256).get("found")
        try:
            found = _adapter().validate_python(plain)
        except ValueError as error:
            raise file.wrong() from error
        return dataclasses.replace(found, sha256=file.sha256, bytes=file.bytes)


@functools.cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Provenance)


def inspect_here(
    path: Path | str,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    trust_anchors: str | None = None,
    sha256: str | None = None,
    on_packet: Callable[[], None] | None = None,
) -> Provenance:
    """`inspect`, in this very process: for the one in the cage.

    Args:
        path, name, limits, trust_anchors: as for `inspect`.
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
    return _with_hints(found, clip, every)


# --- metadata -------------------------------------------------------------------------------


def _tags(metadata: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value[:500]) for key, value in metadata.items() if value.strip())


_EXIF = ("Make", "Model", "Software", "DateTime", "Artist", "Copyright")


def _picture(path: Path) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The format of a still picture, and what its Exif says."""
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
    """Frames that the file holds, whatever its edit list says."""
    with open_container(path, ignore_editlist="1") as container:
        return sum(1 for _ in _packets(container, _video(container), on_packet))


def _video(container: Any) -> Any:
    cover = av.stream.Disposition.attached_pic
    return next(stream for stream in container.streams.video if not stream.disposition & cover)


def _packets(container: Any, stream: Any, on_packet: Callable[[], None] | None) -> Iterator[Any]:
    """Packets with content, up to the first place that cannot be read."""
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
    """An encoder's signature at the head of the video, and the number of frames shown."""
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
    """Camera or phone, as phones, cameras and their apps write it."""
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


# --- hints ----------------------------------------------------------------------------------

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


def _with_hints(found: Provenance, clip: Clip, tags: Mapping[str, str]) -> Provenance:
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
    return Provenance(**{**vars(found), "hints": tuple(hints)})


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


# --- Content Credentials --------------------------------------------------------------------

_ACTIONS = {
    "created": "created",
    "opened": "opened for editing",
    "placed": "another file was placed in it",
    "removed": "something was removed from it",
    "edited": "edited",
    "edited.metadata": "its metadata was edited",
    "color_adjustments": "colours were adjusted",
    "cropped": "cropped",
    "drawing": "drawn on",
    "enhanced": "enhanced",
    "filtered": "a filter was applied",
    "orientation": "turned or mirrored",
    "resized": "resized",
    "resized.proportional": "resized",
    "trimmed": "trimmed",
    "dubbed": "its speech was replaced",
    "translated": "translated",
    "transcoded": "encoded again",
    "converted": "converted to another format",
    "repackaged": "put into another container",
    "redacted": "claims were removed",
    "published": "published",
    "addedText": "text was added",
    "adjustedColor": "colours were adjusted",
    "watermarked": "a watermark was added",
    "unknown": "something was done that the software could not name",
}

_SOURCES = {
    "digitalCapture": "captured by a camera",
    "computationalCapture": "captured by a camera with much computation",
    "compositeCapture": "composed of several captures",
    "negativeFilm": "scanned from film",
    "positiveFilm": "scanned from film",
    "print": "scanned from a print",
    "humanEdits": "edited by a person",
    "minorHumanEdits": "edited slightly by a person",
    "algorithmicallyEnhanced": "enhanced by an algorithm",
    "dataDrivenMedia": "made from data",
    "digitalCreation": "drawn or made with software",
    "digitalArt": "drawn or made with software",
    "virtualRecording": "a recording of a virtual scene",
    "screenCapture": "a recording of a screen",
    "composite": "composed of several sources",
    "trainedAlgorithmicMedia": "generated by an AI model",
    "compositeWithTrainedAlgorithmicMedia": "composed with parts that an AI model generated",
    "algorithmicMedia": "generated by an algorithm",
    "compositeSynthetic": "composed with synthetic parts",
}


def read_credentials(path: Path | str, trust_anchors: str | None = None) -> Credentials:
    """The Content Credentials of a file, checked against its content; never uses the network.

    Args:
        path: of the file; a container that cannot carry them counts as one without.
        trust_anchors: certificates (PEM) of authorities whose signers count as trusted.
    """
    import c2pa

    settings = c2pa.Settings.from_dict(_OFFLINE)
    if trust_anchors:
        settings.update({"trust": {"trust_anchors": trust_anchors}})
    try:
        with (
            c2pa.Context(settings) as context,
            Path(path).open("rb") as file,
            c2pa.Reader(None, file, context=context) as reader,
        ):
            report = json.loads(reader.json())
            state = reader.get_validation_state()
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        return Credentials("none")
    except c2pa.C2paError as error:
        if str(error).startswith("Remote"):
            address = re.search(r"https?://\S+", str(error))
            where = (f"Address: {address.group()}",) if address else ()
            return Credentials("elsewhere", problems=where)
        # There is something that claims to be credentials, and it cannot be read.
        return Credentials("invalid", problems=(_first_line(error),))
    return _credentials(report, state or "Invalid")


def _credentials(report: Mapping[str, Any], state: str) -> Credentials:
    manifests = report.get("manifests", {})
    active = manifests.get(report.get("active_manifest"), {})
    signature = active.get("signature_info") or {}
    generators = [
        " ".join(str(info[key]) for key in ("name", "version") if info.get(key))
        for info in active.get("claim_generator_info") or []
    ]
    claims, edits = _claims(active.get("assertions") or [])
    results = (report.get("validation_results") or {}).get("activeManifest") or {}
    return Credentials(
        state="invalid" if state == "Invalid" else "valid",
        trusted=state == "Trusted",
        signer=signature.get("common_name"),
        issuer=signature.get("issuer"),
        signed_at=signature.get("time"),
        generator=", ".join(filter(None, generators)) or active.get("claim_generator"),
        title=active.get("title"),
        claims=claims,
        edits=edits,
        ingredients=tuple(
            str(item.get("title") or item.get("format") or "a file without a name")
            for item in active.get("ingredients") or []
        ),
        problems=_problems(results.get("failure") or []),
    )


def _claims(
    assertions: Iterable[Mapping[str, Any]],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Claims and edits, in plain words."""
    claims: list[str] = []
    edits: list[str] = []
    for assertion in assertions:
        label, data = str(assertion.get("label", "")), assertion.get("data") or {}
        if label.startswith("c2pa.hash") or not isinstance(data, Mapping):
            continue
        if label.startswith("c2pa.actions"):
            for action in data.get("actions") or []:
                edits.append(_edit(action))
        elif label.startswith("stds.schema-org.CreativeWork"):
            authors = [str(author.get("name")) for author in data.get("author") or []]
            claims.append("Author: " + (", ".join(authors) or "not named"))
        elif label.startswith("c2pa.training-mining") or label.startswith("cawg.training-mining"):
            entries = data.get("entries") or {}
            allowed = [key.split(".")[-1].replace("_", " ") for key, entry in entries.items()
                       if isinstance(entry, Mapping) and entry.get("use") == "allowed"]  # fmt: skip
            claims.append("Use for training: " + (", ".join(allowed) or "not allowed"))
        else:
            claims.append(f"{label}: {json.dumps(data, ensure_ascii=False)[:300]}")
    return tuple(claims), tuple(edits)


def _edit(action: Mapping[str, Any]) -> str:
    name = str(action.get("action", "")).removeprefix("c2pa.")
    words = _ACTIONS.get(name, f"“{name}”")
    source = str(action.get("digitalSourceType") or "").rsplit("/", 1)[-1]
    if source:
        words += f" ({_SOURCES.get(source, source)})"
    agent = action.get("softwareAgent")
    if isinstance(agent, Mapping):
        agent = agent.get("name")
    if agent:
        words += f", with {agent}"
    if action.get("when"):
        words += f", on {action['when']}"
    return words[:1].upper() + words[1:]


_PROBLEMS = {
    "signingCredential.untrusted": "The signer is not on a list of trust.",
    "signingCredential.expired": "The signer's certificate had expired.",
    "signingCredential.revoked": "The signer's certificate was revoked.",
    "signingCredential.invalid": "The signer's certificate does not fit its purpose.",
    "claimSignature.mismatch": "The signature does not fit the claims.",
    "claimSignature.missing": "The signature is missing.",
    "assertion.hashedURI.mismatch": "A claim was changed after signing.",
    "assertion.missing": "A claim was removed after signing.",
    "timeStamp.mismatch": "The time-stamp does not fit the signature.",
    "timeStamp.untrusted": "The authority of the time-stamp is not on a list of trust.",
}


def _problems(failures: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    found = []
    for failure in failures:
        code = str(failure.get("code", ""))
        if code.startswith("assertion.") and code.endswith("Hash.mismatch"):
            words = "The content of the file was changed after signing."
        else:
            words = _PROBLEMS.get(code) or f"{failure.get('explanation') or code} ({code})."
        found.append(words)
    return tuple(dict.fromkeys(found))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
