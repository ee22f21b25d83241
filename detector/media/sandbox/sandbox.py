"""A cage for the process that reads files from strangers: what it holds, it cannot undo.

A video decoder is a million lines of C that a file from anybody steers. So that a mistake in it
costs one analysis and not the machine, the process that runs it gives up, for good and before it
sees the first byte of the clip, whatever decoding does not need. Layers, each useful alone:

- resource limits: memory, computing time, size of files written (none), core dumps (none);
- Landlock (Linux 5.13, Salaün): reads the clip and Python's own libraries, writes nowhere;
- seccomp (Linux 3.17, Drewry): a list of system calls that decoding needs; all others fail,
  among them those for network, programs, other processes, and memory that is made executable;
- an empty network namespace, and no capabilities;
- `no_new_privs`, and the end of the process when its parent ends.

Where a system denies one of them (a container, another kernel), the others still hold, and
`describe` says which.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import platform
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.limits import Limits

LINUX = sys.platform == "linux"


@dataclass(frozen=True)
class Layer:
    """One part of the cage.

    Attributes:
        name: one of `LAYERS`.
        holds: it is in force.
        about: what it does, or why it is missing; a clause without a full stop.
    """

    name: str
    holds: bool
    about: str


LAYERS = ("memory", "time", "files", "system calls", "network", "privileges", "parent")

_NO_NEW_PRIVS, _SET_SECCOMP, _SET_NAME, _SET_PDEATHSIG, _CAPBSET_DROP = 38, 22, 15, 1, 24
_CLONE_NEWNET, _CLONE_NEWUSER, _CLONE_THREAD = 0x4000_0000, 0x1000_0000, 0x0001_0000
_CAP_DAC_READ_SEARCH = 2
_GRACE = 5  # seconds


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, *values: int) -> bool:
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    return bool(_libc().prctl(option, *padded) == 0)


# --- before the clip is known ---------------------------------------------------------------


def leave_network() -> bool:
    """Move this process into a network namespace of its own, in which nothing is.

    Must be called while the process has one thread; its children inherit the namespace.
    """
    if not LINUX:
        return False
    unshare = _libc().unshare
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


# --- resource limits ------------------------------------------------------------------------


def limit_resources(limits: Limits, seconds: int) -> None:
    """Memory, computing time, no files, no core dump.

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
        "RLIMIT_CPU": (min(seconds, limits.cpu), limits.cpu + _GRACE),
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
            continue  # macOS refuses some of them; `describe` asks what holds


def give_time(process: int, seconds: int, limits: Limits) -> None:
    """Set the computing time of a caged process, counted from its start, where that is possible."""
    prlimit = getattr(resource, "prlimit", None)
    if prlimit is None:
        return
    try:
        _, hard = prlimit(process, resource.RLIMIT_CPU)
        soft = min(seconds, limits.cpu)
        prlimit(process, resource.RLIMIT_CPU, (min(soft, hard) if hard > 0 else soft, hard))
    except OSError:
        return  # it ended already


# --- Landlock -------------------------------------------------------------------------------

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
    """Version of Landlock's interface; 0 where the system has none, or denies it."""
    if not LINUX or platform.machine() not in _MACHINES:
        return 0
    return max(int(_libc().syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)), 0)


def lock_files(clip: int | None, folders: Iterable[Path]) -> bool:
    """Let this thread, and those it starts, read one file and some folders, and nothing else.

    Args:
        clip: descriptor of the file; None for none.
        folders: that may be read.
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
    libc = _libc()
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
    """Folders with Python's libraries and this package: what a late import reads."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = {Path(sysconfig.get_path(name)) for name in names}
    return sorted(paths | {Path(__file__).resolve().parent})


# --- seccomp --------------------------------------------------------------------------------

