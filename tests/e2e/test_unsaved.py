"""A job of a GitLab reports unsaved work as it ends, since it cannot be asked afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gitlab_work import PATIENCE_S, MakeRunner, Work, working
from tests.e2e.test_gitlab import make_runner
from tests.waiting import until_sync
from wsdash.paths import Paths

__all__ = ["make_runner"]

CLEAN = """\
schemaVersion: 2.2.0
components: [{name: main, container: {image: alpine}}]
"""
WRITES = (
    CLEAN
    + """\
commands:
- {id: write, exec: {component: main, commandLine: 'echo precious >notes.txt'}}
events: {preStop: [write]}
"""
)


@pytest.fixture(params=[CLEAN], ids=["clean"])
def work(
    tmp_path: Path,
    paths: Paths,
    make_runner: MakeRunner,
    leaves_nothing_running: None,
    request: pytest.FixtureRequest,
) -> Iterator[Work]:
    with working(tmp_path, paths, make_runner, devfile=request.param) as work:
        yield work


def delete_soon(work: Work) -> None:
    """For workspaces that are created from now on."""
    text = work.paths.config_file.read_text()
    work.paths.config_file.write_text(
        text.replace("[policy]\n", "[policy]\ndelete_after_stopped_hours = 0.002\n")
    )


def unsaved_line(work: Work) -> str:
    return next((line for line in work.run("show", "app").splitlines() if line.startswith("  unsaved")), "")


@pytest.mark.long
def test_one_that_is_known_to_be_clean_is_deleted_when_its_time_has_come(work: Work) -> None:
    delete_soon(work)
    work.create()
    work.run("stop", "app", "--wait")
    work.wait_for(phase="deleted")
    assert "deletion-announced" in work.run("events", "app")


@pytest.mark.parametrize("work", [WRITES], indirect=True, ids=["writes-at-its-end"])
def test_one_that_has_something_is_kept_also_what_was_written_as_it_ended(work: Work) -> None:
    delete_soon(work)
    work.create()
    work.run("stop", "app", "--wait")
    until_sync(lambda: "not-deleted" in work.run("events", "app"), PATIENCE_S, "the look")
    assert "not deleted: 1 file is unsaved" in str(work.row()["reason"])


def test_without_a_policy_a_stop_records_it_too(work: Work) -> None:
    work.create()
    work.run("stop", "app", "--wait")
    until_sync(lambda: "nothing" in unsaved_line(work), PATIENCE_S, "the look")
