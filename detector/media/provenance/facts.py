"""What a file says of itself, as plain data: container, streams, hints, Content Credentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CredentialState = Literal["none", "valid", "invalid", "elsewhere"]

NOTE = (
    "These are hints about the history of the file, no evidence of manipulation: metadata can be "
    "changed by anyone, and nearly every clip on the web was encoded again on its way."
)


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
