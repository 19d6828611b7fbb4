"""Receives heartbeats through the tunnel: the contents of the pipeline's name, at once and without a request to GitLab.

The tunnel is optional: its last heartbeat counts until the pipeline's name has a newer one.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace

from wsdash.backend.job import protocol
from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.tunnel.attempt_tasks import AttemptTasks
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel

log = logging.getLogger(__name__)

LONGEST_LINE = 1024
UP = "up: it transports heartbeats, shells, ports and checkpoints"
_ORDER = {
    state: place
    for place, state in enumerate(
        (
            pipeline_name.QUEUED,
            pipeline_name.FETCHING,
            pipeline_name.STARTING,
            pipeline_name.READY,
            pipeline_name.ENDING,
        )
    )
}


class TunnelHeartbeats:
    """Follows each running job; has the last heartbeat of each attempt."""

    def __init__(self, tunnel: JobTunnel) -> None:
        self._tunnel = tunnel
        self._following = AttemptTasks()
        self._sent: dict[str, Heartbeat] = {}
        self._up: set[str] = set()
        self._of_before: set[str] = set()

    def follow(self, workspace_id: str, attempt_id: str) -> None:
        """Receive the heartbeats of a running job, unless that is being done."""
        self._following.start(attempt_id, self._follow, workspace_id, attempt_id)

    def newest(self, named: Heartbeat) -> Heartbeat:
        """Return the newer heartbeat: the pipeline's name or the last one through the tunnel."""
        sent = self._sent.get(named.attempt_id)
        if sent is None:
            return named
        if named.attempt_id not in self._up:
            sent = replace(sent, facts={**sent.facts, "via": named.facts.get("via", "none")})
        return newer(named, sent)

    def status(self, beat: Heartbeat) -> str:
        """The state of the tunnel of a job that runs, in words. Reads files where it is down."""
        if beat.attempt_id in self._up:
            return UP
        why = self._tunnel.why_down(beat.workspace_id, "", beat.facts.get("tunnel", ""))
        return f"{'down' if self._tunnel.is_configured else 'none'}: {why.text}. {why.hint}"

    def forget_all_but(self, attempt_ids: Collection[str]) -> None:
        """Forget the attempts that are not among these running ones."""
        self._sent = {key: beat for key, beat in self._sent.items() if key in attempt_ids}
        self._of_before &= set(attempt_ids)

    async def aclose(self) -> None:
        """Cancel the tasks that follow jobs, and await their end."""
        await self._following.aclose()

    async def _follow(self, workspace_id: str, attempt_id: str) -> None:
        try:
            is_of_before = attempt_id in self._of_before
            if is_of_before or not await self._read(workspace_id, attempt_id, protocol.HEARTBEATS):
                # A job of the previous version ends an unknown command without any output.
                is_of_before = await self._read(workspace_id, attempt_id, protocol.HEARTBEATS_BEFORE)
            if is_of_before:
                self._of_before.add(attempt_id)
        except (ValueError, OSError) as error:
            log.info("the heartbeat channel of %s is down: %s", workspace_id, error)
        finally:
            self._up.discard(attempt_id)

    async def _read(self, workspace_id: str, attempt_id: str, command: str) -> bool:
        """Read heartbeats until the channel ends; return whether there was one. Raises ValueError, OSError."""
        async with self._tunnel.open_channel(workspace_id, (command,), LONGEST_LINE) as channel:
            while channel is not None and (line := await channel[0].readline()):
                self._sent[attempt_id] = _checked(line, workspace_id, attempt_id)
                self._up.add(attempt_id)
        return attempt_id in self._up


def newer(named: Heartbeat, sent: Heartbeat) -> Heartbeat:
    """Return the later of two heartbeats of one attempt. The final one is in the name: the tunnel is closed by then."""
    if named.state in pipeline_name.FINAL or sent.generation != named.generation:
        return named
    return sent if _place(sent) >= _place(named) else named


def _place(beat: Heartbeat) -> tuple[int, int]:
    return beat.seq, _ORDER.get(beat.state, len(_ORDER))


def _checked(line: bytes, workspace_id: str, attempt_id: str) -> Heartbeat:
    """Parse a heartbeat of this attempt. Raises ValueError for anything else: a job may send anything."""
    beat = pipeline_name.parse(line.decode("ascii", "replace").strip())
    if beat is None or (beat.workspace_id, beat.attempt_id) != (workspace_id, attempt_id):
        raise ValueError(f"it says {line[:80]!r}")
    return beat
