"""Checks that jobs can reach the relay by the host name that they are given."""

from __future__ import annotations

import ipaddress
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from wsdash.backend.providers.types import Finding
from wsdash.config.settings import load_config
from wsdash.paths import Paths

CONNECT_S = 5.0
OLDEST_SSH = (8, 2)
"""The first version with what wsdash uses: `^` before a list of ciphers, certificates signed by sk and ed25519 keys."""
_VERSION = re.compile(r"OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class ConnectResult:
    """The result of connecting to the relay as a job does: the first bytes of the answer, or the problem."""

    addresses: tuple[str, ...]
    answer: bytes = b""
    problem: str = ""


def access_findings(paths: Paths) -> Iterator[Finding]:
    """Yield findings about ssh: for local workspaces, and by the relay if a context is a GitLab.

    Raises `ConfigError`.
    """
    from wsdash.backend.access.local_sshd import why_no_terminal
    from wsdash.backend.access.relay_client import RelayClient

    if (reason := why_no_terminal()) is not None:
        yield Finding(
            "warning",
            f"{reason}: `ssh -t NAME.wsdash` opens no shell in local workspaces",
            "`wsdash ssh NAME` opens one.",
            subject="ssh",
        )
    config = load_config(paths.config_file)
    if not any(context.gitlab is not None for context in config.contexts.values()):
        return
    if config.access.host is None:
        text = "workspaces of a GitLab cannot be entered: their jobs do not know the address of this machine"
        yield Finding("warning", text, "Set host in [access] of config.toml (docs/access.md).")
        return
    if shutil.which("ssh") is None:
        yield Finding("blocked", "ssh is not installed on this machine", "Install openssh-client.")
        return
    yield from client_findings(_version_of_ssh())
    relay_client = RelayClient(paths, config.access)
    address = relay_client.address
    where = f"{address.host} port {address.port}"
    reached = _connect(address.host, address.port, is_running=relay_client.is_running())
    yield from name_findings(address.host, config.access.bind, reached.addresses)
    if not reached.addresses:
        return
    if relay_client.is_running():
        yield from relay_findings(where, reached)
    elif (problem := relay_client.process.problem()) is not None:
        yield Finding("blocked", f"the relay cannot listen: {problem}", problem.hint)
    else:
        yield Finding("ok", f"the relay starts with the first workspace of a GitLab, at {where}")


def client_findings(version: str) -> Iterator[Finding]:
    """Check the version in the output of `ssh -V`."""
    found = _VERSION.search(version)
    if found is None:
        text = f"`ssh -V` prints {version.strip()[:60]!r}: only OpenSSH is known to work"
        yield Finding("warning", text, subject="ssh")
    elif (int(found[1]), int(found[2])) < OLDEST_SSH:
        oldest = ".".join(map(str, OLDEST_SSH))
        yield Finding(
            "blocked", f"{found[0]} is too old", f"Install OpenSSH {oldest} or newer.", subject="ssh"
        )
    else:
        yield Finding("ok", found[0].replace("_", " "), subject="ssh")


def name_findings(host: str, bind: str, addresses: tuple[str, ...]) -> Iterator[Finding]:
    """Check that the relay listens at the addresses of the name, as far as this machine knows them."""
    if not addresses:
        text = f"this machine cannot resolve {host}, the name that jobs connect to"
        yield Finding("blocked", text, "Set host in [access] to a name that runners can resolve.")
        return
    here = [address for address in addresses if ipaddress.ip_address(address).is_loopback]
    if _is_loopback(bind) and len(here) < len(addresses):
        text = f"the relay listens only at {bind}, but {host} resolves to {', '.join(addresses)}"
        yield Finding("blocked", text, 'Set bind in [access], such as bind = "0.0.0.0".')
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


def _is_loopback(bind: str) -> bool:
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"


def _version_of_ssh() -> str:
    done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False, timeout=CONNECT_S)
    return done.stderr


def _connect(host: str, port: int, *, is_running: bool) -> ConnectResult:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return ConnectResult(())
    addresses = tuple(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))
    if not is_running:
        return ConnectResult(addresses)
    try:
        with socket.create_connection((host, port), CONNECT_S) as line:
            line.settimeout(CONNECT_S)
            return ConnectResult(addresses, line.recv(64))
    except OSError as error:
        return ConnectResult(addresses, problem=error.strerror or str(error))
