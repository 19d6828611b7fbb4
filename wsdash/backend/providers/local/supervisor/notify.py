"""Hints from supervisors to watching processes: an attempt's id in a datagram, to each socket in `listeners/`.

A supervisor never waits for a listener, and a listener's failure never affects it. Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path


def send(listeners: Path, attempt_id: str) -> None:
    """Send the id to every listener; remove sockets without a process."""
    try:
        folder = os.open(listeners, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for name in os.listdir(f"/proc/self/fd/{folder}"):  # noqa: PTH208
                _send_one(sender, folder, name, attempt_id.encode())
    except OSError:
        pass
    finally:
        os.close(folder)


def _send_one(sender: socket.socket, folder: int, name: str, data: bytes) -> None:
    try:
        # By descriptor, because the path of a socket is limited to 107 bytes.
        sender.sendto(data, f"/proc/self/fd/{folder}/{name}")
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)


def abandoned(listeners: Path) -> list[Path]:
    """Return sockets without a process."""
    found: list[Path] = []
    folder = os.open(listeners, os.O_PATH | os.O_DIRECTORY)
    try:
        for name in os.listdir(f"/proc/self/fd/{folder}"):  # noqa: PTH208
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                try:
                    sender.connect(f"/proc/self/fd/{folder}/{name}")
                except ConnectionRefusedError:
                    found.append(listeners / name)
                except OSError:
                    pass
    finally:
        os.close(folder)
    return found


class Listener:
    """A socket in `listeners/`. Raises OSError if it cannot be created."""

    def __init__(self, listeners: Path, name: str) -> None:
        self._path = listeners / name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        folder = os.open(listeners, os.O_PATH | os.O_DIRECTORY)
        try:
            self.socket.bind(f"/proc/self/fd/{folder}/{name}")
        except OSError:
            self.socket.close()
            raise
        finally:
            os.close(folder)

    def receive(self) -> list[str]:
        """Return the ids that have arrived."""
        found: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(512).decode("utf-8", "replace"))
        return found

    def close(self) -> None:
        """Close the socket and remove its file."""
        self.socket.close()
        self._path.unlink(missing_ok=True)