# Name -> number on x86-64 and on 64-bit ARM; None where the machine has no such call.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "open": (2, None), "close": (3, 57), "stat": (4, None),
    "fstat": (5, 80), "lstat": (6, None), "poll": (7, None), "lseek": (8, 62),
    "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67),
    "readv": (19, 65), "writev": (20, 66), "access": (21, None), "select": (23, None),
    "sched_yield": (24, 124), "mremap": (25, 216), "mincore": (27, 232), "madvise": (28, 233),
    "dup": (32, 23), "nanosleep": (35, 101), "getpid": (39, 172), "sendto": (44, 206),
    "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212), "exit": (60, 93),
    "uname": (63, 160), "fcntl": (72, 25), "getcwd": (79, 17), "readlink": (89, None),
    "gettimeofday": (96, 169), "getrlimit": (97, 163), "getrusage": (98, 165),
    "sysinfo": (99, 179), "times": (100, 153), "getuid": (102, 174), "getgid": (104, 176),
    "geteuid": (107, 175), "getegid": (108, 177), "getppid": (110, 173),
    "sigaltstack": (131, 132), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120),
    "gettid": (186, 178), "time": (201, None), "futex": (202, 98), "sched_getaffinity": (204, 123),
    "getdents64": (217, 61), "set_tid_address": (218, 96), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "exit_group": (231, 94), "openat": (257, 56), "newfstatat": (262, 79),
    "readlinkat": (267, 78), "faccessat": (269, 48), "pselect6": (270, 72), "ppoll": (271, 73),
    "set_robust_list": (273, 99), "get_robust_list": (274, 100), "sched_getattr": (315, 275),
    "getrandom": (318, 278), "membarrier": (324, 283), "statx": (332, 291), "rseq": (334, 293),
    "faccessat2": (439, 439),
}  # fmt: skip
# Calls whose arguments are looked at.
_CLONE, _CLONE3 = (56, 220), (435, 435)
_MMAP, _MPROTECT = (9, 222), (10, 226)
_PRCTL, _PRLIMIT, _TGKILL, _IOCTL = (157, 167), (302, 261), (234, 131), (16, 29)
_SECCOMP = (317, 277)
_MACHINES = {"x86_64": 0, "aarch64": 1, "arm64": 1}
_ARCHITECTURES = (0xC000_003E, 0xC000_00B7)

_ALLOW, _KILL, _ERRNO = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_EPERM, _ENOTTY, _ENOSYS = 1, 25, 38
_PROT_EXEC = 4

# Classic BPF: load a word of the call, compare, return (linux/filter.h, linux/seccomp.h).
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4


def _argument(place: int, high: bool = False) -> int:
    return 16 + 8 * place + (4 if high else 0)


_Instruction = tuple[int, int, int, int]


def _when(number: int, body: Sequence[_Instruction]) -> list[_Instruction]:
    """`body` where the call has that number; it must return. The number is loaded before."""
    return [(_EQUAL, 0, len(body), number), *body]


