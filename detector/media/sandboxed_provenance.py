"""Where a file may come from: its hash, what its container says, and its Content Credentials.

Nothing here judges a face, and nothing is proof: metadata can be changed by anyone, and nearly
every clip on the web was encoded again on its way. Content Credentials (C2PA) are the
exception, as far as their signature reaches; they are read by `c2pa-python`, with every
network access of that library switched off (`_OFFLINE`).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from detector.limits import Limits
from detector.media.provenance.facts import Provenance
from detector.media.sandboxed_clip import SandboxedFile

_PIECE = 1 << 20


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
    """What a clip's file says of itself; another process reads it, in a sandbox.

    Args:
        path: the file.
        name: the name that the person gave it.
        limits: what it may cost; default, as the environment sets them.
        trust_anchors: certificates (PEM) of authorities whose signers count as trusted; the
            official list is published by the C2PA and is not part of Veriframe.

    Raises:
        ClipError: the file is no clip.
    """
    with SandboxedFile(path, name, limits) as file:
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


# --- metadata -------------------------------------------------------------------------------


# --- hints ----------------------------------------------------------------------------------


# --- Content Credentials --------------------------------------------------------------------
