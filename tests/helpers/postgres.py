"""A PostgreSQL server of the tests' own: in a temporary folder, on a Unix socket, no network."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


def programs() -> Path | None:
    """The folder that holds `initdb` and `pg_ctl`, newest version first; None where it is not."""
    on_path = shutil.which("initdb")
    if on_path and shutil.which("pg_ctl"):
        return Path(on_path).resolve().parent
    places = [
        *Path("/usr/lib/postgresql").glob("*/bin"),
        *Path("/opt/homebrew/opt").glob("postgresql*/bin"),
        *Path("/usr/local/opt").glob("postgresql*/bin"),
    ]
    found = [place for place in places if (place / "initdb").exists()]
    return max(found, key=lambda place: str(place).rjust(80), default=None)


MISSING = (
    "PostgreSQL is NOT installed: the library was tested on SQLite only. "
    "Install the package postgresql to test it on both."
)


def serve() -> Iterator[str]:
    """Start a server; yields a database's address; stops and removes it."""
    folder = programs()
    assert folder is not None
    # A short path: a Unix socket's may have 100 characters. As root the server refuses to run.
    home = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    user = _unprivileged(home)

    def run(program: str, *arguments: str) -> None:
        command = [str(folder / program), *arguments]
        log = home / f"{program}.out"
        with log.open("ab") as out:
            done = subprocess.run(
                command, check=False, cwd=home, user=user, stdout=out, stderr=out,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(home)},
            )  # fmt: skip
        assert done.returncode == 0, log.read_text()

    data = str(home / "data")
    try:
        run("initdb", "-D", data, "-U", "veriframe", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off"
        log = str(home / "log")
        run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "-t", "60", "start")
        try:
            yield f"postgresql://veriframe@/postgres?host={home}"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _unprivileged(home: Path) -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    name = "postgres" if "postgres" in names else "nobody"
    shutil.chown(home, name)
    return name
