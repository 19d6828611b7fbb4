"""Finds ports for the relay, listens on them, and names the program that uses a port."""

from __future__ import annotations

import errno
import ipaddress
import os
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

BACKLOG = 256
_PROC = Path("/proc")
_RANGE = Path("sys/net/ipv4/ip_local_port_range")
_USUAL_RANGE = (32768, 60999)
"""Linux's default, if the present range is unreadable."""
_LOWEST, _HIGHEST = 10000, 65535
_TRIES = 200
_EVERYWHERE = "::"


class CannotListen(OSError):
    """The relay cannot listen at its address; `hint` is the remedy."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def ephemeral_ports(proc: Path = _PROC) -> range:
    """Return the ports that the kernel chooses from for outgoing connections (ip(7), ip_local_port_range)."""
    low, high = _USUAL_RANGE
    with suppress(OSError, ValueError):
        low, high = map(int, (proc / _RANGE).read_text().split())
    return range(low, high + 1)


def choose_port(bind: str, ephemeral: range) -> int:
    """Return a free port, if possible one that no outgoing connection may get. Raises `OSError`."""
    outside = [port for port in range(_LOWEST, _HIGHEST + 1) if port not in ephemeral]
    for port in random.sample(outside, min(_TRIES, len(outside))):
        with suppress(OSError), listen(bind, port):
            return port
    with listen(bind, 0) as probe:
        found: int = probe.getsockname()[1]
        return found


def listen(bind: str, port: int) -> socket.socket:
    """Return a listening socket; `::` means all addresses of this machine, IPv4 included. Raises `OSError`.

    A name is resolved to an IPv4 address if it has one.
    """
    found = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    both = bind == _EVERYWHERE and socket.has_dualstack_ipv6()
    return socket.create_server(where[:2], family=family, backlog=BACKLOG, dualstack_ipv6=both)


def check(bind: str, port: int) -> None:
    """Raise `CannotListen`, with the reason, if it is impossible to listen there now."""
    try:
        listen(bind, port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            holder = holder_of(port)
            message = f"port {port} is used by {holder or 'another program'}"
            raise CannotListen(message, "Set port in [access] of config.toml to a free port.") from error
        if error.errno in (errno.EACCES, errno.EPERM):
            message = f"port {port} is not allowed: {error.strerror}"
            raise CannotListen(
                message, "Set port in [access] of config.toml to a port above 1023."
            ) from error
        message = f"the relay cannot listen at {bind}: {error.strerror or error}"
        hint = "Set bind in [access] of config.toml to an address of this machine."
        raise CannotListen(message, hint) from error


def holder_of(port: int, proc: Path = _PROC) -> str:
    """Return `NAME (pid N)` of a process that has the port; "" if it is not visible, as for other users'."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _inodes(proc / "net" / table, port)}
    for process in proc.iterdir() if inodes else ():
        if process.name.isdigit() and _has_socket(process / "fd", inodes):
            with suppress(OSError):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""


def _inodes(table: Path, port: int) -> Iterator[str]:
    """Yield the inodes of the sockets with this local port, from /proc/net/tcp (proc(5))."""
    with suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            columns = line.split()
            if len(columns) > 9 and int(columns[1].rpartition(":")[2], 16) == port and columns[9] != "0":
                yield columns[9]


def _has_socket(descriptors: Path, inodes: set[str]) -> bool:
    with suppress(OSError):
        for one in os.scandir(descriptors):
            with suppress(OSError):
                if os.readlink(one).removeprefix("socket:[").removesuffix("]") in inodes:  # noqa: PTH115
                    return True
    return False


def plain_host(text: str) -> str:
    """Return a host as ssh and the resolver accept it: an IPv6 address without brackets."""
    inner = text.removeprefix("[").removesuffix("]")
    with suppress(ValueError):
        ipaddress.IPv6Address(inner.partition("%")[0])
        return inner
    return text
