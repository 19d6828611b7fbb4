"""The folders where wsdash keeps its files.

`WSDASH_HOME` moves all of them under one folder. Without it the XDG base directories apply: state, cache,
configuration. State must be on a file system of this host, because SQLite's locks do not work over a network:
if the home directory is on a network file system, state is kept in `/var/tmp/wsdash-UID`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from wsdash.frozen import dataclass

NETWORK_FILE_SYSTEMS = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ceph",
        "lustre",
        "gpfs",
        "9p",
        "beegfs",
        "glusterfs",
        "fuse.sshfs",
        "fuse.glusterfs",
    ]
)


class PathError(Exception):
    """A folder of wsdash cannot be used; the message names the folder, the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of one user's wsdash. `notice` is the reason if state is not in its usual place."""

    state: Path
    config: Path
    cache: Path
    notice: str | None = None

    @property
    def database(self) -> Path:
        """The SQLite file of the state store."""
        return self.state / "state.db"

    @property
    def backups(self) -> Path:
        """The folder of the state store's backups."""
        return self.state / "backups"

    @property
    def contexts(self) -> Path:
        """The folder with one folder for each context, which the context's provider owns."""
        return self.state / "contexts"

    @property
    def daemon_log(self) -> Path:
        """The daemon's log."""
        return self.state / "daemon.log"

    @property
    def crash_reports(self) -> Path:
        """The folder of crash reports."""
        return self.state / "crashes"

    @property
    def config_file(self) -> Path:
        """The user's config.toml."""
        return self.config / "config.toml"

    @property
    def credentials_file(self) -> Path:
        """The file of access tokens, for hosts without a keyring."""
        return self.config / "credentials.toml"

    @property
    def profiles_file(self) -> Path:
        """The user's profiles of sessions, in addition to those of wsdash."""
        return self.config / "profiles.toml"

    @property
    def cache_key_file(self) -> Path:
        """The secret of encrypted caches, which a second machine needs too."""
        return self.config / "cache.key"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        """Return the folders that the environment names. Raises `PathError` if it names none."""
        home = environ.get("WSDASH_HOME")
        if home:
            try:
                base = Path(home).expanduser().absolute()
            except RuntimeError:
                raise PathError(
                    f"WSDASH_HOME is {home!r}, but that user has no home. Set another folder."
                ) from None
            return cls(base / "state", base / "config", base / "cache")
        state, notice = host_local(_base(environ, "XDG_STATE_HOME", ".local/state"))
        return cls(
            state,
            _base(environ, "XDG_CONFIG_HOME", ".config"),
            _base(environ, "XDG_CACHE_HOME", ".cache"),
            notice,
        )

    def prepare(self) -> None:
        """Make the state folder, mode 0700. Raises `PathError` if it belongs to another user or is not writable."""
        private_folder(self.state)


def _base(environ: Mapping[str, str], variable: str, usual: str) -> Path:
    """Return wsdash's folder in an XDG base directory; a relative one is ignored, as the specification requires.

    Raises `PathError`.
    """
    given = environ.get(variable, "")
    return (Path(given) if given.startswith("/") else _home(environ) / usual) / "wsdash"


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME") or _home_by_passwd()
    if not home.startswith("/"):
        raise PathError(
            f"HOME is {home!r}, which is not an absolute path. Set it to your home folder, or set WSDASH_HOME."
        )
    return Path(home)


def _home_by_passwd() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""


def make_folder(folder: Path) -> None:
    """Make the folder and its missing parents with mode 0700, whatever the umask is. Raises OSError."""
    missing = [folder]
    while not os.path.lexists(missing[-1].parent):
        missing.append(missing[-1].parent)
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def write_private(file: Path, data: bytes) -> None:
    """Write a file that only the user can read, whatever the umask. Raises OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


def private_folder(folder: Path) -> None:
    """Make the folder with mode 0700, or check that it belongs to the user and is not a link.

    Raises `PathError`, which names the folder and the remedy.
    """
    try:
        make_folder(folder)
        found = folder.lstat()
    except OSError as error:
        raise PathError(
            f"{folder} cannot be made: {error.strerror}. Set WSDASH_HOME to a folder that you can write to."
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PathError(
            f"{folder} is not your folder (owner: uid {found.st_uid}). "
            "Set WSDASH_HOME to another folder, or have this one removed."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PathError(
            f"{folder} cannot be written to. Add the permission (chmod u+rwx), or set WSDASH_HOME."
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def host_local(folder: Path) -> tuple[Path, str | None]:
    """Return the folder itself if it is on this host, else one in /var/tmp with a sentence for the user."""
    kind = file_system(folder)
    if kind not in NETWORK_FILE_SYSTEMS:
        return folder, None
    local = Path(f"/var/tmp/wsdash-{os.geteuid()}")
    return local, f"{folder} is on a network file system ({kind}), so state is kept in {local} on this host."


def file_system(folder: Path, mounts: str | None = None) -> str | None:
    """Return the type of the file system that the folder is (or would be) on, from proc(5) mountinfo."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
        except OSError:
            return None
    parts = folder.absolute().parts
    best: tuple[int, str | None] = (0, None)
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")[0]
        if len(fields) < 5:
            continue
        point = Path(fields[4].encode().decode("unicode_escape")).parts
        if parts[: len(point)] == point and len(point) >= best[0]:
            best = (len(point), kind)
    return best[1]
