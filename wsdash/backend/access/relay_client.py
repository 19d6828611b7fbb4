"""The relay as the rest of wsdash uses it: its address for jobs, the authorized attempts, and the user's ssh."""

from __future__ import annotations

import hashlib
import shlex
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from wsdash.backend.access import proxy_command, sightings
from wsdash.backend.access.grants import LOGIN, Grant, Grants, Unreadable
from wsdash.backend.access.known_hosts import alias_of
from wsdash.backend.access.leftovers import forget
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay.process import RelayProcess
from wsdash.backend.access.relay_address import RelayAddress
from wsdash.backend.access.sightings import Reached, Sighting
from wsdash.backend.access.ssh import files as ssh_files
from wsdash.backend.access.ssh.config import FAST_CIPHERS, TERMINAL_VARIABLES, word
from wsdash.config.settings import Access
from wsdash.paths import Paths


class RelayClient:
    """Starts, asks and configures the relay. Every method blocks."""

    def __init__(self, paths: Paths, settings: Access) -> None:
        self.folder = AccessFolder.of(paths)
        self._settings = settings
        self._keys: tuple[str, str] | None = None

    @property
    def process(self) -> RelayProcess:
        """The process that serves."""
        return RelayProcess(self.folder, self._settings)

    @property
    def address(self) -> RelayAddress:
        """Raises `PathError` and `OSError` where the keys cannot be made, or no port is free."""
        from wsdash.backend.access.keys import make_keys, public_key

        if self._keys is None:
            make_keys(self.folder)
            self._keys = public_key(self.folder.host_key), public_key(self.folder.user_key)
        host_key, user_key = self._keys
        mark = hashlib.sha256(host_key.encode()).hexdigest()[:16]
        process = self.process
        return RelayAddress(process.host, process.port(), host_key, user_key, f"wsdash-relay-{mark}")

    def ensure_running(self, before_end: Callable[[], None] = lambda: None) -> None:
        """Start the relay unless it runs with these settings and this code. `before_end` is called before one ends.

        Raises as `address`, and `CannotListen`.
        """
        _ = self.address  # its keys are made
        self.process.ensure(before_end)

    def is_running(self) -> bool:
        """Whether the relay runs."""
        return self.process.is_running()

    def authorize(self, grant: Grant) -> None:
        """Let an attempt enrol, unless it has done so already. Raises `OSError`."""
        grants = Grants(self.folder.grants)
        now = None
        with suppress(Unreadable):  # a damaged grant is replaced
            now = grants.of_workspace(grant.workspace_id)
        if now is None or now.attempt_id != grant.attempt_id:
            grants.write(grant)
        elif not now.job_key:
            grants.write(replace(grant, address=now.address or grant.address))

    def revoke_attempt(self, workspace_id: str) -> None:
        """Accept no job of the workspace until the next attempt is authorized."""
        with suppress(OSError):
            Grants(self.folder.grants).remove(workspace_id)

    def revoke(self, workspace_id: str, name: str) -> None:
        """Remove the grant, the socket and the files of a deleted workspace."""
        with suppress(OSError):
            forget(self.folder, workspace_id, name)
        with suppress(OSError):
            ssh_files.write_users(self.folder)

    def jobs_elsewhere(self) -> list[Grant]:
        """The grants whose jobs hold a tunnel now and know another address of this machine."""
        try:
            grants, address = Grants(self.folder.grants).all(), self.address.text
        except Unreadable:
            return []
        moved = [grant for grant in grants if grant.address and (grant.later or grant.address) != address]
        return [grant for grant in moved if self.is_connected(grant.workspace_id)]

    def note_address(self, grant: Grant) -> None:
        """The grant's job knows the present address now. Raises `OSError`."""
        grants = Grants(self.folder.grants)
        now = grants.of_workspace(grant.workspace_id)
        if now is not None and now.attempt_id == grant.attempt_id:
            grants.write(replace(now, later=self.address.text))

    def grant(self, workspace_id: str) -> Grant | None:
        """The grant of the workspace's newest attempt. Raises `Unreadable`."""
        return Grants(self.folder.grants).of_workspace(workspace_id)

    def sighting(self, workspace_id: str) -> Sighting | None:
        """Return the relay's record of the workspace's job; if that relay has ended, the job is not connected."""
        found = sightings.read(self.folder.seen, workspace_id)
        process = self.process.process() if found is not None and found.is_connected else None
        if found is not None and process is not None and process.pid != found.relay:
            return replace(found, ended_at=found.connected_at)
        return found

    def reached(self) -> dict[str, Reached]:
        """By context, the address by which a job of it has connected last."""
        return sightings.read_reached(self.folder.reached)

    def login(self, workspace_id: str) -> str:
        """The login name of the workspace's job, "" until the job has reported it."""
        with suppress(Unreadable):
            grant = Grants(self.folder.grants).of_workspace(workspace_id)
            if grant is not None and LOGIN.fullmatch(grant.login):
                return grant.login
        return ""

    def is_connected(self, workspace_id: str) -> bool:
        """Whether the workspace's job holds the tunnel now."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self.folder.socket(workspace_id)))
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def connected(self) -> list[str]:
        """The names of the workspaces whose jobs hold a tunnel now."""
        try:
            grants = Grants(self.folder.grants).all()
        except Unreadable:
            return []
        return sorted(grant.name for grant in grants if self.is_connected(grant.workspace_id))

    def ssh(
        self, workspace_id: str, name: str, argv: Sequence[str], *, needs_terminal: bool = False
    ) -> tuple[str, ...]:
        """Return the command of the user's ssh into a workspace, for a shell or a command.

        A shell has a terminal, a command only if it needs one.
        """
        command = [shlex.join(argv)] if argv else []
        return (
            *self._ssh(workspace_id, name),
            *([] if argv and not needs_terminal else ["-t"]),
            f"{name}.wsdash",
            *command,
        )

    def forward(self, workspace_id: str, name: str, where: str, there: int | str) -> tuple[str, ...]:
        """Return the command of the user's ssh that forwards a local address, or a socket's path, to a remote port or
        socket.
        """
        options = ("-N", "-o", "ExitOnForwardFailure=yes", "-o", "StreamLocalBindUnlink=yes")
        return (
            *self._ssh(workspace_id, name),
            *options,
            "-L",
            f"{where}:{there}" if isinstance(there, str) else f"{where}:127.0.0.1:{there}",
            f"{name}.wsdash",
        )

    def _ssh(self, workspace_id: str, name: str) -> tuple[str, ...]:
        """Return ssh's options. SHELL is set because ssh starts its ProxyCommand by it, and the user's would read
        start-up files.
        """
        helper = [
            sys.executable,
            "-S",
            "-E",
            str(Path(proxy_command.__file__)),
            str(self.folder.socket(workspace_id)),
        ]
        login = self.login(workspace_id)
        options = {
            **({"User": login} if login else {}),
            "ProxyCommand": shlex.join([*helper, name]).replace("%", "%%"),
            "ProxyUseFdpass": "yes",
            "HostKeyAlias": alias_of(workspace_id),
            "UserKnownHostsFile": word(self.folder.known_hosts),
            "GlobalKnownHostsFile": word(self.folder.known_hosts),
            "StrictHostKeyChecking": "yes",
            "IdentityFile": word(self.folder.user_key),
            "IdentitiesOnly": "yes",
            "ForwardAgent": "no",
            "SendEnv": TERMINAL_VARIABLES,
            "ServerAliveInterval": "15",
            "Ciphers": FAST_CIPHERS,
            "LogLevel": "ERROR",
        }
        named = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        return ("env", "SHELL=/bin/sh", "ssh", "-F", "/dev/null", *named)
