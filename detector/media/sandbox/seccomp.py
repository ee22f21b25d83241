"""Seccomp (Linux 3.17, Drewry): a list of system calls that decoding needs; all others fail.

Among the others are those for network, programs, other processes, and memory that is made
executable. The filter is classic BPF over `struct seccomp_data` (linux/seccomp.h, linux/filter.h).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Sequence

from detector.media.sandbox.linux import CLONE_THREAD, LINUX, SET_NAME, c_library

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

MACHINES = {"x86_64": 0, "aarch64": 1, "arm64": 1}  # places in the pairs of numbers above
_ARCHITECTURES = (0xC000_003E, 0xC000_00B7)

_ALLOW, _KILL, _ERRNO = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_EPERM, _ENOTTY, _ENOSYS = 1, 25, 38
_PROT_EXEC = 4

# Steps of BPF: load a word of the call, compare, return.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # offsets of the call's number and of the machine


def _argument(place: int, high: bool = False) -> int:
    """Return the offset of the lower (or higher) half of an argument of the call."""
    return 16 + 8 * place + (4 if high else 0)


_Instruction = tuple[int, int, int, int]


def _when(number: int, body: Sequence[_Instruction]) -> list[_Instruction]:
    """Return the steps that run `body`, which must return, for the call of that number."""
    return [(_EQUAL, 0, len(body), number), *body]


def filter_program(machine: int, process: int, callbacks: bool = False) -> bytes:
    """Assemble the filter.

    Args:
        machine: 0 for x86-64, 1 for 64-bit ARM.
        process: id of the process, which may signal itself (`abort`).
        callbacks: memory may be made executable, as foreign functions need that call back.

    Returns:
        Instructions of BPF, 8 bytes each.
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
        [(_LOAD, 0, 0, _argument(0)), (_ANY_BIT, 0, 1, CLONE_THREAD), allow, deny],
    )
    no_code = [(_LOAD, 0, 0, _argument(2)), (_ANY_BIT, 1, 0, _PROT_EXEC), allow, deny]
    for number in (_MMAP[machine], _MPROTECT[machine]):
        program += _when(number, [allow] if callbacks else no_code)
    program += _when(
        _PRCTL[machine], [(_LOAD, 0, 0, _argument(0)), (_EQUAL, 0, 1, SET_NAME), allow, deny]
    )
    program += _when(  # limits may be read
        _PRLIMIT[machine],
        [
            (_LOAD, 0, 0, _argument(2)),
            (_EQUAL, 0, 3, 0),
            (_LOAD, 0, 0, _argument(2, True)),
            (_EQUAL, 0, 1, 0),
            allow,
            deny,
        ],
    )
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
    """Let every thread of this process make only these calls; False where that is not possible."""
    machine = MACHINES.get(platform.machine())
    if not LINUX or machine is None:
        return False
    code = filter_program(machine, os.getpid(), callbacks)
    program = _Program(len(code) // 8, code)
    return bool(c_library().syscall(_SECCOMP[machine], 1, 1, ctypes.byref(program)) == 0)
