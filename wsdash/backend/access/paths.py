"""Paths of access: the relay's keys, the grants, and the sockets of workspaces. Only this user can read any of them."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wsdash.backend.system.files import atomic
from wsdash.paths import PathError, Paths, private_folder

LONGEST_PATH = 107
"""Bytes of a Unix socket's path: `sun_path` of unix(7) is 108 with the zero at its end."""
LONGEST_NAME = 40
"""Bytes of the longest name of a socket in the folder: `ID.sock`, and what it is called while it is bound."""
_PLACES = ("/tmp", "/var/tmp")


@dataclass(frozen=True, slots=True)
class AccessFolder:
    """The files and sockets of access, below `root` in the state folder."""

    root: Path

    @classmethod
    def of(cls, paths: Paths) -> AccessFolder:
        """Return the access folder of this user's state."""
        return cls(paths.state / "access")

    @property
    def sockets(self) -> Path:
        """The folder of the sockets. It is chosen once, whatever the environment is later. Reads a file."""
        try:
            return Path(os.fsdecode(self._record.read_bytes().rstrip(b"\n")))
        except OSError:
            return self.root / "s"

    @property
    def _record(self) -> Path:
        return self.root / "sockets"

    def prepare(self) -> None:
        """Make the folders, mode 0700. Raises `PathError` when one is not ours."""
        for folder in (self.root, self.grants, self.seen, self.local):
            private_folder(folder)
        self.prepare_sockets()

    def prepare_sockets(self) -> None:
        """Make the folder of the sockets, or choose another one if it is unusable. Raises `PathError`.

        It lies in the state folder if that path is short enough for sockets, else in /tmp under a random name: another
        user could create a predictable one first.
        """
        if self._record.exists() and _is_ours(self.sockets):
            return
        place = self.root / "s"
        is_random = not (_is_ours(place) and _takes_sockets(place))
        if is_random:
            place = _random_folder()
        try:
            atomic.write(self._record, os.fsencode(place) + b"\n")
        except OSError as error:
            if is_random:
                place.rmdir()
            raise PathError(f"{self._record} cannot be written: {error.strerror}.") from error

    @property
    def host_key(self) -> Path:
        """The relay's private key, by whose public half jobs verify the relay."""
        return self.root / "host_key"

    @property
    def user_key(self) -> Path:
        """The private key with which the user's ssh logs in to workspaces."""
        return self.root / "user_key"

    @property
    def host_authority(self) -> Path:
        """The authority that signs the keys of the workspaces' SSH servers."""
        return self.root / "host_authority"

    @property
    def known_hosts(self) -> Path:
        """The host keys that the user's ssh trusts: the authority, and the keys of servers without
        certificates.
        """
        return self.root / "known_hosts"

    @property
    def about(self) -> Path:
        """The file that describes the running relay: its process and port."""
        return self.root / "relay.json"

    @property
    def lock(self) -> Path:
        """The lock that the running relay holds."""
        return self.root / "relay.lock"

    @property
    def needed(self) -> Path:
        """Written to whenever a process of wsdash needs the relay."""
        return self.root / "needed"

    @property
    def log(self) -> Path:
        """The relay's log."""
        return self.root / "relay.log"

    @property
    def grants(self) -> Path:
        """The folder of grants, one file for each workspace."""
        return self.root / "grants"

    @property
    def seen(self) -> Path:
        """The folder of what the relay saw of each workspace's job (`sightings.py`)."""
        return self.root / "seen"

    @property
    def reached(self) -> Path:
        """The addresses by which jobs have connected, by context (`sightings.py`)."""
        return self.root / "reached.json"

    @property
    def local(self) -> Path:
        """The folder of files that the SSH servers of local workspaces read."""
        return self.root / "local"

    @property
    def local_host_key(self) -> Path:
        """The host key of those servers; it gets a certificate for each workspace."""
        return self.root / "local_host_key"

    def socket(self, workspace_id: str) -> Path:
        """The socket that leads to a workspace's sshd while its job holds the tunnel."""
        return self.sockets / f"{workspace_id}.sock"

    def named(self, name: str) -> Path:
        """A link to that socket by the workspace's name. Connect to its target: the link's own path may be too long."""
        return self.sockets / f"{name}.wsdash.sock"

    @property
    def ssh_config(self) -> Path:
        """The file that the user's ssh configuration includes after `wsdash ssh-config install`."""
        return self.root / "ssh_config"

    @property
    def ssh_users(self) -> Path:
        """Included by `ssh_config`: the login name of each workspace whose job has reported one."""
        return self.root / "ssh_users"


def _is_ours(folder: Path) -> bool:
    """Whether the folder is private to this user. Makes the folder if only its parent exists."""
    try:
        if folder.parent.is_dir():
            private_folder(folder)
            return True
    except PathError:
        pass
    return False


def _takes_sockets(folder: Path) -> bool:
    if len(os.fsencode(folder)) + 1 + LONGEST_NAME > LONGEST_PATH:
        return False
    probe = folder / f".probe-{os.getpid()}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.bind(str(probe))
        probe.unlink()
    except OSError:
        return False
    return True


def _random_folder() -> Path:
    for place in _PLACES:
        with suppress(OSError):
            return Path(tempfile.mkdtemp(prefix="wsdash-", dir=place))
    raise PathError(
        f"no folder for sockets can be made in {' or '.join(_PLACES)}. Set WSDASH_HOME to a folder with a short path."
    )
