"""Two jobs of one workspace never work in one folder: the older one saves and ends before the newer touches a file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.backend.job.conftest import SHELLS, Job
from tests.backend.job.scripts import HERE
from tests.waiting import until_sync
from wsdash.backend.job.shell import program
from wsdash.workload import Workload

SCRIPT = program("claim_folder.sh")
REPORTER = HERE / "gitlab_emit.sh"
NAME = f"alone-{os.getpid()}"
START = """
mkdir -p "$FOLDER"
exec 9>>"$FOLDER/lock"
printf '%s' "$SCRIPT" | $SHELL_ARGV -s "$FOLDER" || exit 1
[ -z "$STUBBORN" ] || trap "" TERM
echo "in $CI_JOB_ID" >>"$FOLDER/order"
[ -n "$STUBBORN" ] || trap 'sleep 0.5; echo "out $CI_JOB_ID" >>"$FOLDER/order"; exit 0' TERM
sh -c 'trap "" TERM; sleep 600' 9>&- &
while [ -e "$FOLDER" ]; do sleep 0.1; done 9>&-
"""


@dataclass
class Host:
    """A folder in which jobs of one workspace run one after the other."""

    shell: tuple[str, ...]
    folder: Path
    jobs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def order(self) -> list[str]:
        found = self.folder / "order"
        return found.read_text().splitlines() if found.exists() else []

    def start(self, job: int, attempt: int, *unseen: str, **more: str) -> subprocess.Popen[bytes]:
        env = {
            "PATH": os.environ["PATH"],
            "FOLDER": str(self.folder),
            "SCRIPT": SCRIPT,
            "SHELL_ARGV": " ".join(self.shell),
            "WSDASH_WORKSPACE": NAME,
            "WSDASH_ATTEMPT": f"a.{attempt}.1",
            "WSDASH_TERMINATION_S": "10",
            "CI_JOB_ID": str(job),
            "CI_SERVER_URL": "https://gitlab.example.com",
            "STUBBORN": "",
            **more,
        }
        # As in gitlab.sh: its children know the script of the job.
        argv = ["sh", "-c", 'WSDASH_JOB_PID=$$; export WSDASH_JOB_PID; eval "$START"']
        output = self.folder.with_name(f"said-{job}").open("wb")
        process = subprocess.Popen(
            [*unseen, *argv],
            env={"START": START, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.jobs.append(process)
        return process

    def said(self, job: int) -> str:
        return self.folder.with_name(f"said-{job}").read_text()

    def until(self, line: str) -> None:
        until_sync(lambda: line in self.order, 40.0, f"{line} in {self.order}")

    def close(self) -> None:
        for job in self.jobs:
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            job.wait(60)


@pytest.fixture(params=SHELLS, ids=" ".join)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    found = Host(request.param, tmp_path / "workspace")
    yield found
    found.close()


def test_a_job_that_its_runner_left_alive_saves_and_ends_before_the_next_one_begins(host: Host) -> None:
    host.start(1, 1)
    host.until("in 1")
    host.start(2, 2)
    host.until("in 2")
    assert host.order == ["in 1", "out 1", "in 2"]
    assert "attempt 1, still runs on this host" in host.said(2)


def test_where_the_script_of_the_job_is_gone_what_saves_is_waited_for_and_nothing_else(
    host: Host, tmp_path: Path
) -> None:
    saves = tmp_path / "job.sh"
    saves.write_text(
        'trap \'sleep 0.5; echo "out $CI_JOB_ID" >>"$FOLDER/order"; exit 0\' TERM\n'
        "while :; do sleep 0.1; done 9>&-\n"
    )
    left = f'(sh {saves} run x & sh -c \'trap "" TERM; sleep 600\' &) 9>&-; echo "in 1" >"$FOLDER/order"'
    host.start(1, 1, START=f'mkdir -p "$FOLDER"; {left}').wait(60)
    host.until("in 1")
    host.start(2, 2, WSDASH_TERMINATION_S="300")
    host.until("in 2")
    assert host.order == ["in 1", "out 1", "in 2"]


def test_what_does_not_end_is_killed_and_what_its_job_left_behind_too(host: Host) -> None:
    stubborn = host.start(1, 1, STUBBORN="yes")
    host.until("in 1")
    host.start(2, 2, WSDASH_TERMINATION_S="1")
    host.until("in 2")
    assert stubborn.wait(60) == -signal.SIGKILL
    assert host.order == ["in 1", "in 2"]


def test_an_older_attempt_gives_way_to_a_newer_one(host: Host) -> None:
    host.start(1, 5)
    host.until("in 1")
    late = host.start(2, 4)
    assert late.wait(60) == 1
    assert "newer attempt 5" in host.said(2)
    assert host.order == ["in 1"]


def test_jobs_of_other_workspaces_and_of_other_gitlabs_are_left_alone(host: Host) -> None:
    for number, other in enumerate(({"WSDASH_WORKSPACE": f"{NAME}0"}, {"CI_SERVER_URL": "https://other"})):
        host.start(10 + number, 1, FOLDER=f"{host.folder}-{number}", **other)
        order = host.folder.with_name(f"{host.folder.name}-{number}") / "order"
        until_sync(order.exists, 20.0, "the other job")
    host.start(2, 2)
    host.until("in 2")
    assert [job.poll() for job in host.jobs] == [None, None, None]


@pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a container of its own")
def test_a_job_in_another_container_is_told_to_end_and_waited_for(host: Host) -> None:
    asks = 'wanted=$FOLDER/wanted; (while [ ! -e "$wanted" ]; do sleep 0.1; done; kill -TERM $WSDASH_JOB_PID) 9>&- & '
    host.start(1, 1, "unshare", "--pid", "--fork", "--mount-proc", START=asks + START)
    host.until("in 1")
    host.start(2, 2, "unshare", "--pid", "--fork", "--mount-proc")
    host.until("in 2")
    assert host.order == ["in 1", "out 1", "in 2"]
    assert "uses its folder (attempt 1)" in host.said(2)


def test_a_lock_that_a_dead_job_has_left_is_none(host: Host) -> None:
    first = (
        host.start(1, 7, "unshare", "--pid", "--fork", "--mount-proc")
        if os.geteuid() == 0
        else host.start(1, 7)
    )
    host.until("in 1")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait(60)
    host.start(2, 3)
    host.until("in 2")


def test_a_job_that_a_newer_attempt_waits_for_saves_and_ends_by_itself(job: Job, tmp_path: Path) -> None:
    run = tmp_path / "workspace/run"
    run.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as main:
        job.environment |= {
            "WSDASH_EMIT_HOOK": str(REPORTER),
            "WSDASH_RUN": str(run),
            "WSDASH_ATTEMPT": "a.3.1",
            "WSDASH_JOB_PID": str(main.pid),
        }
        job.start("run", Workload())
        (run.parent / "wanted").write_text("3\n")  # its own
        until_sync(lambda: (run / "beat").exists(), 20.0, "a heartbeat")
        assert main.poll() is None
        (run.parent / "wanted").write_text("4\n")
        assert main.wait(60) == -signal.SIGTERM
