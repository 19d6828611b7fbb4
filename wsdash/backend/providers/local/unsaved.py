"""Asks a workspace's checkout what only it has, inside of a sandbox: its git configuration may run anything."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping

from wsdash.backend.providers.base import UnsavedWork
from wsdash.backend.providers.local import isolation as isolations
from wsdash.backend.providers.local.isolation import Host, Isolation, Place

_MOST_LINES = 100
_MOST_BYTES = 256 * 1024
_TIMEOUT_S = 20.0
_SEPARATOR = "\036"
_LINE = (
    "cd {projects}/\"$1\" && git rev-parse --git-dir >/dev/null && git status --porcelain && printf '\\036' && "
    "git log --oneline --no-color --branches --not --remotes && printf '\\036'"
)
_GIT = {
    # Nothing of the checkout is written, and whose the files are does not matter in there.
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}


def look(
    isolation: Isolation,
    place: Place,
    host: Host,
    folder: str,
    image: str | None,
    environ: Mapping[str, str],
) -> UnsavedWork | None:
    """What `git status` and `git log` say of the project's folder; None where they cannot be asked safely."""
    line = _LINE.format(projects=isolations.PROJECTS)
    command = ("sh", "-c", line, "sh", folder)
    argv = isolations.inspect_argv(isolation, place, host, image, _GIT, command)
    if argv is None or not (place.projects / folder).is_dir():
        return None
    env = (
        dict(environ)
        if isolation.is_container
        else isolations.job_environment(isolation, place, host.home, environ)
    )
    said = _ask(argv, {**env, **_GIT})
    parts = said.decode("utf-8", "replace").split(_SEPARATOR)
    if len(parts) < 3:
        return None
    return UnsavedWork(_lines(parts[0]), _lines(parts[1]))


def _ask(argv: tuple[str, ...], env: Mapping[str, str]) -> bytes:
    """The first bytes of what the command prints within the time."""
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(env),
            cwd="/",
            start_new_session=True,
        )
    except OSError:
        return b""
    assert process.stdout is not None
    timer = threading.Timer(_TIMEOUT_S, _kill, [process.pid])
    timer.start()
    with process.stdout:
        said = process.stdout.read(_MOST_BYTES)
    timer.cancel()
    _kill(process.pid)
    process.wait()
    return said


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _lines(text: str) -> tuple[str, ...]:
    lines = [line for line in text.splitlines() if line.strip()]
    more = len(lines) - _MOST_LINES
    return (*lines[:_MOST_LINES], f"and {more} more") if more > 0 else tuple(lines)
