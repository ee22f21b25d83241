"""Where a scan on a cluster writes: Parquet files by date and model version, each whole or not.

    PLACE/date=2031-05-04/model_version=…/part-….parquet

Ray Data's own Parquet writer gives each file a random name, so that a write that is done again
after a worker died leaves its rows twice. Here a file is named after the clips in it: done again,
it replaces itself. A file is written under another name and renamed (object stores put a file
as a whole), so that no reader ever sees half of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from detector.cluster.source import as_path, file_system, is_address
from detector.errors import ClusterError

if TYPE_CHECKING:
    import pyarrow

_AT_ONCE = 32  # files that are read from a storage that may be far away
_PARTIAL = ".partial-"  # readers of data sets leave out names that begin with a dot
Row = Mapping[str, Any]


def schema() -> pyarrow.Schema:
    """Return the columns of a row; date and model version are in its folders' names.

    path, identity, bytes, modified: which file, see `detector.cluster.source.SourceClip`.
    sha256: hex; null where the clip failed. fingerprint: of models and settings.
    state: "analysed" or "failed"; error: one sentence for the latter.
    band, logit, score: of the finding; null where there is none.
    tracks, frames: how many. created: UTC, ISO 8601. analysis: the whole result as JSON.
    """
    import pyarrow as pa

    text = ("path", "identity", "modified", "sha256", "fingerprint", "state", "error", "band",
            "created", "analysis")  # fmt: skip
    order = ("path", "identity", "sha256", "bytes", "modified", "fingerprint", "state", "error",
             "band", "logit", "score", "tracks", "frames", "created", "analysis")  # fmt: skip
    kinds = dict.fromkeys(text, pa.string()) | dict.fromkeys(("logit", "score"), pa.float64())
    return pa.schema([(name, kinds.get(name, pa.int64())) for name in order])


@dataclass(frozen=True)
class Target:
    """A folder, or an address of a storage that fsspec knows.

    Attributes:
        place: absolute path or address.
    """

    place: str

    @classmethod
    def at(cls, place: str) -> Target:
        """Return the target that a person named."""
        place = as_path(place)
        return cls(place.rstrip("/") if is_address(place) else os.path.abspath(place))

    def check(self) -> None:
        """Try whether files can be written here; leaves nothing, not even the folder.

        Raises:
            ClusterError: they cannot.
        """
        with self.marker():
            pass

    @contextlib.contextmanager
    def marker(self) -> Iterator[str]:
        """Write a small hidden file, by which others can tell that they see the same place.

        Nothing is left of it afterwards, not even folders that were made for it.

        Raises:
            ClusterError: it cannot be written.
        """
        made = self._missing_folders()
        name = f"{_PARTIAL}{uuid.uuid4().hex}"
        try:
            try:
                self._put(name, b"a scan is running")
            except Exception as error:  # each kind of storage has errors of its own
                raise self.unwritable(error) from error
            yield name
        finally:
            system, root = file_system(self.place)
            with contextlib.suppress(Exception):
                system.rm_file(f"{root}/{name}")
            for folder in made:
                with contextlib.suppress(OSError):
                    os.rmdir(folder)

    def sees(self, marker: str) -> bool:
        """Return whether the marker that another process left is here."""
        system, root = file_system(self.place)
        system.invalidate_cache()
        return bool(system.exists(f"{root}/{marker}"))

    def write(self, rows: Sequence[Row], date: str, model_version: str) -> str:
        """Write rows as one file, which replaces an earlier one of the very same clips.

        Args:
            rows: with the columns of `schema`.
            date, model_version: name the folders.

        Returns:
            The file's path within the target.

        Raises:
            ClusterError: it cannot be written; nothing is left of it.
        """
        import pyarrow as pa

        rows = sorted(rows, key=lambda row: row["identity"])
        names = "\n".join(row["identity"] for row in rows)
        name = hashlib.sha256(names.encode()).hexdigest()[:32]
        folder = f"date={date}/model_version={quote(model_version, safe='')}"
        path = f"{folder}/part-{name}.parquet"
        self._write_table(path, pa.Table.from_pylist(rows, schema=schema()))
        return path

    def known(self) -> dict[str, tuple[str, str]]:
        """Return all rows that are here: identity -> (state, file within the target).

        Raises:
            ClusterError: a file cannot be read.
        """
        found: dict[str, tuple[str, str]] = {}
        paths = list(self._files())
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            tables = pool.map(lambda path: self._read(path, ["identity", "state"]), paths)
            for path, table in zip(paths, tables, strict=True):
                for identity, state in zip(*(column.to_pylist() for column in table), strict=True):
                    found[identity] = (state, path)
        return found

    def remove(self, identities: Collection[str], paths: Collection[str]) -> None:
        """Take rows out of these files; a file without rows is removed. Raises ClusterError."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for path in paths:
            table = self._read(path)
            gone = pc.is_in(table["identity"], value_set=pa.array(sorted(identities), pa.string()))
            left = table.filter(pc.invert(gone))
            if left.num_rows:
                self._write_table(path, left)
                continue
            system, root = file_system(self.place)
            try:
                system.rm_file(f"{root}/{path}")
            except Exception as error:
                raise self.unwritable(error) from error

    def clean(self) -> None:
        """Remove what writers left that were killed; no other scan may write here meanwhile."""
        if is_address(self.place) or not os.path.isdir(self.place):
            return  # object stores keep nothing of a put that did not end
        for folder, _, names in os.walk(self.place):
            for name in names:
                if name.startswith(_PARTIAL):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))

    def unwritable(self, error: Exception) -> ClusterError:
        """Return what is said where the target refuses."""
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return ClusterError(
            f"Nothing can be written to {self.place} ({str(reason).splitlines()[0][:200]}); check "
            "the place, your rights and its free space, or choose another one with --out."
        )

    def _files(self) -> Iterator[str]:
        system, root = file_system(self.place)
        system.invalidate_cache()
        try:
            paths = system.find(root) if system.exists(root) else []
        except Exception as error:
            raise self._unreadable(self.place, error) from error
        for path in sorted(paths):
            inside = path[len(root) :].strip("/")
            if inside.startswith("date=") and inside.rsplit("/", 1)[-1].startswith("part-"):
                yield inside

    def _read(self, path: str, columns: list[str] | None = None) -> pyarrow.Table:
        import pyarrow.parquet

        system, root = file_system(self.place)
        try:
            with system.open(f"{root}/{path}", "rb") as file:
                # Not by name: the folders' names would become columns.
                return pyarrow.parquet.ParquetFile(file).read(columns=columns)
        except Exception as error:
            raise self._unreadable(f"{self.place}/{path}", error) from error

    def _unreadable(self, place: str, error: Exception) -> ClusterError:
        return ClusterError(
            f"{place} cannot be read ({str(error).splitlines()[0][:200] or type(error).__name__}); "
            "move what does not belong there away, or choose another place with --out."
        )

    def _write_table(self, path: str, table: pyarrow.Table) -> None:
        import pyarrow.parquet

        sink = io.BytesIO()
        pyarrow.parquet.write_table(table, sink, compression="zstd")
        try:
            self._put(path, sink.getvalue())
        except Exception as error:
            raise self.unwritable(error) from error

    def _put(self, path: str, content: bytes) -> None:
        if is_address(self.place):
            system, root = file_system(self.place)
            system.pipe_file(f"{root}/{path}", content)
            return
        _, root = file_system(self.place)
        final = os.path.join(root, path)
        folder = os.path.dirname(final)
        os.makedirs(folder, exist_ok=True)
        partial = os.path.join(folder, f"{_PARTIAL}{uuid.uuid4().hex}")
        try:
            with open(partial, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, final)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise

    def _missing_folders(self) -> list[str]:
        """Return the folders that writing would make, the deepest first."""
        if is_address(self.place):
            return []
        missing, folder = [], self.place
        while not os.path.lexists(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        return missing
