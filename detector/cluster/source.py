"""Which clips a scan on a cluster is to look at: a folder, a pattern, or a table of paths.

Places on this machine (or on a share that every node mounts under the same path) are written as
paths, others as addresses that fsspec knows, such as s3://bucket/clips.
"""

from __future__ import annotations

import glob
import hashlib
import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.errors import ClipError, ClusterError
from detector.jobs.folder import find_clips
from detector.media.clip import EXTENSIONS

COLUMNS = ("path", "clip")
_TABLES = (".parquet", ".csv")
_OF_ARROW = ("s3://", "gs://", "gcs://")  # pyarrow reads these without more packages
_AT_ONCE = 32  # questions about clips to a file system that may be far away


@dataclass(frozen=True)
class SourceClip:
    """A clip to look at.

    Attributes:
        path: absolute path, or address.
        bytes: size; -1 where it is not known.
        modified: time of the last change as its file system states it; "" where it is not known.
    """

    path: str
    bytes: int = -1
    modified: str = ""

    def identity(self, fingerprint: str) -> str:
        """Return a name, hex [64], for this state of the file under these models and settings."""
        parts = "\0".join((self.path, str(self.bytes), self.modified, fingerprint))
        return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()


def is_address(place: str) -> bool:
    """Return True for s3://…, False for a path."""
    return "://" in place


def as_path(place: str) -> str:
    """Return the path that a file:// address names, so that no clip has two names; else `place`."""
    for prefix in ("file://", "local://"):
        if place.startswith(prefix):
            return place.removeprefix(prefix)
    return place


def find_source(source: str, recursive: bool = False) -> tuple[SourceClip, ...]:
    """Return the clips of a source, each once, in order of their paths.

    Args:
        source: a folder, a clip, a pattern with * or ?, or a table (.parquet, .csv) with a column
            `path` or `clip`; a path or an address.
        recursive: look into a folder's folders too.

    Raises:
        ClipError: nothing is there, or no clips are in it.
        ClusterError: the address cannot be read, or the table has no such column.
    """
    source = as_path(source)
    if source.lower().endswith(_TABLES):
        paths = _of_table(source)
    elif is_address(source):
        return _unique(_of_address(source, recursive))
    elif glob.has_magic(source) and not os.path.lexists(source):
        paths = [path for path in glob.glob(source, recursive=True) if _is_clip(path)]
        if not paths:
            raise ClipError(f"No clip matches “{source}”; choose another pattern.")
    elif os.path.isfile(source):
        paths = [source]
    else:
        paths = [str(path) for path in find_clips(source, recursive)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return _unique(pool.map(look_up, paths))


def look_up(path: str) -> SourceClip:
    """Return size and time of a clip; both unknown where it is not there, as its scan will say."""
    path = as_path(path)
    if not is_address(path):
        path = os.path.abspath(path)
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return SourceClip(path)
        return SourceClip(path, found.st_size, str(found.st_mtime_ns))
    system, inside = file_system(path)
    try:
        return _described(path, system.info(inside))
    except Exception:  # whatever the file system raises: its scan will say it
        return SourceClip(path)


def file_system(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the address' path in it.

    Raises:
        ClusterError: there is none of that name, or what it needs is not installed.
    """
    import fsspec

    try:
        if address.startswith(_OF_ARROW):
            from fsspec.implementations.arrow import ArrowFSWrapper
            from pyarrow.fs import FileSystem

            found, path = FileSystem.from_uri(address)
            return ArrowFSWrapper(found), path
        system, path = fsspec.core.url_to_fs(address)
    except (ValueError, ImportError, OSError) as error:  # ArrowInvalid is a ValueError
        raise ClusterError(
            f"The address {address} cannot be used ({_first_line(error)}); check how it is "
            "written, or install what its kind of storage needs."
        ) from error
    return system, path


def _of_address(source: str, recursive: bool) -> list[SourceClip]:
    system, inside = file_system(source)
    try:
        if glob.has_magic(inside):
            found = system.glob(inside, detail=True)
        elif system.isfile(inside):
            return [_described(source, system.info(inside))]
        else:
            found = system.find(inside, maxdepth=None if recursive else 1, detail=True)
    except Exception as error:  # each kind of storage has errors of its own
        raise ClusterError(
            f"{source} cannot be read ({_first_line(error)}); check the address and your rights."
        ) from error
    clips = [
        _described(system.unstrip_protocol(name), about)
        for name, about in found.items()
        if about.get("type") == "file" and _is_clip(name)
    ]
    if not clips:
        raise ClipError(f"{source} holds no clips; choose another place, or add --recursive.")
    return clips


def _of_table(source: str) -> list[str]:
    import pandas as pd

    system, inside = file_system(source)
    try:
        content = io.BytesIO(system.cat_file(inside))
        if source.lower().endswith(".csv"):
            header = pd.read_csv(content, nrows=0, encoding="utf-8-sig").columns
        else:
            header = pd.Index(_parquet_columns(content))
        column = next((name for name in COLUMNS if name in header), None)
        if column is not None:
            content.seek(0)
            if source.lower().endswith(".csv"):
                table = pd.read_csv(content, usecols=[column], dtype=str, encoding="utf-8-sig")
            else:
                table = pd.read_parquet(content, columns=[column])
    except Exception as error:
        raise ClusterError(
            f"The table {source} cannot be read ({_first_line(error)}); check that it is there and "
            "is CSV or Parquet."
        ) from error
    if column is None:
        raise ClusterError(
            f"The table {source} has no column “path” or “clip”; name the column of the clips so."
        )
    paths = [str(path) for path in table[column].dropna() if str(path)]
    if not paths:
        raise ClipError(f"The table {source} lists no clips; choose another one.")
    return [_beside(source, path) for path in paths]


def _parquet_columns(content: io.BytesIO) -> list[str]:
    import pyarrow.parquet

    return list(pyarrow.parquet.read_schema(content).names)


def _beside(table: str, path: str) -> str:
    """Return where a path in a table leads, as seen from the table."""
    if is_address(path) or os.path.isabs(path):
        return path
    if is_address(table):
        return f"{table.rsplit('/', 1)[0]}/{path}"
    return str(Path(table).absolute().parent / path)


def _is_clip(name: str) -> bool:
    last = name.rsplit("/", 1)[-1]
    return not last.startswith(".") and last.rsplit(".", 1)[-1].lower() in EXTENSIONS


def _described(path: str, about: dict[str, Any]) -> SourceClip:
    # In an object store, the tag of the content says more than the time.
    changed = about.get("ETag") or about.get("mtime") or about.get("LastModified") or ""
    size = about.get("size")
    return SourceClip(path, -1 if size is None else int(size), str(changed).strip('"'))


def _unique(clips: Iterable[SourceClip]) -> tuple[SourceClip, ...]:
    return tuple(sorted({clip.path: clip for clip in clips}.values(), key=_path))


def _path(clip: SourceClip) -> str:
    return clip.path


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
