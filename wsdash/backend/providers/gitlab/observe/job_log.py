"""Reads from a job's log what its pipeline's name does not have: steps, readiness, heartbeats, last lines. Pure.

The log is a fallback: it arrives a minute late, and ends after 4 MB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from wsdash.backend.job.log_text import Unstamped, last_words
from wsdash.backend.job.protocol import MARK, Message, parse
from wsdash.backend.job.runner_log import OF_RUNNER
from wsdash.model import StepResult
from wsdash.sanitize import printable

MOST_STEPS = 400
_LAST = 1000
"""Bytes of the end of a log, in which the runner's own last line is."""
ENDING_STEPS = frozenset({"fetch"})
"""Steps whose failure ends the job; after others it continues."""

_MESSAGE = re.compile(re.escape(MARK).join((b"(", rb"[^\r\n]*)(?:\r\x1b\[0K)?")))
CACHE_IS_LOCAL = b"cache will not be downloaded from shared cache server"
"""The runner's message without shared cache storage (GitLab Runner, `commands/helpers/cache_extractor.go`)."""
_SCRIPT = re.compile(
    rb"section_start:\d+:(?:step_|build_)?script(?:\[[^\[\]\r\n]*+\])?\r\x1b\[0K[^\n]*+(?:\n|\Z)(.*?)"
    rb"(?:section_end:\d+:(?:step_|build_)?script\b|\Z)",
    re.DOTALL,
)
"""The part of the log that the job's script wrote; the rest is the runner's (GitLab Runner, `common/build.go`)."""
_WHOLE_LINE = re.compile(rb"^(?:\x1b\[0K\x1b\[32;1m\$ |%s)[^\n]*\n?" % OF_RUNNER.pattern, re.MULTILINE)
"""A line of the runner's in the script's part."""
_EXIT = re.compile(
    rb"ERROR: Job failed: (?:exit (?:status|code) |command terminated with exit code )(\d{1,3})\b"
)
"""GitLab Runner's last line, for the shell, the docker and the kubernetes executor."""


_CUT = re.compile(rb"Job's log exceeded limit of (\d{1,15}) bytes\.")
"""GitLab Runner's last line of a log that has reached `output_limit` of the runner (`helpers/trace/buffer.go`)."""
CUT_WORDS = (
    "its log ends at its runner's limit of {} bytes, before the job did: have what runs in the workspace write less to"
    " its standard output, or have output_limit of the runner raised"
)


@dataclass(frozen=True, slots=True)
class ParsedLog:
    """The contents of a log. Times are on the job's clock."""

    steps: tuple[StepResult, ...] = ()
    ready_at: float | None = None
    beat_at: float | None = None
    tail: str | None = None
    """The last lines of the failed step, else of the job's script, else of the whole log."""
    exit_code: int | None = None
    """The script's exit code, if the runner reports it."""
    cache_is_local: bool = False
    """Whether the runner says that it has no shared cache storage, only its machine's disk."""
    is_cut: bool = False
    """Whether it ends at its runner's limit: what came after that is unknown."""


def read(log: bytes) -> ParsedLog:
    """Parse a log, which may contain any bytes.

    A message is on a line of its own, or is followed by a control sequence that erases it, like GitLab's section marks.
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
        _CUT.search(text[-_LAST:]) is not None,
    )


def _tail(text: bytes, ending: tuple[int, int] | None) -> str | None:
    words = last_words(text[slice(*ending)], own_error=True) if ending is not None else ""
    cut = _CUT.search(text[-_LAST:])
    if not words and cut is not None:
        return CUT_WORDS.format(cut[1].decode())
    script = _SCRIPT.search(text)
    if not words and script is not None:
        words = last_words(_WHOLE_LINE.sub(b"", script[1]))
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
