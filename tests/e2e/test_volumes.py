"""Workspaces on a volume that their runner mounts: it stays when a job ends, however it ends, and goes on delete."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gitlab_work import PATIENCE_S, MakeRunner, Work, working
from tests.e2e.test_gitlab import lines_of, make_runner
from tests.waiting import until_sync
from wsdash.paths import Paths

__all__ = ["make_runner"]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def work(
    tmp_path: Path, volume: Path, paths: Paths, make_runner: MakeRunner, leaves_nothing_running: None
) -> Iterator[Work]:
    with working(tmp_path, paths, make_runner, tags=["big-disk"]) as work:
        text = paths.config_file.read_text()
        paths.config_file.write_text(text.replace("poll_s = 0.3\n", f'poll_s = 0.3\nvolume = "{volume}"\n'))
        yield work


@pytest.mark.long
def test_what_is_there_outlives_a_lost_job_and_a_stop_and_is_removed_on_delete(
    work: Work, volume: Path
) -> None:
    work.create()
    lines_of(work, "nothing kept", "the first job")
    folder = volume / str(work.row()["id"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "saved on its runner's volume" in work.run("show", "app")
    assert not any("cache" in str(path) for path in (work.runner.folder / "builds").rglob("*.zip"))
    (folder / "projects/app/notes.txt").write_text("precious\n")

    work.runner.kill()
    shutil.rmtree(work.runner.folder / "builds")
    work.wait_for(phase="pending", attempt=2)
    work.runner.start()
    work.wait_for(phase="running", attempt=2)
    lines_of(work, "kept work", "the second job")
    assert (folder / "projects/app/notes.txt").read_text() == "precious\n"

    work.run("stop", "app", "--wait")
    assert (folder / "projects/app/notes.txt").read_text() == "precious\n"
    other = volume / "0000000000"
    other.mkdir()
    output = work.run_stderr("delete", "app", "--yes", "--wait")
    assert list(volume.iterdir()) == [other]
    assert "a job is removing its folder" in output
    assert list(work.project.repository.branches()) == ["main"]
    assert work.server.state.pipelines == {}


def test_where_the_runner_is_gone_delete_ends_and_names_what_is_left(work: Work, volume: Path) -> None:
    work.create()
    work.run("stop", "app", "--wait")
    name = str(work.row()["id"])
    work.runner.kill()
    for runner in work.server.state.runners.values():
        runner.paused = True
    work.run("delete", "app", "--yes")
    until_sync(lambda: "a job is removing its folder" in work.run("events", "app"), PATIENCE_S, "the removal")
    assert work.row()["phase"] == "deleting"
    work.server.advance(1000)
    work.wait_for(phase="deleted")
    output = work.run("events", "app")
    assert f"its folder {volume}/{name} stays on the runner with the tags big-disk" in output
    assert list(work.project.repository.branches()) == ["main"]
