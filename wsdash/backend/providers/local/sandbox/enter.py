"""Joins a running bubblewrap job's namespaces and executes a command there: `main(SANDBOX, ARGV...)`.

So a shell sees the job's processes and ends with the job. Every module is loaded beforehand, because
this machine's Python may be invisible after the join. Standard library only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
from pathlib import Path

from wsdash.backend.system.files import json_files
from wsdash.backend.system.processes import ProcessIdentity

_NS_GET_USERNS = 0xB701
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_OTHERS = ("mnt", "ipc", "uts", "pid")


def main(sandbox: str, *argv: str) -> None:
    """Run argv in the sandbox and exit with its exit code."""
    inner = ProcessIdentity.from_record(json_files.read(Path(sandbox)))
    if inner is None or not inner.is_alive():
        sys.exit("wsdash: the workspace's job has just ended; run the command again to wait for the next one")
    try:
        _join(inner.pid)
    except OSError as error:
        sys.exit(f"wsdash: cannot join the workspace's sandbox: {error.strerror}")
    child = os.fork()
    if child == 0:
        _become(argv)
    sys.exit(_wait(child))


def _join(pid: int) -> None:
    """Enter the namespaces of a process. Only children of this process will be in its pid namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    spaces = {name: os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("user", *_OTHERS)}
    # bubblewrap as an ordinary user creates two user namespaces: one that owns the others, and inside it one
    # in which the user has their own id again.
    owner = fcntl.ioctl(spaces["mnt"], _NS_GET_USERNS)
    here = os.stat("/proc/self/ns/user").st_ino  # noqa: PTH116
    if os.fstat(owner).st_ino != here:
        _set_namespace(libc, owner)
    for name in _OTHERS:
        _set_namespace(libc, spaces[name])
    if os.fstat(spaces["user"]).st_ino not in (here, os.fstat(owner).st_ino):
        _set_namespace(libc, spaces["user"])
    # The job has no privileges and can gain none; this must hold for processes that join it, too.
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    capability = 0
    while libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    for descriptor in (owner, *spaces.values()):
        os.close(descriptor)


def _set_namespace(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _become(argv: tuple[str, ...]) -> None:
    """In the child: create a process group, in the foreground of a terminal if there is one; then execute argv."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if os.isatty(0):
        # A shell's job control must not see a process group outside its namespace.
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        os.tcsetpgrp(0, os.getpid())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTOU})
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"wsdash: cannot run {argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _wait(child: int) -> int:
    # All three signals are for the child, whose end returns the terminal to this process.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _, status = os.waitpid(child, 0)
    if os.isatty(0):
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpgrp())
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
