"""The commands for a workspace's shell that start, list, watch and end its sessions. Pure.

The program `session.sh` travels with each command, so that jobs which an earlier version launched have sessions too.
"""

from __future__ import annotations

from wsdash.backend.job.shell import program
from wsdash.backend.sessions.profiles import Profile

TIMEOUT_S = 30.0
"""Seconds for one command."""
LARGEST_ANSWER = 4 * 1024 * 1024
LONGEST_TEXT = 100_000
"""Characters of a text to send: it is one argument of a process in the job."""

_FOLDER = '"$HOME/.local/state/wsdash/sessions/.watch"'
_INSTALL = (
    f"umask 077; d={_FOLDER}; "
    'mkdir -p "$d" && cat >"$d/session.sh.$$" && mv "$d/session.sh.$$" "$d/session.sh" && '
    'exec sh "$d/session.sh" "$@" </dev/null'
)


def command(*words: str) -> tuple[str, ...]:
    """Return a command that reads `source()` on its standard input, and runs it with these words."""
    return ("sh", "-c", _INSTALL, "sh", *words)


def source() -> bytes:
    """Return the program, with all that it sources."""
    return program("session.sh").encode()


def attach(name: str) -> tuple[str, ...]:
    """Return the command that shows a session on the terminal. It needs the program that an earlier command left."""
    return ("sh", "-c", f'd={_FOLDER}; exec sh "$d/session.sh" attach "$1"', "sh", name)


def start_words(name: str, line: str, profile: Profile, folder: str | None) -> tuple[str, ...]:
    """Return the words that start a new session: a line of shell, and how the profile tells its state."""
    words = [
        f"line={line}",
        f"title={' '.join(line.removeprefix('exec ').split())[:200]}",
        *([f"resume={profile.resume}"] if profile.resume else []),
        *([f"folder={folder}"] if folder else []),
        *([f"profile={profile.name}"] if profile.name else []),
        f"quiet={profile.quiet_s}",
        *(f"env={variable}" for variable in profile.env),
        *(f"waiting={pattern}" for pattern in profile.waiting),
        *(f"working={pattern}" for pattern in profile.working),
    ]
    return ("start", name, *words)
