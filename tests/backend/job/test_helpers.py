"""The processes that live as long as a GitLab job: `gitlab.sh` starts again what was killed, in each shell."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.backend.job.conftest import SHELLS
from tests.backend.job.scripts import HERE
from tests.waiting import until_sync

CODE = (HERE / "gitlab.sh").read_text()
WATCHING = "run_job_sh() {" + CODE.split("\nrun_job_sh() {")[1].split("\nread_state() {")[0]
BASH = pytest.param(
    ("bash", "--posix"), marks=pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
)


class Job:
    """Runs `run_job_sh` of gitlab.sh, with a job that ends when a file is there, and the tunnel for all helpers."""

    def __init__(self, folder: Path, shell: tuple[str, ...]) -> None:
        self.folder = folder
        (folder / "job.sh").write_text('until [ -e "$2.end" ]; do sleep 0.1; done; exit 7\n')
        script = f"""
            . '{folder}/common.sh'
            here='{folder}' ended= reporter= uploader= helpers_not_before=0 now=0
            {WATCHING}
            start_tunnel() {{
              sh -c '{self.helper}' &
              tunnel_pid=$!
              echo "$tunnel_pid" >>'{folder}/started'
            }}
            start_tunnel
            run_job_sh run
            echo "status $status"
        """
        shutil.copy(HERE / "common.sh", folder)
        self.output = folder / "output"
        with self.output.open("w") as file:
            self.process = subprocess.Popen([*shell, "-c", script], stdout=file)

    @property
    def helper(self) -> str:
        return f'until [ -e "{self.folder}/no-job.end" ]; do sleep 0.1; done'

    @property
    def started(self) -> list[int]:
        file = self.folder / "started"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def end(self) -> str:
        (self.folder / "workload.sh.end").touch()
        self.process.wait(60)
        (self.folder / "no-job.end").touch()  # which ends the helper, too
        return self.output.read_text()


class EndsByItself(Job):
    @property
    def helper(self) -> str:
        return "exit 3"


@pytest.fixture(params=[*SHELLS, BASH], ids=" ".join)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param)


def test_a_helper_that_was_killed_is_started_again_as_often_as_that_happens(
    tmp_path: Path, shell: tuple[str, ...]
) -> None:
    job = Job(tmp_path, shell)
    for count in (1, 2, 3):
        until_sync(lambda: len(job.started) == count, what=f"start {count}")  # noqa: B023
        if count < 3:
            os.kill(job.started[-1], signal.SIGKILL)
    output = job.end()
    assert output.count("was killed: the job restarts it") == 2
    assert output.endswith("status 7\n"), "the code of the job itself"


def test_a_helper_that_has_ended_by_itself_is_left_alone(tmp_path: Path, shell: tuple[str, ...]) -> None:
    job = EndsByItself(tmp_path, shell)
    until_sync(lambda: len(job.started) == 1, what="the start")
    assert job.end() == "status 7\n"
    assert len(job.started) == 1
