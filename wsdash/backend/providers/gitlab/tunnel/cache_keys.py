"""Keys of encrypted caches: each workspace has its own, derived from a secret of the user, for its jobs only."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from wsdash.backend.job import protocol
from wsdash.backend.providers.gitlab.tunnel.attempt_tasks import AttemptTasks
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.paths import make_folder

log = logging.getLogger(__name__)

TAKE = (protocol.KEYS,)
TAKE_S = 15.0
LONGEST_LINE = 1024
_SECRET = re.compile(r"[0-9a-f]{64}\n?")


class CacheKeys:
    """`file` has the secret, mode 0600, created on first use. Without it no encrypted cache can be opened."""

    def __init__(self, file: Path, tunnel: JobTunnel) -> None:
        self._file = file
        self._tunnel = tunnel
        self._sending = AttemptTasks()
        self._sent: set[str] = set()

    def send(self, workspace_id: str, attempt_id: str) -> None:
        """Send the keys to a running job in the background, unless it has them."""
        if attempt_id not in self._sent:
            self._sending.start(attempt_id, self._send, workspace_id, attempt_id)

    async def aclose(self) -> None:
        """Cancel the tasks that send keys, and await their end."""
        await self._sending.aclose()

    async def _send(self, workspace_id: str, attempt_id: str) -> None:
        try:
            keys = keys_of(await asyncio.to_thread(secret, self._file), workspace_id)
            async with (
                asyncio.timeout(TAKE_S),
                self._tunnel.open_channel(workspace_id, TAKE, LONGEST_LINE) as channel,
            ):
                if channel is None:
                    return
                reader, writer = channel
                writer.write(f"{' '.join(keys)}\n".encode())
                await writer.drain()
                if await reader.readline() == b"taken\n":
                    self._sent.add(attempt_id)
        except (OSError, ValueError, TimeoutError) as error:
            log.error("the cache key of %s could not be sent: %s", workspace_id, error)


def keys_of(secret: bytes, workspace_id: str) -> tuple[str, str]:
    """Return the keys for encryption and for authentication, as 64 hexadecimal digits each."""
    encrypting, authenticating = (
        hmac.digest(secret, f"{purpose} {workspace_id}".encode(), "sha256").hex()
        for purpose in ("encrypt", "authenticate")
    )
    return encrypting, authenticating


def secret(file: Path) -> bytes:
    """Return the secret in the file, which is created atomically if it does not exist. Blocks.

    Raises OSError, and ValueError for a file with another content.
    """
    with suppress(FileNotFoundError):
        return _read(file)
    make_folder(file.parent)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(handle, "w") as draft:
            draft.write(f"{secrets.token_hex(32)}\n")
            draft.flush()
            os.fsync(draft.fileno())
        with suppress(FileExistsError):
            os.link(name, file)
    finally:
        Path(name).unlink()
    return _read(file)


def _read(file: Path) -> bytes:
    text = file.read_text("ascii", "replace")
    if _SECRET.fullmatch(text) is None:
        raise ValueError(
            f"{file} does not contain a secret of 64 hexadecimal digits; restore it from a backup"
        )
    return bytes.fromhex(text.strip())
