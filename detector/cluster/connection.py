"""Reaching a Ray cluster, or starting one on this machine; what does not answer is one sentence."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from detector.errors import ClusterError
from detector.files import ROOT

LOCAL = "local"
ANSWERS_WITHIN = 20.0  # seconds
_PORT_WITHIN = 5.0
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})", re.ASCII)
# Asked in a process of its own: of a port that is no Ray's, Ray may wait for minutes or abort.
_ASK = """
import sys, ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="CRITICAL")
sys.exit(0 if ray.is_initialized() else 1)
"""


@dataclass(frozen=True)
class Node:
    """One machine of a cluster: its id, and what Ray may use of it."""

    id: str
    cpus: float
    gpus: float


@contextlib.contextmanager
def cluster(address: str) -> Iterator[None]:
    """Connect Ray to `address` for as long as the context lasts.

    Args:
        address: "local" starts one on all cores of this machine and ends it; "auto" is the one
            that runs on this machine; else "host:6379".

    Raises:
        ClusterError: Ray is not installed, or the address does not answer.
    """
    ray = import_ray(address)
    # Workers import this very folder; where it lies is the same on every node.
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with contextlib.ExitStack() as stack:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address == LOCAL:
            folder = tempfile.mkdtemp(prefix="vf-ray-", dir=_short_folder())
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            stack.enter_context(_environment(PYTHONPATH=paths, TMPDIR=folder))
            begin = {
                "address": "local",
                "num_cpus": _cores(),
                "include_dashboard": False,
                "_temp_dir": folder,
                "_node_ip_address": "127.0.0.1",  # for nobody else
            }
        else:
            check_answers(address)
            begin = {"address": address, "runtime_env": {"env_vars": {"PYTHONPATH": paths}}}
        stack.callback(ray.shutdown)
        try:
            ray.init(**begin, **quiet)
        except Exception as error:  # Ray has no common error for this
            raise _silent(address, _last_line(str(error))) from error
        yield


def import_ray(address: str) -> Any:
    """Import Ray, told to report nothing of its use; raises ClusterError where it is missing.

    Args:
        address: that will be connected to, see `cluster`.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address == LOCAL and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        # A password for this process alone; else Ray keeps one in the home folder. It is read
        # when Ray is imported.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ClusterError(
            "Ray is not installed; run “pip install -r requirements.cluster.txt”, or scan without "
            "--ray."
        ) from error
    return ray


def check_answers(address: str, within: float = ANSWERS_WITHIN) -> None:
    """Raise ClusterError after at most `within` s unless a Ray cluster answers at this address."""
    if address != "auto":
        if address.startswith("ray://"):
            raise ClusterError(
                "Ray Data does not run through Ray Client (ray://); call this on a machine of the "
                "cluster with --ray auto, or name the cluster's own address, such as host:6379."
            )
        match = _ADDRESS.fullmatch(address)
        if match is None or not 0 < int(match[2]) < 65536:
            raise ClusterError(
                f"“{address[:80]}” is no address of a Ray cluster; write local, auto or host:6379."
            )
        try:
            place = (match[1].strip("[]"), int(match[2]))
            socket.create_connection(place, min(_PORT_WITHIN, within)).close()
        except OSError as error:
            raise _silent(address, error.strerror or str(error)) from error
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK, address],
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _silent(address, f"nothing within {within:.0f} s") from error
    if asked.returncode:
        raise _silent(address, _last_line(asked.stderr))


def nodes() -> tuple[Node, ...]:
    """Return the cluster's machines that have processors to offer."""
    ray: Any = importlib.import_module("ray")  # its types leave `nodes` out
    return tuple(
        Node(node["NodeID"], node["Resources"]["CPU"], node["Resources"].get("GPU", 0.0))
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) > 0
    )


def _cores() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _short_folder() -> str:
    """Return a folder for Ray's sockets, whose paths may have 107 letters, of which it needs 75."""
    usual = tempfile.gettempdir()
    return usual if len(usual) < 20 else "/tmp"  # noqa: S108  # mkdtemp makes its own in it


def _silent(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"No Ray cluster answers at {address} ({reason}); check the address and that the cluster "
        "runs, or use --ray local."
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300].rstrip(".") if lines else "no reason was given"


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set these variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
