"""Found by every Python process of a watched server: writes down each way out that is tried.

Python's own audit events, which nothing in the process can switch off. A line of the file that
`NETWORK_GUARD` names is an address beyond this machine; "ready" says that a process is watched.
"""

import ipaddress
import os
import sys

_EVENTS = {
    "socket.connect",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
}
_file = os.environ.get("NETWORK_GUARD")


def _leaves(host: object) -> bool:
    text = host.decode("utf-8", "replace") if isinstance(host, bytes) else host
    if text in (None, "", "localhost"):
        return False
    try:
        return not ipaddress.ip_address(str(text).split("%")[0]).is_loopback
    except ValueError:
        return True  # a name: somebody would have to be asked for it


def _say(line: str) -> None:
    with open(str(_file), "a", encoding="utf-8") as log:
        log.write(f"{line}\n")


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _EVENTS:
        return
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        address = arguments[1]
        if not isinstance(address, tuple):
            return  # a socket of this machine's file system
        host = address[0]
    if _leaves(host):
        _say(f"{event} {host!r} by {os.path.basename(sys.argv[0] or 'python')}")


if _file:
    sys.addaudithook(_watch)
    _say("ready")
