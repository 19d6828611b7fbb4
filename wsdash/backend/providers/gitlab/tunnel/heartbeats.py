"""Heartbeats by the line: what the pipeline's name says, at once and without a request to GitLab.

The line is a help and no condition: what it said last counts until GitLab's own word is newer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import replace

from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.tunnel.tunnel import Entrance, talking

log = logging.getLogger(__name__)

PULSE = ("wsdash-pulse",)
LONGEST_LINE = 1024
UP = "up: heartbeats come by it, and shells, ports and checkpoints go by it"
DOWN = (
    "down: no way in until its job has dialled, which it goes on trying; its log tells whether the image lacks an ssh."
    " Nothing is restarted for that"
)
NO_ACCESS = (
    "none: [access] in config.toml does not name this machine as runners see it. Without it there is no shell, editor"
    " or port here; the job's page, its log and its heartbeats are all there is"
)
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


class Pulses:
    """Follows each job that runs; by attempt, what it said last."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._following: dict[str, asyncio.Task[None]] = {}
        self._told: dict[str, Heartbeat] = {}
        self._up: set[str] = set()

    def follow(self, workspace_id: str, attempt_id: str) -> None:
        """Hear a job that runs, unless it is being heard."""
        if attempt_id in self._following:
            return
        task = asyncio.create_task(self._follow(workspace_id, attempt_id))
        self._following[attempt_id] = task
        task.add_done_callback(lambda _: self._following.pop(attempt_id, None))

    def newest(self, named: Heartbeat) -> Heartbeat:
        """What the pipeline's name says, or what the line has said since."""
        told = self._told.get(named.attempt_id)
        if told is None:
            return named
        if named.attempt_id not in self._up:
            told = replace(told, facts={**told.facts, "via": named.facts.get("via", "none")})
        return newer(named, told)

    def line(self, attempt_id: str) -> str:
        """How the line of a job that runs is, in words."""
        if not self._entrance.is_there:
            return NO_ACCESS
        return UP if attempt_id in self._up else DOWN

    def forget_all_but(self, attempt_ids: Collection[str]) -> None:
        """Only these still run."""
        self._told = {key: beat for key, beat in self._told.items() if key in attempt_ids}

    async def aclose(self) -> None:
        tasks = list(self._following.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, workspace_id: str, attempt_id: str) -> None:
        try:
            async with talking(self._entrance, workspace_id, PULSE, LONGEST_LINE) as line:
                while line is not None and (said := await line[0].readline()):
                    self._told[attempt_id] = _checked(said, workspace_id, attempt_id)
                    self._up.add(attempt_id)
        except (ValueError, OSError) as error:
            log.info("the line of %s for heartbeats is down: %s", workspace_id, error)
        finally:
            self._up.discard(attempt_id)


def newer(named: Heartbeat, told: Heartbeat) -> Heartbeat:
    """The later of two heartbeats of one attempt. A job's last word is its name: the line ends with it."""
    if named.state in pipeline_name.FINAL or told.generation != named.generation:
        return named
    return told if _place(told) >= _place(named) else named


def _place(beat: Heartbeat) -> tuple[int, int]:
    return beat.seq, _ORDER.get(beat.state, len(_ORDER))


def _checked(said: bytes, workspace_id: str, attempt_id: str) -> Heartbeat:
    """A heartbeat of this very attempt. Raises ValueError for anything else: a job may say what it likes."""
    beat = pipeline_name.parse(said.decode("ascii", "replace").strip())
    if beat is None or (beat.workspace_id, beat.attempt_id) != (workspace_id, attempt_id):
        raise ValueError(f"it says {said[:80]!r}")
    return beat