def filter_program(machine: int, process: int, callbacks: bool = False) -> bytes:
    """The seccomp filter as BPF.

    Args:
        machine: 0 for x86-64, 1 for 64-bit ARM.
        process: id of the process, which may signal itself (`abort`).
        callbacks: memory may be made executable, as foreign functions need that call back.
    """
    allow, deny = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | _EPERM)
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == 0:  # the x32 numbers
        program += [(_AT_LEAST, 0, 1, 0x4000_0000), (_RETURN, 0, 0, _KILL)]
    # Threads yes, processes no. The flags of clone3 lie in memory that a filter cannot see:
    # the C library then takes clone.
    program += _when(_CLONE3[machine], [(_RETURN, 0, 0, _ERRNO | _ENOSYS)])
    program += _when(
        _CLONE[machine],
        [(_LOAD, 0, 0, _argument(0)), (_ANY_BIT, 0, 1, _CLONE_THREAD), allow, deny],
    )
    no_code = [(_LOAD, 0, 0, _argument(2)), (_ANY_BIT, 1, 0, _PROT_EXEC), allow, deny]
    for number in (_MMAP[machine], _MPROTECT[machine]):
        program += _when(number, [allow] if callbacks else no_code)
    program += _when(
        _PRCTL[machine], [(_LOAD, 0, 0, _argument(0)), (_EQUAL, 0, 1, _SET_NAME), allow, deny]
    )
    program += _when(  # limits may be read
        _PRLIMIT[machine],
        [(_LOAD, 0, 0, _argument(2)), (_EQUAL, 0, 3, 0), (_LOAD, 0, 0, _argument(2, True)),
         (_EQUAL, 0, 1, 0), allow, deny],
    )  # fmt: skip
    program += _when(
        _TGKILL[machine], [(_LOAD, 0, 0, _argument(0)), (_EQUAL, 0, 1, process), allow, deny]
    )
    program += _when(_IOCTL[machine], [(_RETURN, 0, 0, _ERRNO | _ENOTTY)])
    plain = [numbers[machine] for numbers in _CALLS.values()]
    for number in [n for n in plain if n is not None]:
        program += _when(number, [allow])
    program.append(deny)
    return b"".join(struct.pack("=HBBI", code, yes, no, k) for code, yes, no, k in program)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def filter_calls(callbacks: bool = False) -> bool:
    """Let every thread of this process make only the system calls that decoding needs."""
    machine = _MACHINES.get(platform.machine())
    if not LINUX or machine is None:
        return False
    code = filter_program(machine, os.getpid(), callbacks)
    program = _Program(len(code) // 8, code)
    return bool(_libc().syscall(_SECCOMP[machine], 1, 1, ctypes.byref(program)) == 0)


# --- privileges -----------------------------------------------------------------------------


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("process", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


def drop_privileges() -> bool:
    """No capabilities, whoever runs this, and none by starting another program."""
    if not LINUX:
        return False
    for capability in range(64):
        if not _prctl(_CAPBSET_DROP, capability):
            break  # beyond the last, or not ours to drop
    header = _CapHeader(0x2008_0522, 0)
    data = (_CapData * 2)()
    libc = _libc()
    if libc.capget(ctypes.byref(header), ctypes.byref(data)) != 0:
        return False
    kept = data[0].effective & (1 << _CAP_DAC_READ_SEARCH)  # root reads other people's clips
    data[0] = _CapData(kept, kept, 0)
    data[1] = _CapData(0, 0, 0)
    emptied = libc.capset(ctypes.byref(header), ctypes.byref(data)) == 0
    return bool(_prctl(_NO_NEW_PRIVS, 1) and emptied)


# --- all of it ------------------------------------------------------------------------------


def single_threaded() -> bool:
    """True while this process has one thread, as far as the system tells."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def close_in(
    clip: int | None,
    limits: Limits,
    seconds: int,
    *,
    network: bool,
    parent: bool,
    callbacks: bool = False,
) -> tuple[Layer, ...]:
    """Close the cage around this process, for good.

    Args:
        clip: descriptor of the one file that may be read.
        limits: what it may cost.
        seconds: of computing to begin with.
        network: `leave_network` held.
        parent: `die_with_parent` held.
        callbacks: memory may be made executable; `c2pa` needs it.

    Returns:
        What holds here.
    """
    alone = single_threaded()  # Landlock holds for this thread and those that it starts
    limit_resources(limits, seconds)
    privileges = drop_privileges()
    files = landlock_version()  # asked now: soon the question is not allowed
    if not (privileges and alone and lock_files(clip, library_folders())):
        files = 0
    calls = privileges and filter_calls(callbacks)
    return _layers(limits, privileges, files, calls, network, parent)


def _layers(
    limits: Limits, privileges: bool, files: int, calls: bool, network: bool, parent: bool
) -> tuple[Layer, ...]:
    memory = _holds("RLIMIT_DATA", limits.memory) or _holds("RLIMIT_AS", limits.memory + (3 << 30))
    system = "" if LINUX else f" on {platform.system()}"
    denied = "this system denies it" if LINUX else f"there is no such layer{system}"
    tcp = files >= 4
    return (
        Layer("memory", memory, f"at most {limits.memory / 2**30:.3g} GiB" if memory
              else "this system does not enforce it"),
        Layer("time", _holds("RLIMIT_CPU", limits.cpu + _GRACE),
              "a limit of computing time, and a watch over its progress"),
        Layer("files", files > 0, "reads the clip and Python's libraries, writes nowhere (Landlock "
              f"{files})" if files else f"no Landlock: {denied}; files of any size but "
              "0 cannot be written all the same"),
        Layer("system calls", calls, "no programs, no other processes, no sockets, no new code "
              "(seccomp)" if calls else f"no seccomp: {denied}"),
        Layer("network", network or calls or tcp, "none (" + ", ".join(
            words for held, words in ((network, "a namespace with nothing in it"),
                                      (calls, "no sockets by seccomp"), (tcp, "no TCP by Landlock"))
            if held) + ")" if network or calls or tcp else f"not closed: {denied}"),
        Layer("privileges", privileges, "no capabilities, and none to be gained" if privileges
              else f"as the app's own: {denied}"),
        Layer("parent", parent, "ends when the app ends, whatever it does" if parent
              else "ends when the app ends, unless it hangs just then"),
    )  # fmt: skip


def lines(layers: Sequence[Layer]) -> tuple[str, ...]:
    """What holds and what does not, one line a layer, for people."""
    return tuple(
        f"{layer.name}: {layer.about}" if layer.holds else f"{layer.name}: not held, {layer.about}"
        for layer in layers
    )


def _holds(name: str, most: int) -> bool:
    number = getattr(resource, name, None)
    if number is None:
        return False
    soft, _ = resource.getrlimit(number)
    return soft != resource.RLIM_INFINITY and soft <= most
