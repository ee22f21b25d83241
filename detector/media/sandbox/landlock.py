"""Landlock (Linux 5.13, Salaün): the process reads the clip and Python's libraries, writes nowhere.

Numbers and structures: linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from detector.files import PACKAGE
from detector.media.sandbox.linux import LINUX, c_library
from detector.media.sandbox.seccomp import MACHINES

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3

# Rights to files by version of the interface: 13 in the first, then refer, truncate, ioctl.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """Return the version of Landlock's interface; 0 where the system has none, or denies it."""
    if not LINUX or platform.machine() not in MACHINES:
        return 0
    return max(int(c_library().syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)), 0)


def lock_files(clip: int | None, folders: Iterable[Path]) -> bool:
    """Let this thread, and those it starts, read one file and some folders, and nothing else.

    Args:
        clip: descriptor of the file; None for none.
        folders: that may be read.

    Returns:
        It holds; False where the system has no Landlock, or denies it.
    """
    version = landlock_version()
    if version < 1:
        return False
    rules = _Ruleset(
        files=_FILE_RIGHTS.get(version, (1 << 16) - 1),
        network=3 if version >= 4 else 0,  # no TCP, neither as client nor as server
        scoped=3 if version >= 6 else 0,  # no abstract sockets, no signals to others
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    libc = c_library()
    ruleset = libc.syscall(_LANDLOCK_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        if clip is not None and not _allow(libc, ruleset, clip, _READ_FILE):
            return False
        for folder in folders:
            try:
                opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                _allow(libc, ruleset, opened, _READ_FILE | _READ_DIR)
            finally:
                os.close(opened)
        return bool(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, opened: int, rights: int) -> bool:
    beneath = _Beneath(rights, opened)
    return bool(libc.syscall(_LANDLOCK_ADD, ruleset, 1, ctypes.byref(beneath), 0) == 0)


def library_folders() -> list[Path]:
    """Return the folders of Python's libraries and this package: what a late import reads."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = {Path(sysconfig.get_path(name)) for name in names}
    return sorted(paths | {PACKAGE})
