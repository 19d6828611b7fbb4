"""One workspace whole: why, facts, steps with the log of what failed, attempts, timeline."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.pilot import Pilot

from tests.screens.conftest import Running, notifications, until
from tests.screens.stub import FAILED_STEP, NOW, StubService, attempt, event
from wsdash.backend.job.ports import Listener, ports
from wsdash.model import Beat, Cause, End, StepResult
from wsdash.screens import workspace_actions
from wsdash.screens.detail import DetailScreen
from wsdash.screens.widgets.line_view import LineScroll
from wsdash.screens.workspaces import WorkspacesScreen
from wsdash.workload import Port

BEFORE = b"fetching\n" * 20
FAILURE = b"Collecting flask\n\x1b[31mERROR: no such version\x1b[0m\n"


def tell_a_story(stub: StubService) -> None:
    """`billing` has run twice; the second time a step failed."""
    step = replace(FAILED_STEP, log_start=len(BEFORE), log_end=len(BEFORE + FAILURE))
    steps = (StepResult("fetch source", None, NOW - 7200, NOW - 7198, 0), step)
    second = attempt("billing", 2)
    assert second.last_observation is not None
    job = replace(second.last_observation, steps=steps, beat=Beat(NOW - 4, 0.42, 734003200))
    second = replace(second, last_observation=job)
    first = attempt("billing", 1, end=End(NOW - 9000, Cause.RUNNER_LOST, 137, "killed"))
    stub.rows[1] = replace(stub.rows[1], attempt=second)
    stub.attempts["billing"] = (second, first)
    web = Port("web", 8080)
    stub.ports_of["billing"] = ports(
        (web, Port("debug", 9229)), (Listener(5432, True, "postgres"), Listener(8080, False, "node"))
    )
    stub.logs[2] = BEFORE + FAILURE + b"more\n"
    stub.events_of["billing"] = (
        event("billing", "postStart install failed with exit 1", "step-failed", NOW - 60, exit_code=1),
        event("billing", "created", "created", NOW - 7000),
    )


def text_of(pilot: Pilot[None], selector: str) -> str:
    return pilot.app.screen.query_one(selector, LineScroll).text


async def opened(pilot: Pilot[None]) -> None:
    await pilot.press("j", "enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, DetailScreen))
    await until(pilot, lambda: "ATTEMPTS" in text_of(pilot, "#now"))


async def test_it_tells_why_and_shows_steps_attempts_and_events(stub: StubService, running: Running) -> None:
    tell_a_story(stub)
    async with running((120, 40)) as pilot:
        await opened(pilot)
        now = text_of(pilot, "#now")
        assert now.startswith("postStart install failed with exit 1; the workspace")
        assert "heartbeat < 1 min ago, load 0.4, memory 700 MiB" in now
        assert "✓ fetch source" in now
        assert "exit 1 after 9 s" in now
        assert "runner-lost, exit 137" in now
        timeline = text_of(pilot, "#timeline")
        assert timeline.index("step-failed") < timeline.index("created")
        assert "exit_code: 1" in timeline


async def test_it_tells_what_it_listens_on(stub: StubService, running: Running) -> None:
    tell_a_story(stub)
    async with running((120, 40)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "PORTS" in text_of(pilot, "#now"))
        lines = text_of(pilot, "#now").split("PORTS")[1].splitlines()[1:4]
        assert [line.split() for line in lines] == [
            ["5432", "postgres,", "from", "within", "only"],
            ["8080", "web", "node"],
            ["9229", "debug", "nothing", "yet"],
        ]


async def test_a_failed_step_shows_its_own_last_lines(stub: StubService, running: Running) -> None:
    tell_a_story(stub)
    async with running((120, 40)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "  ERROR: no such version" in text_of(pilot, "#now"))
        assert "fetching" not in text_of(pilot, "#now")


async def test_it_follows_the_store(stub: StubService, running: Running) -> None:
    tell_a_story(stub)
    async with running() as pilot:
        await opened(pilot)
        stub.events_of["billing"] = (event("billing", "the job ended", "ended", NOW),)
        stub.change([replace(found, event=None) for found in stub.rows])
        await until(pilot, lambda: "the job ended" in text_of(pilot, "#timeline"))


async def test_it_closes_when_the_workspace_is_gone(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        await opened(pilot)
        stub.change([found for found in stub.rows if found.workspace.name != "billing"])
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))
        assert "billing is gone" in notifications(pilot)


async def test_a_key_that_is_typed_as_it_closes_acts_on_no_other_workspace(
    stub: StubService, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_actions, "CLOSED_ITSELF_S", 1000.0)  # however busy the machine is
    async with running() as pilot:
        await opened(pilot)
        stub.change([found for found in stub.rows if found.workspace.name != "billing"])
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))
        await pilot.press("x", "S", "D", "r", "q")
        assert isinstance(pilot.app.screen, WorkspacesScreen)
        assert [verb for verb, _ in stub.asked] == ["reconcile"]
        pilot.app.screen.asked_at -= 1000.0  # a while later keys are for the list
        await pilot.press("x")
        await until(pilot, lambda: [verb for verb, _ in stub.asked] == ["reconcile", "stop"])


async def test_the_keys_of_the_list_mean_the_same_here(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        await opened(pilot)
        await pilot.press("r", "x")
        await until(pilot, lambda: ("stop", "billing") in stub.asked)
        assert ("restart", "billing") in stub.asked


async def test_tab_chooses_the_half_that_scrolls(stub: StubService, running: Running) -> None:
    tell_a_story(stub)
    stub.events_of["billing"] = tuple(event("billing", f"thing {number}") for number in range(60))
    async with running((80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("tab", "G")
        timeline = pilot.app.screen.query_one("#timeline", LineScroll)
        await until(pilot, lambda: timeline.scroll_offset.y > 0)
        assert pilot.app.screen.query_one("#now", LineScroll).scroll_offset.y == 0
