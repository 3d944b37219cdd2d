"""Python imports this module by itself where its folder is on the path: the suite's watch over the network.

Every process of the suite, those it starts included, has an audit hook (PEP 578) that refuses to look up or to reach
another machine, and writes down that it was tried. This machine itself may be reached: workers talk to each other.
"""

from __future__ import annotations

import ipaddress
import os
import sys

_EVENTS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
}


def _elsewhere(address: object) -> bool:
    """Whether an address or a host's name is of another machine."""
    host = address[0] if isinstance(address, tuple) and address else address
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or not isinstance(host, str) or host == "" or host == "localhost" or "/" in host:
        return False  # no host, a socket of the file system, or this machine
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_loopback and host not in ("0.0.0.0", "::")
    except ValueError:
        return host != os.uname().nodename


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    place = _EVENTS.get(event)
    if place is None or len(arguments) <= place or not _elsewhere(arguments[place]):
        return
    log = os.environ.get("MAKAR_NETWORK_LOG")
    if log:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, f"{event} {arguments[place]!r} in {sys.argv[:3]}\n".encode())
        os.close(handle)
    raise RuntimeError(f"the suite reached for the network: {event} {arguments[place]!r}")


sys.addaudithook(_watch)
