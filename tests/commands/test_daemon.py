"""`wsdash daemon`: a reconciler in the background and in the foreground."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.commands.conftest import rows
from tests.conftest import PYTHON, Command
from tests.waiting import until_sync
from wsdash import cli
from wsdash.backend.store import database
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.store import Store
from wsdash.backend.system.clock import boot_time
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.paths import Paths

pytestmark = pytest.mark.usefixtures("plain_jobs")


def test_the_daemon_is_started_found_and_stopped(wsdash: Command) -> None:
    assert wsdash("daemon", "--status").returncode == 1
    started = wsdash("daemon", "--detach")
    assert started.returncode == 0, started.stderr
    again = wsdash("daemon", "--detach")
    assert (again.returncode, again.stdout) == (0, started.stdout)
    assert wsdash("daemon", "--status").stdout == started.stdout
    assert wsdash("daemon", "--stop").returncode == 0
    assert wsdash("daemon", "--status").returncode == 1
    assert wsdash("daemon", "--stop").stdout == "No daemon is running.\n"


def test_a_long_log_of_a_daemon_is_put_away_by_the_daemon_itself(wsdash: Command, paths: Paths) -> None:
    paths.prepare()
    paths.daemon_log.write_text("an old line\n" * 100_000)
    assert wsdash("daemon", "--detach").returncode == 0
    until_sync(lambda: paths.daemon_log.stat().st_size < 10_000, what="a new log")
    assert paths.daemon_log.with_suffix(".log.1").read_text().startswith("an old line\n")
    assert wsdash("daemon", "--stop").returncode == 0
    assert "ended; jobs keep running" in paths.daemon_log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_in_the_foreground_ends_cleanly_on_a_signal(
    number: signal.Signals, wsdash: Command, paths: Paths
) -> None:
    with subprocess.Popen([*PYTHON, "daemon"], stderr=subprocess.PIPE, text=True) as running:
        until_sync(lambda: wsdash("daemon", "--status").returncode == 0, 30, "the daemon to reconcile")
        running.send_signal(number)
        assert running.wait(30) == 0
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()
    reader = Reader(paths)
    lease = reader.lease()
    reader.close()
    assert lease is not None
    assert not lease.is_held(boot_time())


def test_a_daemon_with_nothing_to_do_ends_itself(wsdash: Command) -> None:
    done = wsdash("daemon", "--idle-exit", "0.5")
    assert done.returncode == 0
    assert "ended" in done.stderr


def test_what_is_wanted_is_done_after_the_daemon_was_killed(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    pid = int(wsdash("daemon", "--status").stdout.rpartition("pid ")[2].rstrip(").\n"))
    os.kill(pid, signal.SIGKILL)
    assert wsdash("restart", "web", "--wait").returncode == 0
    assert rows(wsdash)["web"]["attempt"] == 2


@pytest.fixture
def dashboard(paths: Paths) -> int:
    """This process has the lease of a dashboard; its pid."""

    async def take() -> None:
        async with Store.open(paths) as store:
            assert (
                await FencedStore.acquire(store, "dashboard", ProcessIdentity.own(), boot_time()) is not None
            )

    database.prepare(paths)
    asyncio.run(take())
    return os.getpid()


def test_a_dashboard_that_reconciles_is_named_and_never_ended(
    dashboard: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["daemon", "--status"]) == 0
    assert f"(pid {dashboard})" in capsys.readouterr().out
    assert cli.main(["daemon", "--stop"]) == 1
    assert f"is a dashboard (pid {dashboard}), not a daemon" in capsys.readouterr().err
    assert cli.main(["daemon", "--detach"]) == 0
    assert f"(pid {dashboard})" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "words"), [("echo started; echo the disk is full", "the disk is full"), ("true", "no")]
)
def test_a_daemon_that_does_not_start_is_explained_by_the_last_line_of_its_log(
    script: str,
    words: str,
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def spawn(_: Paths) -> int:
        with paths.daemon_log.open("w") as log, subprocess.Popen(["sh", "-c", script], stdout=log) as child:
            return child.pid

    monkeypatch.setattr("wsdash.backend.operations.daemon.spawn", spawn)
    assert cli.main(["daemon", "--detach"]) == 1
    error = capsys.readouterr().err
    assert words in error.splitlines()[0] and "started" not in error.splitlines()[0].replace("not start", "")
    assert str(paths.daemon_log) in error
