"""Users of this machine who are not root, with a home as people have them.

A blank is in its path, start-up files speak and never end, and an ssh configuration says something for every host.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import until_sync
from wsdash.paths import Paths

CHECKOUT = Path(__file__).parents[1]
START_UP_FILES = (
    ".bash_login",
    ".bash_profile",
    ".bashrc",
    ".config/fish/config.fish",
    ".cshrc",
    ".profile",
    ".tcshrc",
    ".zlogin",
    ".zprofile",
    ".zshenv",
    ".zshrc",
)
IN_THE_WAY = "echo Welcome, the quota is 3 GB\nsleep 3600\n"
"""Start-up files that print break scp and sftp; one that never ends blocks everything."""
FOR_EVERY_HOST = """\
Host *
    User deploy
    HostName bastion.invalid
    Port 2222
    IdentityFile ~/.ssh/not_there
    IdentitiesOnly no
    ProxyJump jump.invalid
    CanonicalizeHostname always
    CanonicalDomains example.invalid
    ConnectTimeout 1
    ServerAliveInterval 1
    ServerAliveCountMax 1
    RemoteCommand tmux new -A -s main
    RequestTTY force
    LocalForward {taken} localhost:80
    ExitOnForwardFailure yes
    PermitLocalCommand yes
    LocalCommand echo connected
    ControlMaster auto
    ControlPath ~/.ssh/shared-%C
    ControlPersist yes
    ForwardAgent yes
    ForwardX11 yes
    SendEnv *
    SetEnv FOO=bar
    StrictHostKeyChecking ask
    UserKnownHostsFile ~/.ssh/other_known_hosts
    RevokedHostKeys ~/.ssh/not_there
    UpdateHostKeys ask
    VerifyHostKeyDNS yes
    AddKeysToAgent yes
    HostKeyAlgorithms rsa-sha2-512
    CASignatureAlgorithms rsa-sha2-512
    KexAlgorithms diffie-hellman-group18-sha512
    Ciphers aes256-ctr
    MACs hmac-sha2-512
    PubkeyAuthentication no
    PubkeyAcceptedKeyTypes rsa-sha2-512
    PreferredAuthentications password
    PasswordAuthentication yes
"""


def as_user(user: str) -> tuple[str, ...]:
    """A command's words before those that run as another user, who may read the interpreter and this checkout even
    where they lie in a home that is closed."""
    needed = [Path(sys.base_prefix), Path(sys.prefix), CHECKOUT]
    closed = {
        folder
        for path in needed
        for folder in [*reversed(path.parents), path]
        if not folder.stat().st_mode & 0o001
    }
    outermost = [one for one in closed if not any(other in one.parents for other in closed)]
    if not outermost:
        return ("runuser", "-u", user, "--")
    hidden = [word for folder in outermost for word in ("--tmpfs", str(folder))]
    between = {
        parent
        for path in needed
        for parent in path.parents
        if any(folder in parent.parents for folder in outermost)
    }
    hidden += [word for folder in sorted(between) for word in ("--perms", "0755", "--dir", str(folder))]
    shown = [word for path in needed for word in ("--ro-bind", str(path), str(path))]
    return ("bwrap", "--dev-bind", "/", "/", "--cap-add", "ALL", *hidden, *shown, "runuser", "-u", user, "--")


def change_users(*argv: str) -> None:
    """Run useradd or userdel. They fail where another one holds the lock of the password file, and are tried again."""
    last = ""

    def is_done() -> bool:
        nonlocal last
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        last = done.stderr
        return done.returncode == 0

    try:
        until_sync(is_done, 120.0, " ".join(argv))
    except AssertionError as error:
        raise AssertionError(last) from error


@dataclass(frozen=True)
class OrdinaryUser:
    """One of this machine. `folder` holds the home and the folder of the login session."""

    name: str
    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / f"home of {self.name}"

    @property
    def runtime(self) -> Path:
        return self.folder / "run"

    @property
    def paths(self) -> Paths:
        return Paths(
            self.home / ".local/state/wsdash", self.home / ".config/wsdash", self.home / ".cache/wsdash"
        )

    @property
    def environment(self) -> dict[str, str]:
        """As an editor or a service has it that was started by no shell: there is no SHLVL."""
        kept = ("PATH", "LANG", "TERM")
        return {
            **{
                key: value for key, value in os.environ.items() if key in kept or key.startswith("GIT_CONFIG")
            },
            "HOME": str(self.home),
            "USER": self.name,
            "LOGNAME": self.name,
            "SHELL": "/bin/bash",
            "XDG_RUNTIME_DIR": str(self.runtime),
            "WSDASH_ISOLATION": "plain",
        }

    def command(self, argv: Sequence[str]) -> list[str]:
        """For whoever is root: the command as this user."""
        variables = [f"{key}={value}" for key, value in self.environment.items()]
        return [*as_user(self.name), "env", "-i", "-C", str(self.folder), *variables, *argv]

    def run(
        self, *argv: str, given: str = "", timeout: float = 120.0, code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Its output; `code` is what its exit code must be."""
        done = subprocess.run(
            self.command(argv), input=given, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert code in (None, done.returncode), f"{argv} gave {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def log_out(self) -> None:
        """And in again: the session manager removes the folder, and makes it anew."""
        shutil.rmtree(self.runtime)
        self.log_in()

    def log_in(self) -> None:
        self.runtime.mkdir(mode=0o700)
        shutil.chown(self.runtime, self.name, self.name)


@contextmanager
def ordinary_user() -> Iterator[OrdinaryUser]:
    """A new one, who is removed with all that is theirs. Skips the test where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("only root can make another user")
    missing = [name for name in ("useradd", "userdel", "runuser") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"another user needs {', '.join(missing)}")
    name = f"wsdash-test-{secrets.token_hex(3)}"
    user = OrdinaryUser(name, Path(tempfile.mkdtemp(prefix="wsdash-test-", dir="/tmp")))
    user.folder.chmod(0o755)
    change_users("useradd", "-m", "-d", str(user.home), "-s", "/bin/bash", name)
    try:
        user.log_in()
        can = user.run(sys.executable, "-c", "import wsdash.cli", code=None)
        if can.returncode != 0:
            pytest.skip(f"another user cannot run wsdash here: {can.stderr[-200:]}")
        for file in START_UP_FILES:
            user.run(
                "sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1"', "-", str(user.home / file), given=IN_THE_WAY
            )
        yield user
    finally:
        _remove(user)


def _remove(user: OrdinaryUser) -> None:
    def has_ended() -> bool:
        subprocess.run(["pkill", "-KILL", "-u", user.name], check=False)
        return subprocess.run(["pgrep", "-u", user.name], check=False, capture_output=True).returncode != 0

    until_sync(has_ended, 30.0, f"the end of every process of {user.name}")
    with contextlib.suppress(OSError):  # the sockets, where the state folder's path is too long
        sockets = Path(os.fsdecode((user.paths.state / "access/sockets").read_bytes().rstrip(b"\n")))
        if sockets.parent == Path("/tmp") and sockets.owner() == user.name:
            shutil.rmtree(sockets)
    change_users("userdel", "-f", user.name)
    shutil.rmtree(user.folder)
