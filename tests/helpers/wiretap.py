"""A network namespace of its own whose only way out is a wire that somebody reads.

Run as a program: `unshare --net --mount python wiretap.py FILE COMMAND…`. The command sees this
machine's loopback and a default route; every packet that takes it is written to FILE, one line
each, and goes nowhere. Sees native code too, which no hook in Python does. Linux, with the
rights to make a namespace.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

_TUNSETIFF = 0x400454CA
_TUN, _NO_PACKET_INFO = 0x0001, 0x1000
NAMESERVER = "192.0.2.53"  # TEST-NET-1 (RFC 5737): nobody's
UNSHARE = ("unshare", "--net", "--mount")


def possible() -> bool:
    """Return whether this machine lets the tests make such a namespace."""
    if not all(map(shutil.which, ("unshare", "ip", "mount"))):
        return False
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "packets"
        done = subprocess.run(
            [*UNSHARE, sys.executable, __file__, str(file), "true"],
            check=False,
            capture_output=True,
            timeout=30,
        )
        return done.returncode == 0


def _open_wire() -> int:
    wire = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(wire, _TUNSETIFF, struct.pack("16sH14x", b"wire", _TUN | _NO_PACKET_INFO))
    for words in (
        "link set lo up",
        "addr add 198.51.100.1/24 dev wire",
        "-6 addr add 2001:db8::1/64 dev wire nodad",
        "link set wire up",
        "route add default dev wire",
        "-6 route add default dev wire",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    return wire


def _own_nameserver() -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False) as file:
        file.write(f"nameserver {NAMESERVER}\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)
    os.unlink(file.name)


def _target(packet: bytes) -> str | None:
    """Return where a packet was to go; None for the kernel's own talk with its neighbours."""
    if packet[0] >> 4 == 4:
        address = ipaddress.ip_address(packet[16:20])
        protocol, rest = packet[9], packet[(packet[0] & 15) * 4 :]
    else:
        address = ipaddress.ip_address(packet[24:40])
        protocol, rest = packet[6], packet[40:]
    if address.is_multicast:
        return None
    port = struct.unpack("!H", rest[2:4])[0] if protocol in (6, 17) else 0
    # After the headers of UDP (8 bytes) and DNS (12), the name that is asked for.
    asked = rest[20:].split(b"\0", 1)[0] if protocol == 17 and port == 53 else b""
    return f"{address} protocol {protocol} port {port} {asked!r}"


def _read(wire: int, file: str) -> None:
    with open(file, "a", encoding="utf-8", buffering=1) as log:
        while True:
            target = _target(os.read(wire, 65536))
            if target is not None:
                log.write(f"{target}\n")


def main(file: str, *command: str) -> int:
    """Run the command on the wire; return its exit code."""
    _own_nameserver()
    wire = _open_wire()
    Path(file).touch()
    threading.Thread(target=_read, args=(wire, file), daemon=True).start()
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
