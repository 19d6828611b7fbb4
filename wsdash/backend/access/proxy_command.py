"""ssh's ProxyCommand: connects ssh to a workspace's socket.

It is run by path with `python -S` to start quickly, as each ssh starts it. `wsdash ssh` has ssh ask for the file
descriptor (ProxyUseFdpass), so this process ends at once; for the user's own ssh it copies the bytes (`ssh_config.py`
says why). If the socket refuses, `wsdash connect` finds out why, waits, or enters a workspace on this machine.
"""

import _thread  # `threading` is slow to load
import array
import contextlib
import os
import socket
import sys
import time

CHUNK = 1 << 17
ANSWER_S = 8.0
"""Longest wait for the greeting of the job's SSH server (RFC 4253, 4.2): a killed one is restarted meanwhile."""
AGAIN_S = 0.3


def main() -> int:
    """Run `connect SOCKET NAME`, which passes the descriptor to ssh; or `connect --in ROOT NAME.wsdash`, with the
    name that the user has typed, or `connect --carry DESCRIPTOR`, which both copy the bytes."""
    *where, name = sys.argv[1:]
    if where == ["--carry"]:
        carry(int(name))
        return 0
    try:
        connection = connect(_of_name(where[1], name) if where[0] == "--in" else where[0])
    except TimeoutError:
        workspace = name.removesuffix(".wsdash")
        print(
            f"wsdash: {workspace} has a tunnel to this machine, but its SSH server does not answer."
            f" `wsdash logs {workspace}` shows more; `wsdash restart {workspace}` starts a new job.",
            file=sys.stderr,
        )
        return 1
    except (OSError, ValueError):
        if name.endswith(".wsdash"):
            os.execv(sys.executable, [sys.executable, "-m", "wsdash", "connect", name])
        print(f"wsdash: {name} has no tunnel to this machine now; its job reconnects", file=sys.stderr)
        return 1
    if where[0] == "--in":
        carry(connection.fileno())
    else:
        hand_over(connection)
    return 0


def connect(path: str, patience_s: float = ANSWER_S) -> socket.socket:
    """Return a connection to the socket at whose other end an SSH server greets.

    Raises `TimeoutError` if it does not do so in time, and `OSError` if no process listens at the socket.
    """
    end = time.monotonic() + patience_s
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        connection.settimeout(max(0.01, end - time.monotonic()))
        with contextlib.suppress(ConnectionError):
            if connection.recv(1, socket.MSG_PEEK):
                connection.settimeout(None)
                return connection
        connection.close()
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(AGAIN_S)


def _of_name(root: str, name: str) -> str:
    """Return the socket of the workspace of that name (`paths.py`), because the link may be too long to connect to."""
    if "/" in name:
        raise ValueError(name)
    with open(os.path.join(root, "sockets"), "rb") as record:  # noqa: PTH118, PTH123 - pathlib is slow to load
        folder = os.fsdecode(record.read().rstrip(b"\n"))
    return os.path.join(folder, os.readlink(os.path.join(folder, f"{name}.sock")))  # noqa: PTH115, PTH118


def hand_over(connection: socket.socket) -> None:
    """Pass the connection's descriptor to ssh, which holds the other end of standard output."""
    with socket.socket(fileno=1) as ssh:
        descriptors = array.array("i", [connection.fileno()])
        ssh.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])


def carry(connection: int) -> None:
    """Copy bytes between ssh, on standard input and output, and a connected socket, until either end has closed.

    Each direction has a thread, so that a slow reader does not hold up the other direction.
    """
    _thread.start_new_thread(_copy_out, (connection,))
    _copy(connection, 1)


def _copy_out(connection: int) -> None:
    _copy(0, connection)
    os._exit(0)


def _copy(source: int, target: int) -> None:
    """Copy until the source ends or the target is closed."""
    with contextlib.suppress(OSError):
        while data := os.read(source, CHUNK):
            while data:
                data = data[os.write(target, data) :]


if __name__ == "__main__":
    sys.exit(main())
