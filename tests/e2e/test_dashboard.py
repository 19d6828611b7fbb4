"""As a user: the real dashboard, a real repository, real jobs, nothing but the keys on the screen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.screen import Dashboard
from tests.repositories import make_repository
from tests.waiting import until_sync
from wsdash.backend.store.reader import Reader
from wsdash.backend.system.clock import boot_time
from wsdash.paths import Paths

Open = Callable[[], Dashboard]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "demo")


@pytest.fixture
def dashboard(repository: Path, leaves_nothing_running: None) -> Iterator[Open]:
    opened: list[Dashboard] = []

    def open_one() -> Dashboard:
        opened.append(Dashboard(repository))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def listed() -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "wsdash", "list", "--json"], capture_output=True, check=True, text=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def reconciles(paths: Paths) -> str | None:
    """The kind of process that holds the lease now."""
    reader = Reader(paths)
    lease = reader.lease()
    reader.close()
    return lease.owner if lease is not None and lease.is_held(boot_time()) else None


def create_the_first(screen: Dashboard, process: str = "reconciler: this dashboard") -> None:
    screen.sees("No workspaces yet", "Press a to create the first one", process)
    screen.press("a")
    screen.sees("step 1 of 2", "demo")
    screen.press("\r")
    screen.sees("step 2 of 2", "THE JOB", "project_folder=demo")
    screen.press("\r")
    screen.sees("running", "attempt #1")


def test_a_workspace_from_its_first_key_to_its_last(dashboard: Open) -> None:
    screen = dashboard()
    create_the_first(screen)
    screen.press("l")
    screen.sees("demo  log", "hello from demo")
    screen.press("q")
    screen.sees("enter open")
    screen.press("s")
    screen.sees("exit it to come back")
    screen.press("clear; cat greeting.txt; echo in-$((40+2))\r")
    screen.sees("hello from demo", "in-42")
    screen.press("exit\r")
    screen.sees("enter open", "attempt #1")
    screen.press("r")
    screen.sees("running", "attempt #2")
    screen.resize(120, 40)
    screen.sees("running", "attempt #2")
    screen.press("x")
    screen.sees("■ stopped")
    screen.press("D")
    screen.sees("Delete demo?", "greeting.txt")
    screen.press("q")
    screen.sees("■ stopped", "enter open")
    screen.press("D")
    screen.sees("Delete demo?")
    screen.press("\t\r")
    screen.sees("No workspaces yet")
    screen.press("q")
    assert screen.ends() == 0
    assert listed() == []


def test_when_the_dashboard_is_closed_a_daemon_keeps_the_workspace_alive(
    dashboard: Open, paths: Paths
) -> None:
    screen = dashboard()
    create_the_first(screen)
    screen.press("q")
    screen.ends()
    until_sync(lambda: reconciles(paths) == "daemon", 20.0, "the daemon to take over")
    (before,) = listed()
    psutil.Process(int(before["job"]["id"])).kill()
    until_sync(lambda: listed()[0]["attempt"] == 2 and listed()[0]["phase"] == "running", 30.0, "a new job")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_when_its_connection_drops_the_workspace_lives_on(dashboard: Open, paths: Paths, number: int) -> None:
    screen = dashboard()
    create_the_first(screen)
    (before,) = listed()
    os.kill(screen.pid, number)
    screen.ends()
    assert psutil.pid_exists(int(before["job"]["id"]))
    again = dashboard()
    again.sees("running", "attempt #1", "reconciler: ")
    (after,) = listed()
    assert after["job"] == before["job"], "the same job, not a second one"


def test_two_dashboards_show_one_truth(dashboard: Open, paths: Paths) -> None:
    first = dashboard()
    create_the_first(first)
    second = dashboard()
    second.sees("running", "attempt #1", "another dashboard")
    second.press("x")
    first.sees("■ stopped")
    second.sees("■ stopped")
    first.press("q")
    first.ends()
    second.sees("reconciler: this dashboard")
    second.press("S")
    second.sees("running", "attempt #2")


def test_a_killed_daemon_is_replaced_by_the_next_dashboard_which_adopts_its_jobs(
    dashboard: Open, paths: Paths
) -> None:
    screen = dashboard()
    create_the_first(screen)
    screen.press("q")
    screen.ends()
    until_sync(lambda: reconciles(paths) == "daemon", 20.0, "the daemon to take over")
    reader = Reader(paths)
    lease = reader.lease()
    reader.close()
    assert lease is not None
    os.kill(lease.holder.pid, signal.SIGKILL)
    again = dashboard()
    again.sees("running", "attempt #1", "reconciler: this dashboard")


def test_two_dashboards_and_a_daemon_keep_one_job_alive_between_them(dashboard: Open, paths: Paths) -> None:
    subprocess.run([sys.executable, "-m", "wsdash", "daemon", "--detach"], check=True, capture_output=True)
    first, second = dashboard(), dashboard()
    create_the_first(first, "reconciler: daemon (")
    second.sees("running", "attempt #1", "reconciler: daemon (")
    reader = Reader(paths)
    lease = reader.lease()
    reader.close()
    assert lease is not None
    os.kill(lease.holder.pid, signal.SIGKILL)
    process = "reconciler: this dashboard"

    def one_of_them_took_over() -> bool:
        second.read()
        return (process in first.text) != (process in second.text)

    first.waits(one_of_them_took_over, "one of the two dashboards to take over")
    second.press("r")
    first.sees("running", "attempt #2")
    (workspace,) = listed()
    assert workspace["attempt"] == 2
