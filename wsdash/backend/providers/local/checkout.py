"""Asks in a workspace's checkout, inside of a sandbox: its git configuration may run anything."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping

from wsdash.backend.providers.base import Question
from wsdash.backend.providers.local import isolation as isolations
from wsdash.backend.providers.local.isolation import Host, Isolation, Place

_GIT = {
    # Nothing of the checkout is written, and whose the files are does not matter in there.
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}


def ask(
    isolation: Isolation,
    place: Place,
    host: Host,
    folder: str,
    image: str | None,
    environ: Mapping[str, str],
    question: Question,
) -> bytes:
    """What the question's line prints in the project's folder; nothing where it cannot be asked safely."""
    line = f'cd {isolations.PROJECTS}/"$1" && {{ {question.line}\n}}'
    command = ("sh", "-c", line, "sh", folder)
    argv = isolations.inspect_argv(isolation, place, host, image, _GIT, command)
    if argv is None or not (place.projects / folder).is_dir():
        return b""
    env = (
        dict(environ)
        if isolation.is_container
        else isolations.job_environment(isolation, place, host.home, environ)
    )
    return answer(argv, {**env, **_GIT}, question.most, question.timeout_s)


def answer(argv: tuple[str, ...], env: Mapping[str, str], most: int, timeout_s: float) -> bytes:
    """The first bytes of what the command prints within the time. Blocks."""
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
    timer = threading.Timer(timeout_s, _kill, [process.pid])
    timer.start()
    with process.stdout:
        said = process.stdout.read(most)
    timer.cancel()
    _kill(process.pid)
    process.wait()
    return said


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
