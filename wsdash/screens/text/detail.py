"""The facts, ports, steps, attempts and events of a workspace as lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsdash.backend.job.ports import Ports, listens
from wsdash.backend.operations.explain import facts
from wsdash.backend.operations.unsaved_words import record_words
from wsdash.backend.rules.recovery_point import sentence
from wsdash.backend.rules.status import words_for_seconds
from wsdash.backend.store.reader import WorkspaceDetail, WorkspaceRow
from wsdash.model import Attempt, Beat, Event, StepResult
from wsdash.screens.text.glyphs import TONES, Glyphs
from wsdash.screens.text.rows import age_words, time_words
from wsdash.screens.text.spans import Line, Span, Tone, fit, plain, wrap

LABEL = 10
StepLogs = Mapping[tuple[int, int], Sequence[str]]
"""The last lines of a step's output, by attempt number and position of the step."""


def now_lines(
    detail: WorkspaceDetail,
    logs: StepLogs,
    ports: Ports | None,
    place: str,
    now: float,
    width: int,
    glyphs: Glyphs,
) -> list[Line]:
    """Return the current state: reason, facts, ports, the steps of the newest attempt, and all attempts."""
    lines = [*why_lines(detail.row, width), (), *fact_lines(detail.row, place, now, width, glyphs)]
    if ports is not None and ports.ports:
        hint = "  p opens a page" if any(port.listener for port in ports.ports) else ""
        lines += [(), (("PORTS", Tone.TITLE), (hint, Tone.MUTED)), *port_lines(ports, width, glyphs)]
    if detail.superseded:
        lines += [(), (("CHECKPOINTS SET ASIDE, bundles for git fetch", Tone.TITLE),)]
        lines += [((text, Tone.WARN),) for file in detail.superseded for text in wrap(plain(file), width)]
    if detail.attempts:
        newest = detail.attempts[0]
        lines += [
            (),
            ((f"STEPS of attempt #{newest.number}", Tone.TITLE),),
            *step_lines(newest, logs, width, glyphs),
        ]
        lines += [(), (("ATTEMPTS", Tone.TITLE),)]
        for attempt in detail.attempts:
            lines += attempt_lines(attempt, now, width, glyphs)
    return lines


def why_lines(row: WorkspaceRow, width: int) -> list[Line]:
    """Return the reason of the phase, in full."""
    tone = TONES[row.status.phase]
    return [
        ((text, Tone.PLAIN if tone is Tone.GOOD else tone),) for text in wrap(plain(row.status.reason), width)
    ]


def fact_lines(row: WorkspaceRow, place: str, now: float, width: int, glyphs: Glyphs) -> list[Line]:
    """Return one labelled line for each fact."""
    workspace, attempt = row.workspace, row.attempt
    facts = [
        ("source", workspace.source_url or "no repository"),
        ("ref", workspace.ref or "the default branch"),
        ("devfile", workspace.devfile_path or "the default one"),
        ("runs in", place),
        ("desired", str(workspace.desired)),
        ("work", sentence(row.saved, now, coarse=True)),
        *(
            [("unsaved", record_words(workspace.unsaved, now, coarse=True))]
            if workspace.unsaved is not None
            else []
        ),
        ("created", f"{time_words(workspace.created_at, now)}, {age_words(now - workspace.created_at)} ago"),
    ]
    seen = attempt.last_observation if attempt is not None and attempt.end is None else None
    if seen is not None and seen.beat is not None:
        facts.append(("heartbeat", beat_words(seen.beat, now)))
    if seen is not None and seen.tunnel_status:
        facts.append(("tunnel", seen.tunnel_status))
    if seen is not None and seen.warning:
        facts.append(("warning", seen.warning))
    if seen is not None and seen.url:
        facts.append(("job", seen.url))
    return [line for label, text in facts for line in _labelled(label, plain(text), width)]


def port_lines(ports: Ports, width: int, glyphs: Glyphs) -> list[Line]:
    """Return `8080  web  node`: the port, its name in the devfile, and the process that listens."""
    return [
        (
            (fit(str(port.number), 7), Tone.STRONG),
            (
                fit(plain(port.declared.name) if port.declared else "", 16, ellipsis=glyphs.ellipsis),
                Tone.PLAIN,
            ),
            (
                fit(
                    listens(port, is_known=ports.is_known), max(8, width - 23), ellipsis=glyphs.ellipsis
                ).rstrip(),
                Tone.GOOD if port.listener else Tone.MUTED,
            ),
        )
        for port in ports.ports
    ]


def beat_words(beat: Beat, now: float) -> str:
    """Return the fields of the last heartbeat. Its age is coarse, so that an idle view is not repainted."""
    parts = [f"{age_words(now - beat.at)} ago"]
    if beat.load is not None:
        parts.append(f"load {beat.load:.1f}")
    if beat.memory is not None:
        parts.append(f"memory {size_words(beat.memory)}")
    if beat.disk_free is not None:
        parts.append(f"disk free {size_words(beat.disk_free)}")
    return ", ".join(parts)


