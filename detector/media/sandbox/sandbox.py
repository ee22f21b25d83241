"""Close a sandbox around the process that reads files from strangers: it cannot be undone.

A video decoder is a million lines of C that a file from anybody steers. So that a mistake in it
costs one analysis and not the machine, the process that runs it gives up, for good and before it
sees the first byte of the clip, whatever decoding does not need. Defences, each useful alone:

- resource limits (`linux`): memory, computing time, size of files written (none), core dumps
  (none);
- Landlock (`landlock`): reads the clip and Python's own libraries, writes nowhere;
- seccomp (`seccomp`): makes only the system calls that decoding needs;
- an empty network namespace, and no capabilities (`linux`);
- `no_new_privs`, and the end of the process when its parent ends (`linux`).

Where a system denies one of them (a container, another kernel), the others still hold, and
`close_in` says which.
"""

from __future__ import annotations

import platform
import resource
from collections.abc import Sequence
from dataclasses import dataclass

from detector.limits import Limits
from detector.media.sandbox.landlock import landlock_version, library_folders, lock_files
from detector.media.sandbox.linux import (
    GRACE,
    LINUX,
    drop_privileges,
    limit_resources,
    single_threaded,
)
from detector.media.sandbox.seccomp import filter_calls


@dataclass(frozen=True)
class Defence:
    """One part of the sandbox.

    Attributes:
        name: one of `DEFENCES`.
        holds: it is in force.
        about: what it does, or why it is missing; a clause without a full stop.
    """

    name: str
    holds: bool
    about: str


DEFENCES = ("memory", "time", "files", "system calls", "network", "privileges", "parent")


def close_in(
    clip: int | None,
    limits: Limits,
    seconds: int,
    *,
    network: bool,
    parent: bool,
    callbacks: bool = False,
) -> tuple[Defence, ...]:
    """Close the sandbox around this process, for good.

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
    return _defences(limits, privileges, files, calls, network, parent)


def _defences(
    limits: Limits, privileges: bool, files: int, calls: bool, network: bool, parent: bool
) -> tuple[Defence, ...]:
    memory = _holds("RLIMIT_DATA", limits.memory) or _holds("RLIMIT_AS", limits.memory + (3 << 30))
    time = _holds("RLIMIT_CPU", limits.cpu + GRACE)
    denied = "this system denies it" if LINUX else f"there is no such layer on {platform.system()}"
    closed = [
        words
        for held, words in (
            (network, "a namespace with nothing in it"),
            (calls, "no sockets by seccomp"),
            (files >= 4, "no TCP by Landlock"),
        )
        if held
    ]
    about = {
        "memory": f"at most {limits.memory / 2**30:.3g} GiB"
        if memory
        else "this system does not enforce it",
        "time": "a limit of computing time, and a watch over its progress",
        "files": f"reads the clip and Python's libraries, writes nowhere (Landlock {files})"
        if files
        else f"no Landlock: {denied}; files of any size but 0 cannot be written all the same",
        "system calls": "no programs, no other processes, no sockets, no new code (seccomp)"
        if calls
        else f"no seccomp: {denied}",
        "network": f"none ({', '.join(closed)})" if closed else f"not closed: {denied}",
        "privileges": "no capabilities, and none to be gained"
        if privileges
        else f"as the app's own: {denied}",
        "parent": "ends when the app ends, whatever it does"
        if parent
        else "ends when the app ends, unless it hangs just then",
    }
    holds = (memory, time, files > 0, calls, bool(closed), privileges, parent)
    return tuple(
        Defence(name, held, about[name]) for name, held in zip(DEFENCES, holds, strict=True)
    )


def lines(defences: Sequence[Defence]) -> tuple[str, ...]:
    """Say what holds and what does not, one line a defence, for people."""
    return tuple(
        f"{defence.name}: {defence.about}"
        if defence.holds
        else f"{defence.name}: not held, {defence.about}"
        for defence in defences
    )


def _holds(name: str, most: int) -> bool:
    number = getattr(resource, name, None)
    if number is None:
        return False
    soft, _ = resource.getrlimit(number)
    return soft != resource.RLIM_INFINITY and soft <= most
