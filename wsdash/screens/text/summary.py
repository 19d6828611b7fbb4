"""The summary of the selected workspace: phase, reason, facts, and the keys of available actions. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wsdash.backend.rules.recovery_point import sentence
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.model import StepResult
from wsdash.screens.action import Action, key_name
from wsdash.screens.text.glyphs import TONES, Glyphs
from wsdash.screens.text.rows import up_words
from wsdash.screens.text.spans import Line, Span, Tone, joined, plain, width_of, wrap

MOST_STEPS = 3
TALL = 14
"""Up to this height the keys are on the last line, so that they do not move."""


def summary(
    row: WorkspaceRow, keys: Sequence[Action], now: float, width: int, height: int, glyphs: Glyphs
) -> list[Line]:
    """Return at most `height` lines, the most important first; the keys are always included."""
    phase = row.status.phase
    tone = Tone.WARN if row.status.condition else TONES[phase]
    title = (
        (plain(row.workspace.name), Tone.STRONG),
        ("  ", Tone.MUTED),
        (f"{glyphs.phases[phase]} {phase}", tone),
        ("  ", Tone.MUTED),
        (up_words(row, now), Tone.MUTED),
    )
    next_keys = key_lines(keys, width)
    room = height - 1 - len(next_keys)
    body: list[Line] = [
        ((line, tone if tone is not Tone.GOOD and tone is not Tone.MUTED else Tone.PLAIN),)
        for line in wrap(plain(row.status.reason), width, most=2, ellipsis=glyphs.ellipsis)
    ]
    body += failed_steps(row, width, glyphs)
    facts = [
        *source_lines(row, width, glyphs),
        _fact("work    ", sentence(row.saved, now, coarse=True), width, glyphs),
    ]
    if room > len(body) + 2:
        body += [(), *facts]
        if row.event is not None:
            event = wrap(plain(row.event.text), width - 8, most=2, ellipsis=glyphs.ellipsis)
            body += [
                ((label, Tone.MUTED), (text, Tone.PLAIN))
                for label, text in zip(["last    ", " " * 8], event, strict=False)
            ]
        space = max(0, room - len(body)) if height <= TALL else 1
        return [title, *body[:room], *([()] * space), *next_keys][:height]
    body += facts
    return [title, *body[: max(0, room)], *next_keys][:height]


def key_lines(keys: Sequence[Action], width: int) -> list[Line]:
    """Return `s shell  l log  ...` on as many lines as needed."""
    lines: list[list[Line]] = [[]]
    for action in keys:
        if not action.keys:
            continue
        part: Line = ((key_name(action.keys[0]), Tone.KEY), (f" {action.title.lower()}", Tone.PLAIN))
        if lines[-1] and width_of(joined([*lines[-1], part])) > width:
            lines.append([])
        lines[-1].append(part)
    return [joined(line) for line in lines]


def failed_steps(row: WorkspaceRow, width: int, glyphs: Glyphs) -> list[Line]:
    """Return the newest attempt's failed steps, one line each."""
    seen = row.attempt.last_observation if row.attempt else None
    failed = [step for step in seen.steps if step.failed] if seen else []
    lines: list[Line] = [
        ((text, Tone.BAD),) for step in failed[:MOST_STEPS] for text in step_words(step, width, glyphs)
    ]
    if len(failed) > MOST_STEPS:
        lines.append(((f"{len(failed) - MOST_STEPS} more failed steps", Tone.BAD),))
    return lines


def step_words(step: StepResult, width: int, glyphs: Glyphs) -> list[str]:
    """One failed step in words."""
    return wrap(
        f"{glyphs.bad} {plain(step.title)} failed with exit {step.exit_code}",
        width,
        most=1,
        ellipsis=glyphs.ellipsis,
    )


def source_lines(row: WorkspaceRow, width: int, glyphs: Glyphs) -> list[Line]:
    """Return the source and the devfile of the workspace."""
    workspace = row.workspace
    parts: list[tuple[str, str]] = []
    if workspace.source_url:
        ref = f" @ {workspace.ref}" if workspace.ref else ""
        parts.append(("source  ", plain(workspace.source_url + ref)))
    parts.append(("devfile ", plain(workspace.devfile_path or "the default one")))
    return [_fact(label, text, width, glyphs) for label, text in parts]


def _fact(label: str, text: str, width: int, glyphs: Glyphs) -> Line:
    spans: list[Span] = [(label, Tone.MUTED)]
    spans.append((wrap(text, max(8, width - len(label)), most=1, ellipsis=glyphs.ellipsis)[0], Tone.PLAIN))
    return tuple(spans)