def size_words(size: float) -> str:
    """Return a size in bytes with a binary unit: `512 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.0f} TiB"


def step_lines(attempt: Attempt, logs: StepLogs, width: int, glyphs: Glyphs) -> list[Line]:
    """Return each step with its outcome, and the last lines of those that failed."""
    steps = attempt.last_observation.steps if attempt.last_observation else ()
    if not steps:
        return [(("none reported yet", Tone.MUTED),)]
    lines: list[Line] = []
    for place, step in enumerate(steps):
        lines.append(step_line(step, width, glyphs))
        lines += [
            (
                ("  ", Tone.MUTED),
                (fit(text, max(1, width - 2), ellipsis=glyphs.ellipsis).rstrip(), Tone.MUTED),
            )
            for text in logs.get((attempt.number, place), ())
        ]
    return lines


def step_line(step: StepResult, width: int, glyphs: Glyphs) -> Line:
    """Return `✓ postStart install   9 s`."""
    if step.ended_at is None:
        sign, tone, outcome = glyphs.running, Tone.BUSY, "running"
    elif step.failed:
        took = words_for_seconds(step.ended_at - step.started_at)
        sign, tone, outcome = glyphs.bad, Tone.BAD, f"exit {step.exit_code} after {took}"
    else:
        sign, tone = glyphs.good, Tone.GOOD
        outcome = words_for_seconds(step.ended_at - step.started_at)
    room = max(8, width - len(outcome) - 4)
    return (
        (f"{sign} ", tone),
        (fit(plain(step.title), min(room, 34), ellipsis=glyphs.ellipsis), Tone.PLAIN),
        (f"  {outcome}", tone if tone is not Tone.GOOD else Tone.MUTED),
    )


def attempt_lines(attempt: Attempt, now: float, width: int, glyphs: Glyphs) -> list[Line]:
    """Return number, start, duration and cause of the end; the job's last output below."""
    started = attempt.launched_at if attempt.launched_at is not None else attempt.intended_at
    number = f"#{attempt.number}"
    if attempt.end is None:
        took, outcome, tone = age_words(now - started), "not ended", Tone.GOOD
        message = attempt.cancel_reason or ""
    else:
        end = attempt.end
        took = words_for_seconds(end.at - started)
        code = f", exit {end.exit_code}" if end.exit_code is not None else ""
        outcome, tone = f"{end.cause}{code}", Tone.MUTED if end.exit_code in (None, 0) else Tone.WARN
        message = end.message or ""
    first: Line = (
        (fit(number, 5), Tone.STRONG),
        (fit(time_words(started, now), 13), Tone.MUTED),
        (fit(took, 9), Tone.PLAIN),
        (fit(outcome, max(8, width - 27), ellipsis=glyphs.ellipsis).rstrip(), tone),
    )
    parts = wrap(plain(message), max(20, width - 5), most=2, ellipsis=glyphs.ellipsis) if message else []
    return [first, *((("     ", Tone.MUTED), (text, Tone.MUTED)) for text in parts)]


def timeline(events: Sequence[Event], now: float, width: int) -> list[Line]:
    """Return the events as they are given, newest first: time, kind and actor; text and evidence below."""
    if not events:
        return [(("no events yet", Tone.MUTED),)]
    lines: list[Line] = []
    for event in events:
        head: list[Span] = [
            (fit(time_words(event.at, now), 13), Tone.MUTED),
            (plain(event.kind), Tone.STRONG),
        ]
        attempt = f" #{event.attempt}" if event.attempt is not None else ""
        head.append((f"{attempt}  {plain(event.actor)}", Tone.MUTED))
        lines.append(tuple(head))
        lines += [
            (("  ", Tone.MUTED), (text, Tone.PLAIN)) for text in wrap(plain(event.text), max(20, width - 2))
        ]
        lines += [
            (("  ", Tone.MUTED), (text, Tone.MUTED))
            for text in wrap(evidence_words(event.evidence), max(20, width - 2), most=3)
            if text
        ]
    return lines


def evidence_words(evidence: Mapping[str, object]) -> str:
    """Return `name: words` pairs, without empty values."""
    return "; ".join(f"{plain(name)}: {plain(words)}" for name, words in facts(evidence).items())


def _labelled(label: str, text: str, width: int) -> list[Line]:
    texts = wrap(text, max(20, width - LABEL))
    first: Line = ((fit(label, LABEL), Tone.MUTED), (texts[0], Tone.PLAIN))
    return [first, *(((" " * LABEL + more, Tone.PLAIN),) for more in texts[1:])]
