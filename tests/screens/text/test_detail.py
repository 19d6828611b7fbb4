"""The lines about one workspace: facts, ports, steps, attempts and events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.screens.stub import FAILED_STEP, NOW, attempt, event, row
from wsdash.backend.job.ports import Listener, ports
from wsdash.backend.store.reader import WorkspaceDetail
from wsdash.model import Beat, Cause, End, Phase, StepResult
from wsdash.screens.text.detail import (
    attempt_lines,
    beat_words,
    fact_lines,
    now_lines,
    port_lines,
    size_words,
    step_lines,
    timeline,
)
from wsdash.screens.text.glyphs import ASCII, UNICODE
from wsdash.screens.text.spans import Line, width_of
from wsdash.workload import Port


def text_of(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in lines]


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (1023, "1023 B"), (2048, "2 KiB"), (734003200, "700 MiB"), (3 * 2**40, "3 TiB")],
)
def test_sizes_have_a_binary_unit(size: float, words: str) -> None:
    assert size_words(size) == words


def test_a_heartbeat_tells_only_what_it_has_measured() -> None:
    assert "," not in beat_words(Beat(NOW - 4), NOW)
    full = beat_words(Beat(NOW - 4, 0.42, 734003200, disk_free=2**31), NOW)
    assert full.endswith(" ago, load 0.4, memory 700 MiB, disk free 2 GiB")


def test_steps_tell_their_outcome_and_those_that_failed_their_last_lines() -> None:
    live = attempt("api", 2)
    assert live.last_observation is not None
    steps = (
        StepResult("fetch source", None, NOW - 100, NOW - 98, 0),
        FAILED_STEP,
        StepResult("postStart", "serve", NOW - 50),
    )
    live = replace(live, last_observation=replace(live.last_observation, steps=steps))
    lines = text_of(
        step_lines(live, {(2, 1): ["no such version"], (1, 0): ["of another attempt"]}, 60, ASCII)
    )
    assert [line.split()[-1] for line in lines] == ["s", "s", "version", "running"]
    assert "exit 1 after 9 s" in lines[1]
    assert not any("another attempt" in line for line in lines)
    assert text_of(step_lines(attempt("api"), {}, 60, ASCII)) == ["none reported yet"]


def test_attempts_tell_why_they_ended_without_control_sequences() -> None:
    over = replace(attempt("api", 7), end=End(NOW - 60, Cause.USER_CODE, 127, "sh: yarn:\x1b[2J not found"))
    first, message = text_of(attempt_lines(over, NOW, 80, UNICODE))
    assert first.startswith("#7 ") and first.endswith("user-code, exit 127")
    assert message == "     sh: yarn: not found"
    assert text_of(attempt_lines(attempt("api"), NOW, 80, UNICODE))[0].endswith("not ended")


def test_ports_name_who_listens_and_whether_that_is_known() -> None:
    declared = (Port("web", 8080),)
    known = ports(declared, (Listener(8080, False, "node"),))
    assert text_of(port_lines(known, 60, UNICODE))[0].split()[:3] == ["8080", "web", "node"]
    unknown = replace(ports(declared, ()), is_known=False)
    nobody = ports(declared, ())
    assert text_of(port_lines(unknown, 60, UNICODE)) != text_of(port_lines(nobody, 60, UNICODE))


def test_events_are_shown_with_their_evidence_and_an_empty_timeline_says_so() -> None:
    (head, text, evidence) = text_of(
        timeline([event("api", "step\x07 failed", "step-failed", NOW - 60, exit_code=1, empty="")], NOW, 60)
    )
    assert head.endswith("step-failed #1  reconciler")
    assert text == "  step failed"
    assert "1" in evidence and "empty" not in evidence
    assert text_of(timeline([], NOW, 60)) == ["no events yet"]


def test_facts_of_a_workspace_without_a_repository_name_the_defaults() -> None:
    found = row("api", source_url=None, ref=None, devfile_path=None)
    lines = text_of(fact_lines(found, "podman", NOW, 60, UNICODE))
    assert lines[:4] == [
        "source    no repository",
        "ref       the default branch",
        "devfile   the default one",
        "runs in   podman",
    ]


@pytest.mark.parametrize("width", [46, 60, 120])
def test_everything_keeps_to_its_width(width: int) -> None:
    over = replace(attempt("api", 7), end=End(NOW - 60, Cause.USER_CODE, 127, "word " * 50))
    found = replace(
        row("api", Phase.FAILED, "crash " * 40, last=over, source_url="https://host/" + "漢" * 90)
    )
    detail = WorkspaceDetail(found, (over, attempt("api")), (), "{}", ("/kept/" + "x" * 200,))
    lines = now_lines(
        detail, {(7, 0): ["y" * 200]}, ports((Port("web" * 9, 8080),), ()), "podman", NOW, width, UNICODE
    )
    assert max(map(width_of, lines)) <= width
    assert any("CHECKPOINTS" in line for line in text_of(lines))
