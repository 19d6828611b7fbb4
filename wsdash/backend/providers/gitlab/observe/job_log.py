"""What a job's log tells, beside what its pipeline's name does: steps, readiness, beats, last words. Pure.

The log is a fallback: it comes a minute late, and takes no more after 4 MB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from wsdash.backend.job.log_text import Unstamped, last_words
from wsdash.backend.job.protocol import MARK, Message, parse
from wsdash.model import StepResult
from wsdash.sanitize import printable

MOST_STEPS = 400
ENDING_STEPS = frozenset({"fetch"})
"""A job whose step of this name fails ends with it; after others it goes on."""

_MESSAGE = re.compile(re.escape(MARK).join((b"(", rb"[^\r\n]*)(?:\r\x1b\[0K)?")))
CACHE_IS_LOCAL = b"cache will not be downloaded from shared cache server"
"""GitLab Runner, `commands/helpers/cache_extractor.go`."""
_SCRIPT = re.compile(
    rb"section_start:\d+:(?:step_|build_)?script(?:\[[^\[\]\r\n]*+\])?\r\x1b\[0K[^\n]*+(?:\n|\Z)(.*?)"
    rb"(?:section_end:\d+:(?:step_|build_)?script\b|\Z)",
    re.DOTALL,
)
"""What the script of a job has written: all else is the runner's (GitLab Runner, `common/build.go`)."""
_ECHO = re.compile(rb"^(?:\x1b\[0K)?\x1b\[32;1m\$ [^\n]*\n?", re.MULTILINE)
"""A command of the script, as the runner shows it before it runs."""
_EXIT = re.compile(
    rb"ERROR: Job failed: (?:exit (?:status|code) |command terminated with exit code )(\d{1,3})\b"
)
"""GitLab Runner's last line: of the shell, the docker and the kubernetes executor."""


@dataclass(frozen=True, slots=True)
class ParsedLog:
    """What a log holds. Instants are on the job's clock."""

    steps: tuple[StepResult, ...] = ()
    ready_at: float | None = None
    beat_at: float | None = None
    tail: str | None = None
    """The last lines of the step that failed, else of what the job's script wrote, else of all."""
    exit_code: int | None = None
    """That of the script, where the runner tells it."""
    cache_is_local: bool = False
    """Whether the runner says that it has no shared storage for caches, but this machine's disk."""


def read(log: bytes) -> ParsedLog:
    """The messages of a log and its last words. Any bytes may stand in it.

    A message is erased by what follows it, as GitLab's marks of sections are, or is a line of its own.
    """
    steps: list[StepResult] = []
    ready_at = beat_at = now = None
    unstamped = Unstamped(log)
    text = unstamped.text
    ending: tuple[int, int] | None = None
    for found in _MESSAGE.finditer(text):
        message = parse(found[1])
        if message is None:
            continue
        now = message.number("at") or now
        if message.kind == "step":
            before, after = unstamped.position(found.start()), unstamped.position(found.end())
            _take_step(steps, message, before, after)
            if message.text("state") == "start" and message.text("phase") in ENDING_STEPS:
                ending = (found.end(), len(text))
            elif ending is not None:
                failed = message.text("phase") in ENDING_STEPS and message.integer("exit")
                ending = (ending[0], found.start()) if failed else None
        elif message.kind == "ready":
            ready_at = now
        elif message.kind == "beat":
            beat_at = now
    exit_codes = _EXIT.findall(text)
    return ParsedLog(
        tuple(steps),
        ready_at,
        beat_at,
        _tail(text, ending),
        int(exit_codes[-1]) if exit_codes else None,
        CACHE_IS_LOCAL in log,
    )


def _tail(text: bytes, ending: tuple[int, int] | None) -> str | None:
    words = last_words(text[slice(*ending)], own_error=True) if ending is not None else ""
    script = _SCRIPT.search(text)
    if not words and script is not None:
        words = last_words(_ECHO.sub(b"", script[1]))
    return printable(words or last_words(text)) or None


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
