"""Asks about a workspace's files, inside of a sandbox where there is one."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from wsdash.backend.providers.local.sandbox import isolation as isolations
from wsdash.backend.providers.local.sandbox.isolation import Host, Isolation, Place
from wsdash.backend.providers.types import CheckoutQuery
from wsdash.workload import Workload


def ask(
    isolation: Isolation,
    place: Place,
    host: Host,
    workload: Workload,
    environ: Mapping[str, str],
    question: CheckoutQuery,
) -> bytes:
    """What the question's program prints; nothing where it cannot be asked.

    Without a sandbox it runs as a job does there, as the user: it obeys nothing that stands in the files. It is told
    what outlives the job: see `judge` in unsaved.sh.
    """
    with tempfile.TemporaryDirectory(prefix="wsdash-") as scratch:
        env = isolations.job_environment(isolation, place, host.home, environ)
        if isolation.kind == "plain":
            env["TMPDIR"] = scratch
        if not isolation.is_container:
            env["WSDASH_MACHINE"] = "yes"
        if workload.source is not None and outlives(workload.source.url, place):
            env["WSDASH_SOURCE"] = workload.source.url
        argv = isolations.inspect_argv(
            isolation, place, host, workload.image, env, Path(scratch), question.argv
        )
        if argv is None or (isolation.is_container and not place.projects.is_dir()):
            return b""
        own = dict(environ) if isolation.is_container else env
        return answer(argv, own, question.most, question.timeout_s, question.program)


def outlives(url: str, place: Place) -> bool:
    """Whether the address is one of a repository in this file system, outside of all that workspaces have."""
    path = Path(unquote("/" + url[7:].partition("/")[2]) if url.startswith("file://") else url)
    if not path.is_absolute():
        return False
    try:
        real = path.resolve(strict=True)
        if real.is_relative_to(place.state.resolve()) or real.is_relative_to(place.workspace.resolve()):
            return False
        return (real / ".git").exists() or ((real / "HEAD").is_file() and (real / "objects").is_dir())
    except (OSError, RuntimeError, ValueError):
        return False


def answer(
    argv: tuple[str, ...], env: Mapping[str, str], most: int, timeout_s: float, stdin: bytes = b""
) -> bytes:
    """The first bytes of what the command prints within the time. Blocks."""
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(
                argv,
                stdin=given,
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
