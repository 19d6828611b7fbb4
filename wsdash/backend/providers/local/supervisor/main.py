"""The supervisor's entry point: `python -c` with this module's `main`, detached, once for an attempt.

It prints one word for the launcher: `started`; or `known` if the attempt has or had a supervisor; or
`failed: ` and the reason. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from pathlib import Path

from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.providers.local.supervisor import marks, process_tree
from wsdash.backend.providers.local.supervisor.supervisor import Supervisor
from wsdash.backend.system import environments
from wsdash.backend.system.files import json_files
from wsdash.backend.system.processes import ProcessIdentity

_LOCK_WAIT_S = 2.0


def main(job_folder: str, listeners: str) -> None:
    """Supervise the attempt of this folder, in a detached process.

    Standard input has the environment of what it starts outside the job: the fetch, container engines.
    """
    environ = environments.unpacked(sys.stdin.buffer.read())
    if os.fork():
        os._exit(0)
    os.setsid()
    files = JobFiles(Path(job_folder))
    try:
        supervisor = _begin(files, Path(listeners), environ)
    except OSError as error:
        _answer_launcher(f"failed: {error}")
        return
    _answer_launcher("started" if supervisor else "known")
    if supervisor:
        supervisor.run()


def _begin(files: JobFiles, listeners: Path, environ: dict[str, str]) -> Supervisor | None:
    # The descriptor stays open, and the lock held, until this process ends; children do not inherit it.
    lock = take_lock(files.lock, _LOCK_WAIT_S, until=files.supervisor)
    if lock is None:
        return None
    spec = json_files.read(files.spec)
    if spec is None or files.exit.exists() or files.supervisor.exists():
        os.close(lock)
        return None
    own = ProcessIdentity.of(os.getpid())
    assert own is not None
    process_tree.become_subreaper()
    json_files.reserve(files.exit)
    supervisor = Supervisor(files, spec, listeners, environ)
    supervisor.listen_to_signals()
    json_files.write(files.supervisor, {**own.record(), "mark": marks.take_on(files.folder)})
    return supervisor


def take_lock(path: Path, wait_s: float, until: Path, kind: int = fcntl.LOCK_EX) -> int | None:
    """Return the lock's descriptor, or None if another process holds it for longer, or `until` appears meanwhile.

    A cancel holds it only for an instant. The cleanup takes the shared `kind`, which fails while a supervisor holds
    it; that distinguishes the cleanup from a supervisor. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    give_up = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if until.exists() or time.monotonic() > give_up:
                os.close(descriptor)
                return None
            time.sleep(0.005)
        else:
            return descriptor


def _answer_launcher(word: str) -> None:
    """Answer the launcher and close the streams that it passed."""
    with open(1, "w", encoding="utf-8", closefd=False) as answer:
        answer.write(f"{word}\n")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        os.dup2(nothing, stream.fileno())
    os.close(nothing)
