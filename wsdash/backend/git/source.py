"""Reads file names and the devfile's text from a Git repository before a workspace is created from it.

Only Git itself reads the repository, into a bare one of ours without a work tree or hooks. Git may not ask
questions, use unusual transports, or run for longer than a minute.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from wsdash.backend.clone_address import shown
from wsdash.backend.errors import WsdashError
from wsdash.backend.system.run import capture
from wsdash.workload import GitIdentity

TIMEOUT_S = 60.0
LARGEST_DEVFILE = 3 * 1024 * 1024
LARGEST_OUTPUT = 64 * 1024 * 1024
"""Most bytes of Git's output: a list of a million refs is shorter."""
MOST_FOLDERS = 50
"""Most folders below `.devcontainer/` that are searched for a Dev Container; more than a few are rare."""


class SourceError(WsdashError):
    """The source (or the request's `field`) cannot be used. The message says why.

    `unreachable`: the server does not answer, or refuses access.
    """

    def __init__(
        self, message: str, hint: str = "", *, unreachable: bool = False, field: str = "source"
    ) -> None:
        super().__init__(message, hint, 4 if unreachable else 1, field=field)
        self.unreachable = unreachable


@dataclass(frozen=True, slots=True)
class Git:
    """Runs Git non-interactively, with further variables in its environment."""

    environ: Mapping[str, str]

    async def __call__(self, repository: Path, *arguments: str) -> tuple[int, bytes, bytes]:
        """Run Git; return its exit code, output and errors. Raises `SourceError` without Git, or after the time
        limit.
        """
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_DIR")},
            **self.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
            "LC_ALL": "C",
        }
        environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        try:
            done = await capture(
                ("git", *arguments),
                limit=LARGEST_OUTPUT,
                timeout_s=TIMEOUT_S,
                env=environment,
                cwd=repository,
            )
        except FileNotFoundError:
            raise SourceError(
                "git is not installed on this machine", "Install it (apt-get install git)."
            ) from None
        if len(done.output) == LARGEST_OUTPUT:
            raise SourceError(f"git {arguments[0]} printed more than {LARGEST_OUTPUT >> 20} MiB")
        if done.exit_code is None:
            raise SourceError(
                f"git did not answer within {TIMEOUT_S:g} s", "Check the network.", unreachable=True
            )
        return done.exit_code, done.output, done.errors


@dataclass(frozen=True, slots=True)
class RepositoryFiles:
    """The names in a repository's root, `.devfile/` and `.devcontainer/` at one ref, and a way to read a file."""

    url: str
    names: tuple[str, ...]
    _repository: Path
    _git: Git

    async def read(self, name: str) -> bytes | None:
        """Return the file's bytes, None if it does not exist. Raises `SourceError` when it is too large."""
        code, size, _ = await self._git(self._repository, "cat-file", "-s", f"FETCH_HEAD:{name}")
        if code != 0:
            return None
        if int(size) > LARGEST_DEVFILE:
            raise SourceError(
                f"{name} is {int(size):,} bytes; the limit for a devfile is {LARGEST_DEVFILE:,}",
                "Name another file with --devfile.",
                field="devfile",
            )
        code, data, error = await self._git(self._repository, "cat-file", "blob", f"FETCH_HEAD:{name}")
        if code != 0:
            raise SourceError(f"{name} cannot be read: {cause(os.fsdecode(error))}")
        return data


def url_of(source: str) -> str:
    """Return the URL, or the absolute path of a folder on this machine. Raises `SourceError`."""
    if not source.strip() or source.startswith("-") or any(ord(c) < 32 or ord(c) == 127 for c in source):
        raise SourceError(
            f"{shown(source)!r} is not a repository", "Give a URL, or the path of a Git repository."
        )
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*::", source):
        transport = source.partition("::")[0]
        raise SourceError(
            f"the transport {transport}:: is not allowed", "Use https, ssh, git or a local path."
        )
    is_address = "://" in source or re.match(r"[^/\s]+:(?!//)\S", source)
    try:
        path = Path(source).expanduser()
        if path.exists():
            return str(path.resolve())
        place = path.absolute()
    except (OSError, RuntimeError) as error:  # also where the current directory was removed
        if is_address:
            return source
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(
            f"{shown(source)} cannot be read: {reason}", "Give a folder that you can read, or a URL."
        ) from error
    if is_address:
        return source
    raise SourceError(f"{shown(str(place))} does not exist", "Give a URL, or the path of a Git repository.")


