"""Give up what decoding does not need: network, privileges, memory and time without end.

Each function says whether it held; on other systems than Linux most do nothing.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from detector.limits import Limits

LINUX = sys.platform == "linux"

_NO_NEW_PRIVS, _SET_SECCOMP, SET_NAME, _SET_PDEATHSIG, _CAPBSET_DROP = 38, 22, 15, 1, 24
_CLONE_NEWNET, _CLONE_NEWUSER, CLONE_THREAD = 0x4000_0000, 0x1000_0000, 0x0001_0000
_CAP_DAC_READ_SEARCH = 2

GRACE = 5  # seconds of computing between the two limits of it


def c_library() -> ctypes.CDLL:
    """Load the C library of this process, for calls that Python does not offer."""
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, *values: int) -> bool:
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    return bool(c_library().prctl(option, *padded) == 0)


def leave_network() -> bool:
    """Move this process into a network namespace of its own, in which nothing is.

    Must be called while the process has one thread; its children inherit the namespace.
    """
    if not LINUX:
        return False
    unshare = c_library().unshare
    uid, gid = os.getuid(), os.getgid()
    if unshare(_CLONE_NEWNET) == 0:
        return True
    if unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    try:  # keep our own names, so that our files stay ours
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    except OSError:
        pass  # then we are nobody in there, which reads no less than is open to all
    return True


def die_with_parent(parent: int) -> bool:
    """Let the kernel kill this process when the thread that started it ends.

    Args:
        parent: process id of the parent; where it is gone already, this process ends at once.
    """
    held = LINUX and _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    return held


def limit_resources(limits: Limits, seconds: int) -> None:
    """Limit memory and computing time; allow no files to be written, and no core dump.

    Args:
        limits: what the clip may cost.
        seconds: of computing until the kernel ends the process; can be raised from outside
            up to `limits.cpu`.
    """
    wanted = {
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_FSIZE": (0, 0),
        "RLIMIT_NOFILE": (64, 64),
        # The soft limit tells its reason (SIGXCPU), the hard one does not (SIGKILL).
        "RLIMIT_CPU": (min(seconds, limits.cpu), limits.cpu + GRACE),
        "RLIMIT_DATA": (limits.memory, limits.memory),
        # Beyond what DATA counts: libraries, and room that allocators set aside.
        "RLIMIT_AS": (limits.memory + (3 << 30), limits.memory + (3 << 30)),
    }
    for name, (soft, most) in wanted.items():
        number = getattr(resource, name, None)
        if number is None:
            continue
        _, hard = resource.getrlimit(number)
        if hard != resource.RLIM_INFINITY:
            soft, most = min(soft, hard), min(most, hard)  # noqa: PLW2901
        try:
            resource.setrlimit(number, (soft, most))
        except (ValueError, OSError):
            continue  # macOS refuses some of them; `sandbox` asks what holds


def give_time(process: int, seconds: int, limits: Limits) -> None:
    """Set the seconds of computing of a process, counted from its start, where possible."""
    prlimit = getattr(resource, "prlimit", None)
    if prlimit is None:
        return
    try:
        _, hard = prlimit(process, resource.RLIMIT_CPU)
        soft = min(seconds, limits.cpu)
        prlimit(process, resource.RLIMIT_CPU, (min(soft, hard) if hard > 0 else soft, hard))
    except OSError:
        return  # it ended already


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("process", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


def drop_privileges() -> bool:
    """Drop all capabilities, whoever runs this, and gain none by starting another program."""
    if not LINUX:
        return False
    for capability in range(64):
        if not _prctl(_CAPBSET_DROP, capability):
            break  # beyond the last, or not ours to drop
    header = _CapHeader(0x2008_0522, 0)
    data = (_CapData * 2)()
    libc = c_library()
    if libc.capget(ctypes.byref(header), ctypes.byref(data)) != 0:
        return False
    kept = data[0].effective & (1 << _CAP_DAC_READ_SEARCH)  # root reads other people's clips
    data[0] = _CapData(kept, kept, 0)
    data[1] = _CapData(0, 0, 0)
    emptied = libc.capset(ctypes.byref(header), ctypes.byref(data)) == 0
    return bool(_prctl(_NO_NEW_PRIVS, 1) and emptied)


def single_threaded() -> bool:
    """Tell whether this process has one thread alone, as far as the system says."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False
