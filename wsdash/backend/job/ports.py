"""The ports of a workspace: those that its devfile declares, and those that its processes listen on. Pure; the
latter are untrusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wsdash.sanitize import one_line
from wsdash.workload import Port

MOST_BYTES = 64 * 1024
TIMEOUT_S = 10.0
_LINE = re.compile(r"([0-9A-F]{8}|[0-9A-F]{32}) ([0-9A-F]{4}) (.*)")
_LOOPBACK = re.compile(r"[0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F")
"""Loopback addresses: 127.0.0.0/8, ::1, and 127.0.0.0/8 mapped to IPv6, in the kernel's byte order (proc_pid_net(5)).
"""


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that listens on a port; `loopback`: on the loopback interface only. `program` is its name."""

    number: int
    loopback: bool
    program: str


@dataclass(frozen=True, slots=True)
class OpenPort:
    """A port of a workspace: its declaration in the devfile, its listener, or both."""

    number: int
    declared: Port | None
    listener: Listener | None


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a workspace. `is_known`: the job reported its listeners; otherwise no port has one."""

    ports: tuple[OpenPort, ...]
    is_known: bool


def listeners(output: bytes) -> tuple[Listener, ...]:
    """Parse the output of ports.sh; of several listeners on a port, prefer one on all interfaces."""
    found: dict[int, Listener] = {}
    for line in output.decode("utf-8", "replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or not (number := int(match[2], 16)):
            continue
        one = Listener(number, _LOOPBACK.fullmatch(match[1]) is not None, match[3][:64])
        if number not in found or (found[number].loopback and not one.loopback):
            found[number] = one
    return tuple(found[number] for number in sorted(found))


def ports(declared: Iterable[Port], listening: Iterable[Listener] | None) -> Ports:
    """Merge declared and listening ports, sorted by number. `listening` is None if the job did not report any."""
    by_number = {listener.number: listener for listener in listening or ()}
    of_devfile = [OpenPort(port.number, port, by_number.get(port.number)) for port in declared]
    known = {port.number for port in of_devfile}
    found = [OpenPort(number, None, by_number[number]) for number in by_number.keys() - known]
    every = sorted([*of_devfile, *found], key=lambda port: port.number)
    return Ports(tuple(every), listening is not None)


def listens(port: OpenPort, *, is_known: bool) -> str:
    """Describe the listener: `node`, `nothing yet`, or "" where it is unknown."""
    if port.listener is None:
        return "nothing yet" if is_known else ""
    return f"{one_line(port.listener.program)}{', from within only' if port.listener.loopback else ''}"