@contextlib.asynccontextmanager
async def open_repository(
    source: str, ref: str | None, environ: Mapping[str, str] | None = None
) -> AsyncIterator[RepositoryFiles]:
    """Fetch one commit, without its files if the server supports that, and list its files.

    `environ` is added to Git's environment, for example credentials, which `source` does not contain. Raises
    `SourceError` when there is no Git, no such repository or no such ref.
    """
    url = url_of(source)
    if ref is not None and (ref.startswith("-") or not re.fullmatch(r"[^\x00-\x20\x7f~^:?*\[\\]+", ref)):
        raise SourceError(f"{ref!r} is not a valid ref", "Give a branch, a tag or a commit.", field="ref")
    git = Git(environ or {})
    with tempfile.TemporaryDirectory(prefix="wsdash-glimpse-", ignore_cleanup_errors=True) as folder:
        repository = Path(folder)
        await _must(git, repository, url, ref, "init", "--quiet", "--bare", ".")
        await _must(git, repository, url, ref, "remote", "add", "origin", "--", url)
        await _must(
            git, repository, url, ref, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "--no-tags",
            "origin", ref or "HEAD",
        )  # fmt: skip
        places = ("./", ".devfile/", ".devcontainer/")
        _, listing, _ = await git(repository, "ls-tree", "-z", "FETCH_HEAD", *places)
        named = [entry.split(b"\t", 1) for entry in listing.split(b"\0") if b"\t" in entry]
        names = [os.fsdecode(name) for _, name in named]
        folders = [f"{os.fsdecode(name)}/" for about, name in named
                   if b" tree " in about and name.startswith(b".devcontainer/")][:MOST_FOLDERS]  # fmt: skip
        if folders:
            _, listing, _ = await git(repository, "ls-tree", "-z", "--name-only", "FETCH_HEAD", *folders)
            names += [os.fsdecode(name) for name in listing.split(b"\0") if name]
        yield RepositoryFiles(url, tuple(names), repository, git)


async def remote_of(folder: str) -> str:
    """Return the address that a local repository is pushed to, including any secret in it. Raises
    `SourceError`.
    """
    code, address, _ = await Git({})(Path(folder), "remote", "get-url", "origin")
    url = os.fsdecode(address).strip()
    if code != 0 or ":" not in url:
        raise SourceError(
            f"{folder} is on this machine, where no runner can reach it, and it has no remote named origin",
            "Push it to GitLab, and give its address there.",
        )
    return url


async def own_identity() -> GitIdentity | None:
    """Return the user's name and email address from their own Git configuration, not a repository's; None if unset."""
    found = []
    for key in ("user.name", "user.email"):
        try:
            code, value, _ = await Git({})(Path("/"), "config", "--global", "--get", key)
        except SourceError:
            return None
        found.append(value.decode("utf-8", "replace").strip() if code == 0 else "")
    return GitIdentity(*found) if all(found) else None


async def _must(git: Git, repository: Path, url: str, ref: str | None, *arguments: str) -> None:
    code, _, error = await git(repository, *arguments)
    if code != 0:
        raise explain(os.fsdecode(error), url, ref)


def explain(answer: str, url: str, ref: str | None) -> SourceError:
    """Translate Git's error output into a message for the user."""
    line = cause(answer)
    if "couldn't find remote ref" in answer or "not our ref" in answer or "unadvertised object" in answer:
        if ref is None:
            return SourceError(f"{url} has no commit yet", "Commit something to it first.")
        hint = "Give one of its branches or tags, or a whole commit id."
        return SourceError(f"{url} has no ref {ref}", hint, field="ref")
    if "dubious ownership" in answer:
        return SourceError(
            f"{url} belongs to another user, so Git refuses it",
            f"If you trust it: git config --global --add safe.directory {quote(url)}",
        )
    if "does not appear to be a git repository" in answer or "not found" in answer.lower():
        return SourceError(f"{url} is not a Git repository", "Check the address, and that you may read it.")
    if "Host key verification failed" in answer:
        return SourceError(
            f"{url}: {line}",
            "Connect to the host once by ssh, compare its key with the published one, and accept it.",
            unreachable=True,
        )
    if (
        "could not read Username" in answer
        or "Authentication failed" in answer
        or "Permission denied" in answer
    ):
        return SourceError(
            f"{url} asks for credentials: {line}",
            "Set up a Git credential helper or an ssh key for it, then try again.",
        )
    return SourceError(f"{url}: {line}", "Check the address and the network.", unreachable=True)


_NO_CAUSE = re.compile(
    r"\W*|hint: .*|warning: .*|Please make sure you have the correct access rights|and the repository exists\.",
    re.I,
)
"""Lines without a letter, hints, warnings, and the advice that Git prints after any failure of ssh."""
_SSH_FAILED = ("fatal: Could not read from remote repository.", "fatal: the remote end hung up unexpectedly")
"""Git's lines (connect.c, pkt-line.c) after a failure whose reason ssh or the server printed before."""


def cause(answer: str) -> str:
    """Return the line of Git's error output that names the cause.

    That is the server's `ERROR:`, else Git's `fatal:`, else the last line. If Git only says that ssh failed, it is
    ssh's own last line.
    """
    lines = [line.strip().removeprefix("remote:").strip() for line in answer.splitlines()]
    lines = [line for line in lines if not _NO_CAUSE.fullmatch(line)]
    reported = [line for line in lines if line not in _SSH_FAILED]
    named = [line for begin in ("ERROR: ", "fatal: ") for line in reported if line.startswith(begin)]
    found = named or reported[-1:] or lines[-1:]
    return re.sub(r"^(?:fatal|error): ", "", found[0], flags=re.I) if found else "git gave no reason"
