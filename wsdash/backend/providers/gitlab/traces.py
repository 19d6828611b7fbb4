"""What a job's log tells, beside what its pipeline's name does: steps, readiness, beats, last words. Pure.

The log is a fallback: it comes a minute late, and takes no more after 4 MB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from wsdash.backend.job.protocol import MARK, Message, parse
from wsdash.model import StepResult
from wsdash.text import one_line

MOST_STEPS = 400
TAIL = 12
"""Lines of a log that the message of a failure keeps."""

_MESSAGE = re.compile(re.escape(MARK).join((b"(", rb"[^\r\n]*)(?:\r\x1b\[0K)?")))
CACHE_IS_LOCAL = b"cache will not be downloaded from shared cache server"
"""GitLab Runner, `commands/helpers/cache_extractor.go`."""
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|section_(?:start|end):\d+:[^\r\n]*\r?")


@dataclass(frozen=True, slots=True)
class Told:
    """What a log has told. Instants are on the job's clock."""

    steps: tuple[StepResult, ...] = ()
    ready_at: float | None = None
    beat_at: float | None = None
    tail: str | None = None
    cache_is_local: bool = False
    """Whether the runner says that it has no shared storage for caches, but this machine's disk."""


def read(log: bytes) -> Told:
    """The messages of a log and its last lines. Any bytes may stand in it.

    A message is erased by what follows it, as GitLab's marks of sections are, or is a line of its own.
    """
    steps: list[StepResult] = []
    ready_at = beat_at = now = None
    lines: list[bytes] = []
    position = 0
    for line in log.split(b"\n"):
        shown = line
        for found in _MESSAGE.finditer(line):
            message = parse(found[1])
            if message is None:
                continue
            shown = line[found.end() :]
            now = message.number("at") or now
            if message.kind == "step":
                _take_step(steps, message, position + found.start(), position + found.end())
            elif message.kind == "ready":
                ready_at = now
            elif message.kind == "beat":
                beat_at = now
        lines.append(shown)
        del lines[: -4 * TAIL]
        position += len(line) + 1
    return Told(tuple(steps), ready_at, beat_at, _tail(lines), CACHE_IS_LOCAL in log)


def _take_step(steps: list[StepResult], message: Message, before: int, after: int) -> None:
    phase, command, at = message.text("phase"), message.text("command"), message.number("at")
    if phase is None or at is None:
        return
    if message.text("state") == "start":
        if len(steps) < MOST_STEPS:
            steps.append(StepResult(phase[:80], command and command[:80], at, log_start=after))
        return
    for index in range(len(steps) - 1, -1, -1):
        step = steps[index]
        if (step.phase, step.command, step.ended_at) == (phase[:80], command and command[:80], None):
            steps[index] = replace(step, ended_at=at, exit_code=message.integer("exit"), log_end=before)
            return


def _tail(lines: list[bytes]) -> str | None:
    words = [one_line(_CONTROL.sub(b"", line).decode("utf-8", "replace")) for line in lines]
    return "\n".join([word for word in words if word][-TAIL:]) or None
