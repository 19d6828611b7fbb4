"""Where the relay keeps its keys, what it grants, and the sockets of workspaces: all of it only this user's."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from wsdash.paths import Paths, private_folder


@dataclass(frozen=True, slots=True)
class AccessFolder:
    """`root` lies in the state folder. Sockets have a folder of their own, for their paths must be short."""

    root: Path
    sockets: Path

    @classmethod
    def of(cls, paths: Paths) -> AccessFolder:
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        name = f"wsdash-{hashlib.sha256(str(paths.state).encode()).hexdigest()[:10]}"
        base = Path(runtime) / name if runtime.startswith("/") else Path(f"/tmp/{name}-{os.geteuid()}")
        return cls(paths.state / "access", base)

    def prepare(self) -> None:
        """Make the folders, mode 0700. Raises `PathError` when one is not ours."""
        for folder in (self.root, self.grants, self.local, self.sockets):
            private_folder(folder)

    @property
    def host_key(self) -> Path:
        """The relay's own key, by which jobs know it."""
        return self.root / "host_key"

    @property
    def user_key(self) -> Path:
        """What the user's ssh shows to workspaces."""
        return self.root / "user_key"

    @property
    def host_authority(self) -> Path:
        """What signs the keys of the workspaces' SSH servers."""
        return self.root / "host_authority"

    @property
    def known_hosts(self) -> Path:
        """Whom the user's ssh believes: the authority, and the keys of servers that know no certificates."""
        return self.root / "known_hosts"

    @property
    def about(self) -> Path:
        """The relay that runs: its process and port."""
        return self.root / "relay.json"

    @property
    def lock(self) -> Path:
        return self.root / "relay.lock"

    @property
    def log(self) -> Path:
        return self.root / "relay.log"

    @property
    def grants(self) -> Path:
        return self.root / "grants"

    @property
    def local(self) -> Path:
        """What the servers of workspaces on this machine read."""
        return self.root / "local"

    @property
    def local_host_key(self) -> Path:
        """The key of those servers, certified anew for each workspace."""
        return self.root / "local_host_key"

    def socket(self, workspace_id: str) -> Path:
        """Where the sshd of a workspace is reached while its job holds the line."""
        return self.sockets / f"{workspace_id}.sock"
