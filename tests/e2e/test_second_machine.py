"""A workspace is taken over by another machine: it says to what the job and the checkpoint are still bound."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD
from tests.e2e.gitlab_work import PATIENCE_S, Work, working
from tests.gitlab_runner import Runner
from tests.waiting import until_sync
from wsdash.paths import Paths

pytestmark = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None, reason="OpenSSH is not installed"
)


@pytest.fixture
def work(tmp_path: Path, paths: Paths, leaves_nothing_running: None) -> Iterator[Work]:
    with working(tmp_path, paths, Runner) as found:
        text = paths.config_file.read_text()
        paths.config_file.write_text(text.replace("[policy]\n", "[policy]\ncheckpoint_s = 1\n"))
        yield found


def test_it_is_said_where_the_checkpoint_is_and_that_a_restart_is_needed(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.create()
    work.run("ssh", "app", "--", "sh", "-c", "echo precious >notes.txt")
    until_sync(
        lambda: "by a checkpoint on this machine" in work.run("show", "app"), PATIENCE_S, "a checkpoint"
    )
    first = work.paths
    second = tmp_path / "second"
    shutil.copytree(first.config, second / "config")
    monkeypatch.setenv("WSDASH_HOME", str(second))
    try:
        said = work.run("recover", "--context", "work", "--adopt", "app", "--yes")
        assert "`wsdash restart app` gives it one that connects to this machine" in said
        until_sync(
            lambda: "by a checkpoint on another machine" in work.run("show", "app"), PATIENCE_S, "the place"
        )
        refused = work.run_stderr("ssh", "app", "--", "true", code=1)
        assert "on another machine" in refused
        assert "`wsdash restart app`" in refused
    finally:
        for verb in ("daemon", "relay"):
            subprocess.run([sys.executable, "-m", "wsdash", verb, "--stop"], check=False)
