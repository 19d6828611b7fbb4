"""Fixtures for every test: state in a folder of its own, and an environment without settings."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

from tests.waiting import until_sync
from wsdash.paths import Paths

settings.register_profile(
    "wsdash", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("wsdash")

GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
PYTHON = (sys.executable, "-m", "wsdash")
Command = Callable[..., "subprocess.CompletedProcess[str]"]
UNWANTED = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "TMUX", "STY", "LC_ALL")
SLOW = (
    "backend/access",
    "backend/job",
    "backend/providers",
    "backend/operations/test_save_work.py",
    "backend/reconcile/test_cleanup.py",
    "backend/store/test_syscalls.py",
    "e2e",
    "screens/test_hang_up.py",
    "screens/test_snapshots.py",
    "screens/test_terminal.py",
    "screens/test_typeahead.py",
    "simulation",
    "test_app.py",
    "torture/test_torture.py",
    "test_benchmarks.py",
)
"""Folders and modules whose tests start programs, servers or whole dashboards. `make check` leaves them out."""
SLOW_FIXTURES = frozenset({"leaves_nothing_running", "running"})
"""They have processes to clean up after, and open a dashboard."""


LONG = (
    "e2e/test_checkpoints.py",
    "e2e/test_gitlab.py",
    "e2e/test_kept_state.py",
    "e2e/test_ordinary_users.py",
    "e2e/test_sealed_cache.py",
    "e2e/test_secrets.py",
    "e2e/test_unsaved.py",
    "e2e/test_upgrade.py",
    "e2e/test_volumes.py",
)
"""Modules of whole installations with a GitLab. `make test` takes those of their tests that are marked `short`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what lies in `SLOW` or uses one of `SLOW_FIXTURES`, and as long what lies in `LONG`."""
    slow, long = (tuple(Path(__file__).parent / name for name in names) for names in (SLOW, LONG))
    for item in items:
        is_slow = not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        if is_slow or any(item.path.is_relative_to(place) for place in slow):
            item.add_marker(pytest.mark.slow)
        if item.path in long and item.get_closest_marker("short") is None:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def isolation() -> str:
    """The isolation of jobs of tests: no container engine, since images cannot be pulled without a network."""
    try:
        tried = subprocess.run(["bwrap", "--ro-bind", "/", "/", "--unshare-pid", "true"], check=False)
    except FileNotFoundError:
        return "plain"
    return "bubblewrap" if tried.returncode == 0 else "plain"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str) -> Path:
    """All of wsdash's files under `tmp_path/home`, which is returned."""
    for name in list(os.environ):
        if name in UNWANTED or name.startswith(("SSH_", "XDG_", "WSDASH_", "GIT_", "TEXTUAL")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("WSDASH_HOME", str(home))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("WSDASH_ISOLATION", isolation)
    for name, value in GIT_IDENTITY.items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture
def paths(environment: Path) -> Paths:
    """The folders of this test's wsdash, made."""
    found = Paths.from_environment()
    found.prepare()
    return found


@pytest.fixture
def leaves_nothing_running(tmp_path: Path) -> Iterator[None]:
    """At the end of the test, end every process that belongs to its folder: daemons, supervisors, jobs."""
    yield
    end_processes_of(tmp_path)


@pytest.fixture
def wsdash(leaves_nothing_running: None, tmp_path: Path) -> Command:
    """Runs the real command, without a terminal, and returns its output and its exit code."""

    def run(*arguments: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PYTHON, *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def end_processes_of(folder: Path) -> None:
    """Kill every process that belongs to the folder, and wait until none is left."""

    def have_ended() -> bool:
        left = processes_of(folder)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return not left

    until_sync(have_ended, 30.0, f"the end of every process of {folder}")


def processes_of(folder: Path) -> list[psutil.Process]:
    """Other processes whose environment, command line or working directory names the folder."""
    own = os.getpid()
    return [p for p in psutil.process_iter() if p.pid != own and _belongs_to(p, str(folder))]


def _belongs_to(process: psutil.Process, folder: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        output = [process.cwd(), *process.cmdline(), *process.environ().values()]
    except (psutil.Error, OSError):
        return False
    return any(text == folder or f"{folder}/" in text for text in output)
