"""Ends every process that a supervisor has started, even those that try to stay.

A supervisor is its descendants' subreaper: a process that loses its parent, also after setsid or a double fork, becomes
the supervisor's child. So no process of the job runs once the supervisor has no children, which `wait` reports.
Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable

from wsdash.backend.providers.local.supervisor import proc
from wsdash.backend.providers.local.supervisor.marks import Mark, marked

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Make orphans below this process its children. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def reap() -> tuple[dict[int, int], bool]:
    """Reap every child that has ended; return statuses by pid, and whether any child is left."""
    statuses: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return statuses, False
        if pid == 0:
            return statuses, True
        statuses[pid] = status


def end_children(gentle_s: float, longest_s: float, pause: Callable[[float], object]) -> list[int]:
    """Send TERM to all descendants, and KILL after `gentle_s` until none is left; give up after `longest_s`.

    `pause` waits up to so many seconds, less if a child ends. Returns the pids that are left: processes
    of another user, or those that the kernel cannot end.
    """
    begun = time.monotonic()
    signalled: set[int] = set()
    while reap()[1]:
        now = time.monotonic()
        if now - begun > longest_s:
            return proc.descendants(os.getpid())
        for pid in proc.descendants(os.getpid()):
            if now - begun >= gentle_s:
                _kill(pid, signal.SIGKILL)
            elif pid not in signalled:
                _kill(pid, signal.SIGTERM)
                signalled.add(pid)
        pause(0.02)
    return []


def end_marked(mark: Mark, longest_s: float) -> list[int]:
    """Send HUP, then KILL, to every process with the mark. Return those that are left."""
    begun = time.monotonic()
    number = signal.SIGHUP
    while found := marked(mark):
        if time.monotonic() - begun > longest_s:
            return found
        for pid in found:
            _kill(pid, number)
        # An interactive shell ends on HUP and restores its terminal.
        time.sleep(0.05)
        number = signal.SIGKILL
    return []


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
