"""Answers requests of Git in a job for credentials: with those of the workspace's own addresses, or from the
user's own credential helpers for hosts that the user has named.

A job runs untrusted code, so it gets no credentials for any other host, and each answer is logged.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable, Collection

from wsdash.backend.clone_address import Credential
from wsdash.backend.job import protocol
from wsdash.backend.providers.gitlab.tunnel.attempt_tasks import AttemptTasks
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.backend.system.run import capture

log = logging.getLogger(__name__)

SERVE = (protocol.CREDENTIALS, "serve")
ANSWER_S = 15.0
LONGEST_ANSWER = 64 * 1024
LONGEST_LINE = 1024
_QUESTION = re.compile(
    r"get (\d{1,10}) (https?) ([A-Za-z0-9._-]{1,255}(?::\d{1,5})?)(?: ([A-Za-z0-9._~/+-]{1,500}))?\n",
    re.ASCII,
)


class CredentialServer:
    """One channel for each job, if the user has named hosts (`credential_hosts`) or its workspace has credentials.

    `kept` returns those of a workspace by its id; it blocks.
    """

    def __init__(
        self, hosts: Collection[str], tunnel: JobTunnel, kept: Callable[[str], tuple[Credential, ...]]
    ) -> None:
        self._hosts = frozenset(hosts)
        self._kept = kept
        self._tunnel = tunnel
        self._serving = AttemptTasks()

    def serve(self, workspace_id: str, attempt_id: str) -> None:
        """Answer a running job, unless that is being done."""
        if self._hosts or self._kept(workspace_id):
            self._serving.start(attempt_id, self._serve, workspace_id)

    async def aclose(self) -> None:
        """Cancel the tasks that answer jobs, and await their end."""
        await self._serving.aclose()

    async def _serve(self, workspace_id: str) -> None:
        try:
            async with self._tunnel.open_channel(workspace_id, SERVE, LONGEST_LINE) as channel:
                if channel is not None:
                    await self._answer_all(workspace_id, *channel)
        except (ValueError, OSError) as error:
            log.info("the credential channel of %s is down: %s", workspace_id, error)

    async def _answer_all(
        self, workspace_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer until the channel ends. Raises ValueError for an invalid request, OSError."""
        while line := await reader.readline():
            question = _QUESTION.fullmatch(line.decode("ascii", "replace"))
            if question is None:
                raise ValueError(f"it asks {line[:80]!r}")
            given = await self._answer(workspace_id, question[2], question[3], question[4] or "")
            lines = "".join(f"{name}={value}\n" for name, value in given.items())
            writer.write(f"{question[1]}\n{lines}\n".encode())
            await writer.drain()

    async def _answer(self, workspace_id: str, protocol: str, host: str, path: str = "") -> dict[str, str]:
        kept = await asyncio.to_thread(self._kept, workspace_id)
        for own in sorted(kept, key=lambda one: one.path == ""):
            if (own.protocol, own.host) == (protocol, host.lower()) and own.path in (path, ""):
                log.info("%s got the credentials of its address for %s", workspace_id, own.host)
                password = {} if own.password is None else {"password": own.password}
                return {"username": own.username, **password}
        if protocol != "https" or host not in self._hosts:
            log.warning("%s requested credentials for %s://%s, and got none", workspace_id, protocol, host)
            return {}
        found = await fill(protocol, host)
        log.info("%s requested credentials for %s: %s", workspace_id, host, "sent" if found else "none found")
        return found


async def fill(protocol: str, host: str) -> dict[str, str]:
    """Return the user's own Git's `username` and `password`, without prompting; empty if it has none."""
    environ = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true"}
    try:
        answer = await capture(
            ("git", "credential", "fill"),
            limit=LONGEST_ANSWER,
            timeout_s=ANSWER_S,
            stdin=f"protocol={protocol}\nhost={host}\n\n".encode(),
            env=environ,
        )
    except OSError:
        return {}
    if answer.exit_code is None:
        return {}
    lines = (line.partition("=") for line in answer.output.decode("utf-8", "replace").splitlines())
    found = {name: value for name, _, value in lines if name in ("username", "password") and value}
    return found if len(found) == 2 else {}
