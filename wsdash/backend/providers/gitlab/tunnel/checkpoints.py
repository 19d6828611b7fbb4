"""Stores checkpoints of running jobs on this machine, through their tunnel, and sends the last one to a waiting job.

`wsdash/backend/job/sh/bin/checkpoint.sh` describes the protocol.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from wsdash.backend.job import protocol
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.gitlab import registry_checkpoints
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.messages import UNSAVED
from wsdash.backend.providers.gitlab.tunnel.attempt_tasks import AttemptTasks
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.backend.store.checkpoint_files import Checkpoint, CheckpointId, CheckpointStore, NoRoom
from wsdash.backend.system.run import capture
from wsdash.model import JobObservation
from wsdash.sanitize import one_line

log = logging.getLogger(__name__)

STREAM = (protocol.CHECKPOINT, "stream")
SAVE_S = 60
FOLLOWED_S = 25.0
"""Longest wait for the reconciler's next poll, in seconds, after which it follows a running job."""
NOBODY = "failed nobody"
NEVER = ("no-git", "no-folder", "no-repository")
"""Permanent reasons: such a job never makes a checkpoint, and none is expected."""
CHUNK = 1 << 18
LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class CheckpointOffer:
    """A checkpoint that a job offers, and the earlier one that it builds on."""

    one: Checkpoint
    base: CheckpointId


