"""The keys and values of `list --json` and `show --json`, which scripts rely on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from tests.backend import builders
from tests.backend.builders import NOW
from wsdash import cli
from wsdash.backend.rules.recovery_point import RecoveryPoint
from wsdash.backend.store.reader import WorkspaceDetail, WorkspaceRow
from wsdash.commands.json_output import detail_json, row_json
from wsdash.model import Attempt, Cause, Phase, Status, StepResult, UnsavedRecord, UnsavedTotals, Workspace
from wsdash.paths import Paths

Fill = Callable[[Iterable[Workspace]], None]
LIST_KEYS = {
    "name", "id", "context", "project", "ref", "desired", "phase", "reason", "healthy", "attempt", "job",
    "created_at", "started_at", "last_beat_at", "saved_at", "folder",
}  # fmt: skip
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
AT_NOW = "2023-11-14T22:13:20.000Z"


def named(name: str, number: int = 1) -> Workspace:
    return replace(builders.workspace(), name=name, id=f"id{number}")


def row(attempt: Attempt | None = None, *, until: float | None = None) -> WorkspaceRow:
    status = Status(Phase.RUNNING, "running", True, until, "degraded")
    return WorkspaceRow(builders.workspace(), status, attempt, None, RecoveryPoint("folder"))


def test_list_json_has_the_keys_that_scripts_rely_on(
    store_with: Fill, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    store_with([named("web", 1), named("api", 2)])
    folder = paths.contexts / "local" / "workspaces" / "id2"
    folder.mkdir(parents=True)
    assert cli.main(["list", "--json"]) == 0
    output = capsys.readouterr()
    rows = json.loads(output.out)
    assert output.err == ""
    assert [row["name"] for row in rows] == ["api", "web"]
    for row in rows:
        assert row.keys() >= LIST_KEYS
        assert ISO_8601.fullmatch(row["created_at"])
    assert rows[0]["project"] == "demo"
    assert rows[0]["desired"] == "running"
    assert rows[0]["phase"] == "pending"
    assert rows[0]["folder"] == str(folder)
    assert rows[1]["folder"] is None, "nothing of it is on this machine before its first launch"


def test_what_has_not_happened_is_null(paths: Paths) -> None:
    found = row_json(row(until=float("inf")), paths)
    empty = ("attempt", "job", "started_at", "last_beat_at", "saved_at", "until", "folder")
    assert {key: found[key] for key in empty} == dict.fromkeys(empty)
    assert found["trouble"] == "degraded"


def test_a_running_job_has_its_times_and_its_address(paths: Paths) -> None:
    attempt = replace(builders.attempt(3), url="https://gitlab.example/-/jobs/3")
    seen = replace(builders.job(attempt, beat_at=NOW), workspace_id="w1")
    found = row_json(row(replace(attempt, last_observation=seen), until=NOW), paths)
    assert found["job"] == {"id": "job-3", "url": "https://gitlab.example/-/jobs/3"}
    assert (found["attempt"], found["last_beat_at"], found["until"]) == (3, AT_NOW, AT_NOW)
    assert found["started_at"] == "2023-11-14T22:05:00.000Z"


def test_the_details_have_steps_ends_and_unsaved_work(paths: Paths) -> None:
    attempt = builders.attempt(2)
    step = StepResult("post_start", "build", NOW - 1, NOW, 2, 0, 10)
    seen = replace(builders.job(attempt), isolation="bubblewrap", steps=(step,))
    shown = row(replace(attempt, last_observation=seen))
    unsaved = UnsavedRecord(NOW, UnsavedTotals(commits=1, files=2, is_whole=False))
    shown = replace(shown, workspace=replace(shown.workspace, unsaved=unsaved))
    first = builders.ended(1, NOW, Cause.USER_CODE, exit_code=7)
    found = detail_json(WorkspaceDetail(shown, (attempt, first), (), "{}", ("/kept/old.bundle",)), paths)
    assert found["unsaved"] == {"at": AT_NOW, "commits": 1, "stashes": 0, "files": 2, "is_whole": False}
    assert (found["isolation"], found["aside"]) == ("bubblewrap", ["/kept/old.bundle"])
    assert json.loads(json.dumps(found["steps"])) == [
        {
            "phase": "post_start",
            "command": "build",
            "started_at": "2023-11-14T22:13:19.000Z",
            "ended_at": AT_NOW,
            "exit_code": 2,
        }
    ]
    live, over = json.loads(json.dumps(found["attempts"]))
    assert (live["ended_at"], live["cause"], live["exit_code"]) == (None, None, None)
    assert (over["ended_at"], over["cause"], over["exit_code"]) == (AT_NOW, Cause.USER_CODE, 7)
