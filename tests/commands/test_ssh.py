"""`wsdash ssh`: a shell whose connection is lost is opened again, and one that can never be opened is given up."""

from __future__ import annotations

import io
import itertools
import time
from argparse import Namespace
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from wsdash.backend.errors import UserError
from wsdash.backend.providers.types import ShellCommand
from wsdash.commands import ssh
from wsdash.paths import Paths

LOST, LEFT = 255, 7


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Namespace:
    """A shell by the tunnel, asked for on a terminal."""
    by_tunnel = ShellCommand(argv=("ssh",), env={}, by_tunnel=True)
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

    monkeypatch.setattr(ssh, "_lend_terminal", lend)
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
