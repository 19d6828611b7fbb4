"""Checks the connection from jobs of a GitLab context to this machine, and proposes its name. Every call blocks."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from wsdash.backend.access.relay.process import RelayProcess
from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.access.sightings import Reached
from wsdash.backend.providers.types import Finding

CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class ConnectResult:
    """The result of connecting to the relay as a job does: the first bytes of the answer, or the problem."""

    addresses: tuple[str, ...]
    answer: bytes = b""
    problem: str = ""


def findings(client: RelayClient, bind: str, contexts: Sequence[str]) -> Iterator[Finding]:
    """Check the relay, its address, and whether jobs of these contexts have connected by it. Raises `PathError`."""
    address = client.address
    where = f"{address.host} port {address.port}"
    reached = connect(address.host, address.port, is_running=client.is_running())
    yield from name_findings(address.host, bind, reached.addresses)
    if not reached.addresses:
        return
    if (problem := client.process.problem()) is not None:
        yield Finding("blocked", f"the relay cannot listen: {problem}", problem.hint)
        return
    if client.is_running():
        yield from relay_findings(where, reached)
    else:
        yield Finding("ok", f"the relay starts with the first workspace of a GitLab, at {where}")
    known = client.reached()
    for context in contexts:
        yield finding_of_way(context, address.text, known.get(context))


def finding_of_way(context: str, address: str, reached: Reached | None) -> Finding:
    """Report whether a job of the context has connected by this address, `HOST PORT`."""
    host, _, port = address.rpartition(" ")
    if reached is not None and reached.address == address:
        return Finding("ok", f"a job of {context} has connected by {host} port {port}, from {reached.host}")
    return Finding(
        "warning",
        f"no job of {context} has connected by {host} port {port} yet, so the way is untested",
        f"Firewalls must let TCP port {port} in from the runners; the first workspace in {context} tests it.",
    )


def way_of(process: RelayProcess, reached: Reached | None) -> str:
    """Return `works` if a job of the context has connected by the present address, else `untested`; `none` without
    one.
    """
    if not process.host:
        return "none"
    is_tested = reached is not None and reached.address == f"{process.host} {process.known_port()}"
    return "works" if is_tested else "untested"


def proposals(url: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Names and addresses by which runners may reach this machine, the most likely one first.

    The machine's full name, if it is that of one of its own addresses; its address on the way to the GitLab at `url`;
    the address by which the user has logged in.
    """
    routed = _address_towards(urlsplit(url).hostname or "")
    login = (environ.get("SSH_CONNECTION", "").split(" ") + [""] * 3)[2].partition("%")[0]
    own = [found for found in (routed, login) if found]
    name = socket.getfqdn()
    is_own = "." in name and bool(set(_addresses_of(name)) & set(own))
    return list(dict.fromkeys([*([name] if is_own and not _is_loopback(own[0]) else []), *own]))


def needs_ipv6(host: str) -> bool:
    """Whether the name has only IPv6 addresses, so that a relay must listen at `::`."""
    found = _addresses_of(host)
    return bool(found) and all(":" in address for address in found)


def _address_towards(host: str) -> str:
    """Return this machine's address for connections to the host; "" if there is no route. No packet is sent."""
    with suppress(OSError):
        for family, kind, _, _, where in socket.getaddrinfo(host, 443, type=socket.SOCK_DGRAM):
            with suppress(OSError), socket.socket(family, kind) as probe:
                probe.connect(where)
                return str(probe.getsockname()[0]).partition("%")[0]
    return ""


def _addresses_of(host: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))


def name_findings(host: str, bind: str, addresses: tuple[str, ...]) -> Iterator[Finding]:
    """Check that the relay listens at the addresses of the name, as far as this machine knows them."""
    if not addresses:
        text = f"this machine cannot resolve {host}, the name that jobs connect to"
        yield Finding("blocked", text, "Set host in [access] to a name that runners can resolve.")
        return
    here = [address for address in addresses if ipaddress.ip_address(address).is_loopback]
    if _is_loopback(bind) and len(here) < len(addresses):
        text = f"the relay listens only at {bind}, but {host} resolves to {', '.join(addresses)}"
        yield Finding(
            "blocked", text, 'Set bind in [access], such as bind = "0.0.0.0", or "::" for IPv6 too.'
        )
    elif _is_ipv4(bind) and all(":" in address for address in addresses):
        text = f"the relay listens only at {bind}, an IPv4 address, but {host} has only IPv6 addresses"
        yield Finding("blocked", text, 'Set bind = "::" in [access], which means all addresses.')
    elif len(here) == len(addresses):
        text = f"{host} is a loopback address: only jobs on this machine can connect to it"
        yield Finding("warning", text, "Set host to this machine's name as runners see it.")


def relay_findings(where: str, reached: ConnectResult) -> Iterator[Finding]:
    """Report which program answers at the relay's address."""
    if reached.problem:
        text = f"the relay cannot be reached at {where}: {reached.problem}"
        hint = "Check the name, bind, and the firewall for that port: it must let TCP in from the runners."
        yield Finding("blocked", text, hint)
    elif reached.answer.startswith(b"SSH-2.0-wsdash"):
        text = f"the relay answers at {where}; runners must reach it there too"
        yield Finding("ok", text)
    else:
        text = f"another program answers at {where}"
        yield Finding("blocked", text, "Set another port in [access] of config.toml.")


def _is_ipv4(bind: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(bind).version == 4
    return False


def _is_loopback(bind: str) -> bool:
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"


def connect(host: str, port: int, *, is_running: bool) -> ConnectResult:
    """Connect to the relay as a job does, if it is running."""
    addresses = _addresses_of(host)
    if not (addresses and is_running):
        return ConnectResult(addresses)
    try:
        with socket.create_connection((host, port), CONNECT_S) as line:
            line.settimeout(CONNECT_S)
            return ConnectResult(addresses, line.recv(64))
    except OSError as error:
        return ConnectResult(addresses, problem=error.strerror or str(error))
