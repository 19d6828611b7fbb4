"""The lifecycle commands: in order, the first three once; a failure stops later ones; `waitFor` is when to begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.backend.job.conftest import Job
from tests.backend.job.conftest import job as job
from tests.devfile.devcontainer.examples import translated
from tests.waiting import until_sync
from wsdash.workload import Command, Parallel, Sequential, Workload


def workload(**commands: object) -> Workload:
    return translated({"image": "debian:13", **commands}).workload


def steps(**commands: object) -> tuple[object, ...]:
    (sequence,) = workload(**commands).post_start
    assert isinstance(sequence, Sequential)
    assert sequence.stop_on_failure
    return sequence.steps


@pytest.mark.parametrize(
    ("value", "step"),
    [
        ("npm ci && echo $HOME", Command("postCreateCommand", "npm ci && echo $HOME", once=True)),
        (["echo", "a b", "$HOME"], Command("postCreateCommand", "echo 'a b' '$HOME'", once=True)),
        (
            {"app": "npm ci", "db": ["make", "db"]},
            Parallel(
                "postCreateCommand",
                (
                    Command("postCreateCommand/app", "npm ci", once=True),
                    Command("postCreateCommand/db", "make db", once=True),
                ),
            ),
        ),
        (
            "ls ${containerWorkspaceFolder}",
            Command("postCreateCommand", "ls ${PROJECT_SOURCE}", once=True, expands=("PROJECT_SOURCE",)),
        ),
    ],
    ids=["text: a shell", "list: no shell", "mapping: in parallel", "variables"],
)
def test_a_command_has_three_forms(value: object, step: object) -> None:
    assert steps(postCreateCommand=value) == (step,)


def test_they_run_in_order_and_those_for_a_new_workspace_once() -> None:
    found = steps(
        postStartCommand="d",
        postCreateCommand="c",
        updateContentCommand="b",
        onCreateCommand="a",
        waitFor="onCreateCommand",
    )
    assert [(step.line, step.once) for step in found if isinstance(step, Command)] == [
        ("a", True),
        ("b", True),
        ("c", True),
        ("d", False),
    ]


@pytest.mark.parametrize(
    ("commands", "ready_after"),
    [
        ({"onCreateCommand": "a", "postCreateCommand": "c"}, "onCreateCommand"),
        ({"updateContentCommand": "b", "postCreateCommand": "c"}, "updateContentCommand"),
        ({"postCreateCommand": "c"}, ""),
        ({"postCreateCommand": "c", "waitFor": "postCreateCommand"}, None),
        ({"onCreateCommand": "a", "postStartCommand": "d", "waitFor": "postStartCommand"}, None),
        ({"onCreateCommand": "a", "waitFor": "initializeCommand"}, ""),
        ({}, None),
    ],
)
def test_the_workspace_is_ready_when_what_waitfor_names_has_ended(
    commands: dict[str, Any], ready_after: str | None
) -> None:
    assert workload(**commands).ready_after == ready_after


@pytest.mark.parametrize("value", ["", [], {}, None, {"app": ""}])
def test_an_empty_command_is_none(value: object) -> None:
    assert workload(postCreateCommand=value).post_start == ()


def test_in_a_real_job_a_failure_stops_the_later_ones_until_it_is_mended(job: Job) -> None:
    found = workload(
        onCreateCommand="echo create >>ran",
        updateContentCommand="echo update >>ran; [ -e mended ]",
        postCreateCommand={"one": "echo one >>ran", "two": ["sh", "-c", "echo two >>ran"]},
        postStartCommand="echo start >>ran",
    )
    first = job.run_until_ready(found)
    until_sync(lambda: "updateContentCommand" in first.exits(), what="the failure")
    assert first.stop() == 0
    assert _ran(job.projects) == ["create", "update"]
    (job.projects / "api" / "mended").touch()
    second = job.run_until_ready(found)
    until_sync(lambda: "postStartCommand" in second.exits(), what="the last command")
    assert second.stop() == 0
    assert sorted(_ran(job.projects)[2:]) == sorted(["update", "one", "two", "start"])
    third = job.run_until_ready(found)
    until_sync(lambda: "postStartCommand" in third.exits(), what="the last command")
    assert _ran(job.projects)[6:] == ["start"]


def _ran(projects: Path) -> list[str]:
    return (projects / "api" / "ran").read_text().split()
