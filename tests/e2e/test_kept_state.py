"""The files of a GitLab workspace beside its project (home, ignored files) when a runner, a limit or a disk fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.gitlab_work import PATIENCE_S, Work, working
from tests.gitlab_runner import Runner
from tests.waiting import until_sync
from wsdash.paths import Paths


@pytest.fixture
def work(tmp_path: Path, paths: Paths, leaves_nothing_running: None) -> Iterator[Work]:
    with working(tmp_path, paths, partial(Runner, keeps_folders=True)) as work:
        yield work


def home_of(work: Work) -> Path:
    """The home folder of its job, on the runner."""
    found = (work.runner.folder / "builds").glob(
        f"*/{work.project.path}/.wsdash/{work.row()['id']}/live/home"
    )
    return next(found)


def test_a_kept_folder_has_what_was_done_since_the_cache_and_one_job_works_in_it(work: Work) -> None:
    work.create()
    work.run("restart", "app", "--wait")
    work.wait_for(phase="running", attempt=2)
    home = home_of(work)
    (home / "counter").write_text("since the cache was saved\n")
    work.runner.kill(leave_jobs=True)
    (home.parents[1] / "run/orphan").touch()
    # GitLab drops the job that nobody reports of; its processes live on, and beat on.
    job = next(job for job in work.server.state.jobs.values() if job.is_live)
    work.server.do(lambda: work.server.state.finish(job, "failed", "no_updates_running"))
    work.runner.start()
    work.wait_for(phase="running", attempt=3)
    assert (home / "counter").read_text() == "since the cache was saved\n"
    assert (home / "note").exists()
    assert "still runs on this host. It gets a signal to save its work and to end" in work.run("logs", "app")
    marks = [f"CI_JOB_ID={job.id}\0".encode(), f"WSDASH_WORKSPACE={work.row()['id']}\0".encode()]
    left = [e for e in Path("/proc").glob("[0-9]*/environ") if all(mark in _read(e) for mark in marks)]
    assert left == []


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


@pytest.mark.long
def test_a_job_hands_over_before_its_runner_s_own_limit(work: Work) -> None:
    for runner in work.server.state.runners.values():
        runner.maximum_timeout = 60
    work.create()
    home = home_of(work)
    (home / "mine").write_text("precious\n")
    # The context says an hour, and so does the next job's runner.
    for runner in work.server.state.runners.values():
        runner.maximum_timeout = None
    work.wait_for(phase="running", attempt=2)
    ended = work.run("events", "app")
    assert "deadline" in ended and "timeout" not in ended
    assert (home / "mine").read_text() == "precious\n"
    assert {job.status for job in work.server.state.jobs.values()} == {"success", "running"}


def test_a_limit_that_strikes_all_the_same_is_named_with_what_mends_it(work: Work) -> None:
    work.create()
    job = next(iter(work.server.state.jobs.values()))
    # It ends on the signal of its runner, and takes that for a wish of its user's.
    trace = job.trace
    home = home_of(work)
    main = int((home.parents[1] / "run/reporter").read_text())
    os.kill(_parent(main), 15)
    until_sync(lambda: b"ending: cancelled" in trace, PATIENCE_S, "the job to end")
    work.server.do(lambda: work.server.state.finish(job, "failed", "job_execution_timeout"))
    work.wait_for(phase="running", attempt=2)
    output = work.run("events", "app")
    assert "ended: timeout" in output
    assert "set timeout_s of the context to that limit" in output
    assert "in a checkpoint" in output or "It has no checkpoint" in output


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk in the place of the runner's builds."""
    place = tmp_path / "runner/builds"
    place.mkdir(parents=True)
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,nr_inodes=4000", "none", place],
        check=False,
        capture_output=True,
    )
    if mounting.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def work_on_small_disk(
    disk: Path, tmp_path: Path, paths: Paths, leaves_nothing_running: None
) -> Iterator[Work]:
    with working(tmp_path, paths, Runner) as work:
        text = paths.config_file.read_text()
        paths.config_file.write_text(
            text.replace("suspect_s = 2\ndead_s = 4\n", f"suspect_s = 5\ndead_s = {DEAD_S}\n")
        )
        yield work


DEAD_S = 12
"""After so long without a heartbeat a job is replaced."""


def is_told(work: Work) -> bool:
    """Whether the warning stands now, and not only in the timeline."""
    return any(
        line.strip().startswith("warning") and "disk is full" in line
        for line in work.run("show", "app").splitlines()
    )


def seconds_between(first: str, second: str) -> float:
    return (datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds()


def fill(disk: Path) -> None:
    with (disk / "big").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def take_all_inodes(disk: Path) -> None:
    folder = disk / "many"
    try:
        folder.mkdir(exist_ok=True)
        for number in range(10_000):
            (folder / str(number)).touch()
    except OSError:
        return


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "line"),
    [
        pytest.param("no room", True, id="no room, with a line"),
        pytest.param("no inodes", False, id="no inodes, by the pipeline's name"),
    ],
)
def test_a_job_whose_disk_is_full_stays_and_says_so_until_there_is_room(
    work_on_small_disk: Work, disk: Path, how: str, line: bool
) -> None:
    work = work_on_small_disk
    if not line:
        text = work.paths.config_file.read_text()
        work.paths.config_file.write_text(text.replace('host = "127.0.0.1"\n', ""))
    work.create()
    (home_of(work).parent / "projects/app/precious").write_text("work\n")
    take_the_rest = fill if how == "no room" else take_all_inodes

    def is_told_of_a_full_disk() -> bool:
        # The job frees what it had in hand, such as a checkpoint that is made just then.
        take_the_rest(disk)
        return is_told(work)

    until_sync(is_told_of_a_full_disk, PATIENCE_S, "the warning")
    began = str(work.row()["last_beat_at"])

    def goes_on() -> bool:
        row = work.row()
        assert row["attempt"] == 1, work.run("events", "app")
        return seconds_between(began, str(row["last_beat_at"])) > 1.5 * DEAD_S

    until_sync(goes_on, PATIENCE_S, "heartbeats for longer than a silent job is left alone")
    assert "disk is full" in work.run("why", "app")
    if how == "no room":
        (disk / "big").unlink()
    else:
        for file in (disk / "many").iterdir():
            file.unlink()
    until_sync(lambda: not is_told(work), PATIENCE_S, "no warning")
    assert work.row()["attempt"] == 1
