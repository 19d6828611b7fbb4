"""From a context without a way in to a shell, and on when the settings of the way change."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD
from tests.e2e.gitlab_work import PATIENCE_S, Work, working
from tests.gitlab_runner import Runner
from tests.waiting import until_sync
from wsdash.backend.access import listening
from wsdash.paths import Paths

pytestmark = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None, reason="OpenSSH is not installed"
)
ACCESS = '\n[access]\nhost = "127.0.0.1"\nbind = "127.0.0.1"\n'


@pytest.fixture
def work(tmp_path: Path, paths: Paths, leaves_nothing_running: None) -> Iterator[Work]:
    with working(tmp_path, paths, Runner) as found:
        set_access(found, '\n[access]\nbind = "127.0.0.1"\n')
        yield found
        found.run("relay", "--stop")


def set_access(work: Work, text: str) -> None:
    file = work.paths.config_file
    before, _, after = file.read_text().partition("\n[access]\n")
    file.write_text(before + text + "\n[policy]" + after.partition("\n[policy]")[2])


def way(work: Work) -> object:
    return next(one["access"] for one in json.loads(work.run("context", "list", "--json")) if "access" in one)


def test_the_first_shell(work: Work) -> None:
    """What is printed where it does not work is what makes it work."""
    work.run("create", work.source, "--context", "work", "--name", "app", "--yes", "--wait")
    assert "`wsdash restart app`" in work.run_stderr("ssh", "app", "--", "true", code=1)
    added = work.run_stderr("context", "add", "work", "--access-host", "127.0.0.1", "--yes")
    assert "the relay answers at 127.0.0.1" in added
    assert "the way is untested" in added
    assert way(work) == "untested"
    said = work.run_stderr("ssh", "app", "--", "true", code=1)
    assert "began before [access] was set" in said
    assert "`wsdash restart app`" in said
    work.run("restart", "app", "--wait")
    assert work.run("ssh", "app", "--", "echo", "inside") == "inside\n"
    until_sync(lambda: way(work) == "works", PATIENCE_S, "the way that a job has come by")
    assert "a job of work has connected by 127.0.0.1" in work.run("doctor")

    port = listening.choose_port("127.0.0.1", listening.ephemeral_ports())
    set_access(work, f"{ACCESS}port = {port}\n")
    until_sync(lambda: relay_port(work) == port, PATIENCE_S, "a relay at the new port")
    assert work.run("ssh", "app", "--", "echo", "still inside") == "still inside\n"

    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        set_access(work, f"{ACCESS}port = {taken}\n")
        assert f"port {taken} is used by" in work.run("doctor", code=1)
        assert work.run("ssh", "app", "--", "echo", "by the relay of before") == "by the relay of before\n"
        until_sync(lambda: is_down_for(work, taken), PATIENCE_S, "a relay that cannot start again")
        assert f"port {taken} is used by" in work.run_stderr("ssh", "app", "--", "true", code=1)
    set_access(work, f"{ACCESS}port = {port}\n")
    until_sync(lambda: relay_port(work) == port, PATIENCE_S, "the relay again")
    until_sync(
        lambda: "up: it transports heartbeats" in work.run("show", "app"), PATIENCE_S, "the tunnel again"
    )
    work.run("delete", "app", "--yes", "--wait")


def is_down_for(work: Work, port: int) -> bool:
    """Stop the relay; whether it stays down. A daemon that has not read the new port yet starts it again."""
    work.run("relay", "--stop")
    return f"port {port} is used by" in work.run("show", "app")


def relay_port(work: Work) -> object:
    """Where the relay listens, None where none runs."""
    try:
        return json.loads(work.run("relay", "--json"))["port"]
    except AssertionError:
        return None
