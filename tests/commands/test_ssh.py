"""`wsdash ssh`: a shell whose connection is lost is opened again, and one that can never be opened is given up."""

from __future__ import annotations

import io
import itertools
import signal
import subprocess
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pexpect
import pytest

from tests.conftest import PYTHON, Command
from tests.repositories import DEVFILE, make_repository
from tests.waiting import until_sync
from wsdash.backend.errors import UserError
from wsdash.backend.providers.types import ShellCommand
from wsdash.commands import ssh
from wsdash.paths import Paths

LOST, LEFT = 255, 7


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def probe() -> tuple[str, ...]:
    """A command that shows why no connection can be made: here none is known."""
    return ()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, probe: tuple[str, ...]) -> Namespace:
    """A shell by the tunnel, asked for on a terminal."""
    by_tunnel = ShellCommand(argv=("ssh",), env={}, by_tunnel=True, probe=probe)
    answers: Iterator[object] = itertools.chain(
        [SimpleNamespace(id="w1", name="web")], itertools.repeat(by_tunnel)
    )
    monkeypatch.setattr(ssh, "with_service", lambda *_: next(answers))
    monkeypatch.setattr("sys.stdin", Terminal())
    return Namespace(name="web", command=[], timeout=1.0, during_setup=False)


def connections(monkeypatch: pytest.MonkeyPatch, *ends: tuple[float, int]) -> None:
    """Each connection lasts so many seconds, and ends with this exit code."""
    now, left = [0.0], iter(ends)

    def lend(_: ShellCommand) -> int:
        seconds, code = next(left)
        now[0] += seconds
        return code

    monkeypatch.setattr(ssh, "lend_terminal", lend)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])


def test_a_lost_connection_is_made_again_however_often_it_worked_for_a_while(
    monkeypatch: pytest.MonkeyPatch, asked: Namespace, paths: Paths
) -> None:
    connections(monkeypatch, (1, LOST), (1, LOST), *[(60, LOST)] * 20, (1, LOST), (1, LOST), (1, LEFT))
    assert ssh.ssh(asked, paths) == LEFT


def test_a_workspace_that_closes_each_connection_at_once_is_given_up_with_a_way_in(
    monkeypatch: pytest.MonkeyPatch, asked: Namespace, paths: Paths
) -> None:
    connections(monkeypatch, *[(1, LOST)] * 3)
    with pytest.raises(UserError) as refused:
        ssh.ssh(asked, paths)
    assert "web closes each connection" in refused.value.message
    assert "`wsdash ssh web -- COMMAND`" in refused.value.hint


@pytest.mark.parametrize(
    "probe", [("sh", "-c", "echo 'root@web.wsdash: Permission denied (publickey).' >&2; exit 255")]
)
def test_a_login_that_is_refused_is_given_up_with_that_reason(
    monkeypatch: pytest.MonkeyPatch, asked: Namespace, paths: Paths
) -> None:
    connections(monkeypatch, *[(1, LOST)] * 3)
    with pytest.raises(UserError, match="web refuses the login as root"):
        ssh.ssh(asked, paths)


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        (["cd src && make"], ("sh", "-c", "cd src && make")),
        (["make"], ("sh", "-c", "make")),
        (["echo", "a  b", "$HOME"], ("echo", "a  b", "$HOME")),
        ([], ()),
    ],
)
def test_one_word_is_a_line_for_the_shell_and_several_stay_exact(
    words: list[str], argv: tuple[str, ...]
) -> None:
    assert ssh.command_line(words) == argv


@pytest.mark.usefixtures("plain_jobs")
def test_following_a_log_ends_with_the_job(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    with subprocess.Popen([*PYTHON, "logs", "web", "-f"], stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        first = following.stdout.readline()
        assert wsdash("stop", "web", "--wait").returncode == 0
        assert b"hello from web" in first + following.stdout.read()
        assert following.wait(30) == 0


@pytest.mark.usefixtures("plain_jobs")
def test_ctrl_c_ends_a_followed_log_quietly(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    with subprocess.Popen(
        [*PYTHON, "logs", "web", "-f"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 130
        assert following.stderr.read() == b""


@pytest.mark.usefixtures("plain_jobs")
def test_on_a_terminal_a_log_is_text_without_control_sequences(wsdash: Command, tmp_path: Path) -> None:
    loud = make_repository(tmp_path / "loud", devfile=DEVFILE.replace("%s from", r"\033]0;owned\007%s from"))
    assert wsdash("create", str(loud), "--wait").returncode == 0
    assert "\x1b]0;owned\x07hello" in wsdash("logs", "loud").stdout
    seen = pexpect.spawn(PYTHON[0], [*PYTHON[1:], "logs", "loud"], timeout=60, encoding="utf-8").read()
    assert "hello from loud" in seen
    assert "\x1b" not in seen


def test_a_log_on_a_terminal_shows_what_overwriting_leaves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    writer = ssh._ToTerminal()
    for piece in (b"10%\r99%\rdo", b"ne\r\nplain\r\r\n\xe6\xbc", b"\xa2\nlast\r"):
        writer.write(piece)
    writer.close()
    assert capsys.readouterr().out == "done\nplain\n漢\nlast\n"


def test_a_followed_log_that_is_cut_goes_on_behind_the_cut(
    wsdash: Command, repository: Path, paths: Paths
) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    (log,) = paths.contexts.glob("local/jobs/*/log")
    with log.open("ab") as file:
        file.write(b"".join(b"line %d\n" % number for number in range(1000)))
    following = pexpect.spawn(PYTHON[0], [*PYTHON[1:], "logs", repository.name, "-f"], timeout=60)
    try:
        following.expect("line 999\r\n")
        with log.open("r+b") as file:
            file.truncate(100)
        until_sync(lambda: following_reads(following, log), 60, "the output after the cut")
    finally:
        following.close(force=True)


def following_reads(following: pexpect.spawn, log: Path) -> bool:
    """Whether a line that is written now is printed."""
    with log.open("ab") as file:
        file.write(b"later\n")
    return bool(following.expect(["later", pexpect.TIMEOUT], timeout=2) == 0)