class Checkpoints:
    """Follows each running job. A failure with one job affects no other."""

    def __init__(self, folder: Path, tunnel: JobTunnel) -> None:
        self.kept = CheckpointStore(folder)
        self._tunnel = tunnel
        self._following = AttemptTasks()
        self._sending = AttemptTasks()
        self._sent: set[str] = set()

    def follow(self, workspace_id: str, attempt_id: str, number: int) -> None:
        """Store the checkpoints of a running job, unless that is being done."""
        self._following.start(attempt_id, self._follow, workspace_id, number)

    def send(self, workspace_id: str, attempt_id: str) -> None:
        """Send the last checkpoint to a starting job, which receives it if it waits for it."""
        if attempt_id not in self._sent:
            self._sending.start(attempt_id, self._send, workspace_id, attempt_id)

    async def save(self, workspace_id: str, name: str) -> None:
        """Have the job make a checkpoint now, and wait until it is stored. Raises ProviderError.

        Does nothing for a job that never makes any.
        """
        end = asyncio.get_running_loop().time() + FOLLOWED_S
        while (answer := await self._ask_to_save(workspace_id, name)) == NOBODY:
            if asyncio.get_running_loop().time() > end:
                break
            await asyncio.sleep(1.0)
        word, _, rest = answer.partition(" ")
        if word == "kept" or rest in NEVER:
            return
        raise ProviderError(
            f"the work in {name} cannot be saved: {UNSAVED.get(rest) or rest or 'its job does not answer'}",
            "Push it from inside the workspace (`wsdash ssh`).",
        )

    async def _ask_to_save(self, workspace_id: str, name: str) -> str:
        argv = await self._tunnel.command(workspace_id, name, (protocol.CHECKPOINT, "save", str(SAVE_S)))
        answer = await capture(argv, limit=LONGEST_LINE, timeout_s=SAVE_S + 15.0)
        if answer.exit_code is None and not answer.output:
            return "failed it takes too long"
        return one_line(answer.output.decode("utf-8", "replace")).strip()

    def placed(self, jobs: Iterable[JobObservation], beats: Iterable[Heartbeat]) -> list[JobObservation]:
        """The jobs with the place of each one's checkpoint, by what is here and what heartbeats report. Blocks."""
        beats = list(beats)
        ways = {beat.attempt_id: beat.facts.get("by", "") for beat in beats}
        return [
            job
            if job.saved_at is None
            else replace(
                job, checkpoint_in=self._place(job.workspace_id, ways.get(job.attempt_id, ""), beats)
            )
            for job in jobs
        ]

    def _place(self, workspace_id: str, way: str, beats: Iterable[Heartbeat]) -> str:
        """`way` is that of the job's newest checkpoint, "" for a job of an earlier version, which reports none."""
        kept, remote = self.kept.newest(workspace_id), registry_checkpoints.newest(beats, workspace_id)
        is_newer = remote is not None and (kept is None or remote.id > kept.id)
        if way == "project" or (not way and is_newer):
            return "project"
        return "elsewhere" if kept is None else "here"

    async def aclose(self) -> None:
        """Cancel the transfers, which end with their ssh; they are requested again later."""
        await self._following.aclose()
        await self._sending.aclose()

    async def _follow(self, workspace_id: str, number: int) -> None:
        try:
            async with self._tunnel.open_channel(workspace_id, STREAM, CHUNK) as channel:
                if channel is not None:
                    await self._take(workspace_id, number, *channel)
        except (ValueError, OSError, asyncio.IncompleteReadError) as error:
            log.info("the checkpoint channel of %s is down: %s", workspace_id, error)

    async def _take(
        self, workspace_id: str, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Store checkpoints until the channel ends. Raises ValueError for an invalid line of the job, OSError."""
        newest = await asyncio.to_thread(self.kept.newest, workspace_id)
        writer.write(f"{newest.id} {newest.hash}\n".encode() if newest else b"none none\n")
        while line := await reader.readline():
            words = line[:LONGEST_LINE].decode("ascii", "replace").split()
            answer = "kept"
            if words[:1] == ["new"]:
                answer = await self._take_one(workspace_id, offer_of(words, number), reader)
            elif words[:1] == ["failed"]:
                log.info("%s cannot make a checkpoint: %s", workspace_id, one_line(" ".join(words[1:])))
                continue
            elif words[:1] != ["same"]:
                raise ValueError(f"it says {line[:80]!r}")
            writer.write(f"{answer}\n".encode())
            await writer.drain()

    async def _take_one(self, workspace_id: str, offer: CheckpointOffer, reader: asyncio.StreamReader) -> str:
        """Store one checkpoint, and return the answer for the job."""
        try:
            await self._keep(workspace_id, offer, reader)
        except NoRoom:
            problem = "there is no space for it on your machine"
        except OSError as error:
            problem = f"it cannot be stored on your machine ({error.strerror or error})"
        else:
            return "kept"
        log.error("the checkpoint %s of %s is refused: %s", offer.one.id, workspace_id, problem)
        return f"refused {problem}"

    async def _keep(self, workspace_id: str, offer: CheckpointOffer, reader: asyncio.StreamReader) -> None:
        """Store a checkpoint. Raises NoRoom and OSError only after all of it was read, so that the channel can
        continue.
        """
        one = offer.one
        try:
            draft = await asyncio.to_thread(self.kept.draft, workspace_id, one)
        except (NoRoom, OSError):
            await _copy(reader, None, one.size)
            raise
        with draft:
            await _copy(reader, draft, one.size)
            await asyncio.to_thread(self.kept.keep, workspace_id, one, offer.base, draft)

    async def _send(self, workspace_id: str, attempt_id: str) -> None:
        newest = await asyncio.to_thread(self.kept.newest, workspace_id)
        if newest is None:
            return
        argv = await self._tunnel.command_if_connected(
            workspace_id, workspace_id, (protocol.CHECKPOINT, "receive", str(newest.id), newest.hash)
        )
        if argv is None:
            return
        try:
            status = await asyncio.to_thread(_pour, argv, self.kept.file(workspace_id, newest))
        except OSError as error:
            log.error("the checkpoint of %s cannot be sent: %s", workspace_id, error)
            return
        if status == 0:
            self._sent.add(attempt_id)


def offer_of(words: list[str], number: int) -> CheckpointOffer:
    """Parse `new ID BASE EPOCH SIZE HASH`, of a job with this number. Raises ValueError."""
    _, id_, base, at, size, digest = words
    one = Checkpoint(CheckpointId.of(id_), int(at), int(size), digest)
    if one.id.number != number or one.size < 0 or len(digest) > 64 or not digest.isalnum():
        raise ValueError(f"it offers {one}")
    return CheckpointOffer(one, CheckpointId.of(base))


async def _copy(reader: asyncio.StreamReader, file: IO[bytes] | None, size: int) -> None:
    """Read all bytes, even if they cannot be written. Raises OSError, IncompleteReadError."""
    problem: OSError | None = None
    while size:
        data = await reader.read(min(size, CHUNK))
        if not data:
            raise asyncio.IncompleteReadError(b"", size)
        size -= len(data)
        if file is not None and problem is None:
            try:
                await asyncio.to_thread(file.write, data)
            except OSError as error:
                problem = error
    if problem is not None:
        raise problem


def _pour(argv: tuple[str, ...], file: Path) -> int:
    with file.open("rb") as bundle:
        return subprocess.run(
            argv, stdin=bundle, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        ).returncode
