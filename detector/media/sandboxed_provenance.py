"""Read what a file says of itself in a sandbox: its hash, its container, its Content Credentials.

A stranger's file is parsed by a process that can do nothing else (`provenance.container` there);
its answer is checked, and the hash is taken here. `provenance.facts` says what the answer means.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from detector.limits import Limits
from detector.media.provenance.facts import Provenance
from detector.media.sandboxed_clip import SandboxedFile
from detector.typed_json import adapter


def inspect(
    path: Path | str,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    trust_anchors: str | None = None,
) -> Provenance:
    """Return what a clip's file says of itself; another process reads it, in a sandbox.

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
            found = adapter(Provenance).validate_python(plain)
        except ValueError as error:
            raise file.wrong() from error
        return dataclasses.replace(found, sha256=file.sha256, bytes=file.bytes)
