"""ssh's ProxyCommand: hands the connection to a workspace's socket over to ssh, and is gone.

Run by path with `python -S`, for it is started with each ssh; ssh asks for the descriptor (ProxyUseFdpass). Where
nobody answers at the socket, `wsdash connect` finds out why, waits, or enters a workspace on this machine.
"""

import array
import contextlib
import os
import socket
import sys


def main() -> int:
    """`connect SOCKET NAME`, or `connect --in ROOT NAME.wsdash` for the name that a user has typed."""
    *where, name = sys.argv[1:]
    speak_to_the_terminal()
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(_of_name(where[1], name) if where[0] == "--in" else where[0])
    except (OSError, ValueError):
        if name.endswith(".wsdash"):
            os.execv(sys.executable, [sys.executable, "-m", "wsdash", "connect", name])
        print(f"wsdash: {name} holds no line to this machine now; its job dials again", file=sys.stderr)
        return 1
    hand_over(line)
    return 0


def _of_name(root: str, name: str) -> str:
    """The socket of the workspace of that name (`folders.py`). The link may be too long to be dialled itself."""
    if "/" in name:
        raise ValueError(name)
    with open(os.path.join(root, "sockets"), "rb") as record:  # noqa: PTH118, PTH123 - pathlib is slow to load
        folder = os.fsdecode(record.read().rstrip(b"\n"))
    return os.path.join(folder, os.readlink(os.path.join(folder, f"{name}.sock")))  # noqa: PTH115, PTH118


def speak_to_the_terminal() -> None:
    """An ssh that will share its connection (ControlPersist) has taken standard error away, also for reasons."""
    with contextlib.suppress(OSError):
        if os.path.sameopenfile(2, os.open(os.devnull, os.O_RDWR)):
            os.dup2(os.open("/dev/tty", os.O_WRONLY), 2)


def hand_over(line: socket.socket) -> None:
    """Give the connection to ssh, at the other end of standard output."""
    with socket.socket(fileno=1) as ssh:
        descriptors = array.array("i", [line.fileno()])
        ssh.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])


if __name__ == "__main__":
    sys.exit(main())
