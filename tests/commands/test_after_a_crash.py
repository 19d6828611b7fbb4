"""A machine that was restarted, or processes that were killed all at once: nothing is called healthy, ssh waits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PYTHON, Command, processes_of
from tests.waiting import until_sync
from wsdash.backend.system.files import json_files
from wsdash.paths import Paths

pytestmark = pytest.mark.usefixtures("leaves_nothing_running")


@pytest.fixture(autouse=True)
def plain_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSDASH_ISOLATION", "plain")


@pytest.fixture
def running(wsdash: Command) -> str:
    done = wsdash("create", "--no-source", "--name", "boot", "--yes", "--wait")
    assert done.returncode == 0, done.stderr
    return "boot"


def kill_everything(folder: Path) -> None:
    """Daemon, supervisors and jobs, as if the machine had been switched off."""

    def have_ended() -> bool:
        left = processes_of(folder)
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        return not left

    until_sync(have_ended, 10.0, "the end of everything")


def row(wsdash: Command) -> dict[str, Any]:
    done = wsdash("list", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def supervisor_file(paths: Paths) -> Path:
    (found,) = (paths.contexts / "local" / "jobs").glob("*/supervisor.json")
    return found


def test_ssh_waits_for_the_job_that_takes_the_place_of_one_that_was_killed_with_all_its_watchers(
    wsdash: Command, running: str, environment: Path
) -> None:
    kill_everything(environment)
    seen = row(wsdash)
    assert (seen["phase"] == "running", seen["healthy"]) == (False, False)
    assert "supervisor died" in seen["reason"]
    assert "running" not in wsdash("list").stdout
    assert "running, as desired" not in wsdash("show", running).stdout
    assert "running, as desired" not in wsdash("plan").stdout
    inside = wsdash("ssh", running, "--", "echo", "inside")
    assert (inside.returncode, inside.stdout) == (0, "inside\n"), inside.stderr
    assert "waiting for its replacement" in inside.stderr
    assert row(wsdash)["attempt"] == 2


def test_ports_are_those_of_the_job_that_takes_the_place_of_one_that_was_killed_with_all_its_watchers(
    wsdash: Command, running: str, environment: Path
) -> None:
    kill_everything(environment)
    serve = "nohup python3 -m http.server 18081 --bind 127.0.0.1 >/dev/null 2>&1 &"
    asked = wsdash("ports", running, "--json")
    assert asked.returncode == 0, asked.stderr
    assert "waiting for its replacement" in asked.stderr
    assert row(wsdash)["attempt"] == 2
    assert wsdash("ssh", running, "--", "sh", "-c", serve).returncode == 0

    def listens() -> bool:
        return any(port["port"] == 18081 for port in json.loads(wsdash("ports", running, "--json").stdout))

    until_sync(listens, what="the server's port")


def test_ssh_enters_the_next_job_however_often_all_are_killed(
    wsdash: Command, environment: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    """Also while the job that was killed is still swept up."""
    monkeypatch.setenv("WSDASH_ISOLATION", isolation)
    assert wsdash("create", "--no-source", "--name", "boot", "--yes", "--wait").returncode == 0
    for _ in range(3):
        kill_everything(environment)
        inside = wsdash("ssh", "boot", "--", "echo", "inside")
        assert (inside.returncode, inside.stdout) == (0, "inside\n"), inside.stderr


def test_a_log_that_is_followed_ends_with_a_job_that_was_killed_with_all_its_watchers(
    wsdash: Command, running: str, environment: Path
) -> None:
    kill_everything(environment)
    followed = wsdash("logs", "-f", "--attempt", "1", running)
    assert followed.returncode == 0, followed.stderr


def test_ssh_by_name_waits_too(wsdash: Command, running: str, environment: Path, tmp_path: Path) -> None:
    kill_everything(environment)
    with subprocess.Popen(
        [*PYTHON, "connect", f"{running}.wsdash"], cwd=tmp_path,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as connecting:  # fmt: skip
        _, output = connecting.communicate(timeout=60)
    assert "waiting for its replacement" in output
    assert "nothing to enter" not in output
    # The way in opens as soon as the job's server answers; the reconciler may look a moment later.
    until_sync(lambda: row(wsdash)["phase"] == "running", what="a look at the job that took its place")


def test_after_a_restart_of_the_machine_no_supervisor_is_taken_for_alive(
    wsdash: Command, running: str, environment: Path, paths: Paths
) -> None:
    """Its pid may be another process now, with the same ticks: the boot differs."""
    wsdash("daemon", "--stop")
    record = json_files.read(supervisor_file(paths))
    assert record is not None and row(wsdash)["healthy"] is True
    json_files.write(supervisor_file(paths), {**record, "boot_id": "another boot"})
    assert row(wsdash)["healthy"] is False
    json_files.write(supervisor_file(paths), record)


def test_one_that_is_not_wanted_running_is_not_waited_for(
    wsdash: Command, running: str, environment: Path
) -> None:
    wsdash("daemon", "--stop")
    # The wish is committed, and whoever would carry it out is killed as well.
    wsdash("stop", running)
    kill_everything(environment)
    began = time.monotonic()
    inside = wsdash("ssh", running, "--", "true")
    assert inside.returncode == 1
    assert f"wsdash start {running} --wait" in inside.stderr
    ports = wsdash("ports", running)
    assert (ports.returncode, ports.stderr) == (0, "Its devfile declares no ports.\n")
    assert time.monotonic() - began < 30


def test_the_wait_ends_at_its_limit(wsdash: Command, running: str, environment: Path, paths: Paths) -> None:
    kill_everything(environment)
    # No job can take its place: its folder is a file.
    (paths.contexts / "local" / "jobs").rename(paths.contexts / "local" / "jobs-aside")
    (paths.contexts / "local" / "jobs").write_text("")
    inside = wsdash("ssh", "--timeout", "3", running, "--", "true")
    assert inside.returncode in (1, 5)
    assert running in inside.stderr
    ports = wsdash("ports", "--timeout", "3", running)
    assert ports.returncode in (1, 5)
    assert running in ports.stderr
